"""The server's certificate: one that is given, or one of the instance's own CA, for those who bring none.

Our own keys are made by `fips.keys` and lie encrypted (PKCS#8, AES-256) under a password in `secrets/tls.password`.
A context takes up a renewed certificate while the instance runs: connections from then on are made with it.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from openmid.fips import keys, policy
from openmid.instance.errors import InstanceError
from openmid.instance.folder import Folder, Listen, write

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

log = logging.getLogger("openmid.instance")
PAIR = (
    "name a certificate with its chain and its key, both PEM: openmid instance init DIR --certificate FILE --key FILE"
)
CA_LIFE = timedelta(days=3650)
SERVER_LIFE = timedelta(days=397)
RENEW_BEFORE = timedelta(days=30)


class TlsError(InstanceError):
    """Raised when a certificate that was given cannot be used."""


def ensure(folder: Folder, names: list[str]) -> None:
    """Make the CA unless there is one; the server certificate unless it has these names and lives long enough."""
    password = folder.secret("tls.password", create=True).encode()
    folder.tls.mkdir(exist_ok=True)
    if not folder.ca.exists():
        _make_ca(folder, password)
    if not _is_current(folder, names):
        _make_server(folder, password, names)


class ServerContext:
    """The TLS context of the server, and the files that it is made of."""

    def __init__(self, folder: Folder, listen: Listen) -> None:
        """Raises TlsError: a given certificate cannot be used."""
        self._folder = folder
        self._listen = listen
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.set_ciphers(":".join(policy.TLS12_SUITES))
        self._seen: tuple[float, ...] = ()
        self._load()

    def renew(self) -> None:
        """Take up what has changed on the disk, or renew our own; what cannot be used is logged, and the old one stays."""
        looked = self._look()
        try:
            if not self._listen.certificate:
                ensure(self._folder, self._listen.names)
            if self._seen != self._look():
                self._load()
                log.info("the server's certificate was taken up anew")
        except (InstanceError, OSError) as error:
            self._seen = looked  # not as it is by now: a key that came a moment after its certificate is a change
            log.error("the server's certificate stays as it was: %s", error)  # noqa: TRY400  a sentence is enough

    def _load(self) -> None:
        self._seen = self._look()
        if self._listen.certificate:
            check_given(self._listen)
            self.context.load_cert_chain(self._listen.certificate, self._listen.key, password=_no_password)
        else:
            self.context.load_cert_chain(self._folder.server, password=self._folder.secret("tls.password"))

    def _look(self) -> tuple[float, ...]:
        paths = [self._listen.certificate, self._listen.key] if self._listen.certificate else [self._folder.server]
        return tuple(os.stat(path).st_mtime if os.path.exists(path) else 0.0 for path in paths)  # noqa: PTH110, PTH116


def check_given(listen: Listen) -> None:
    """Whether the given certificate and key can be used.

    Raises:
        TlsError: one cannot be read, they do not belong together, or the certificate has another name or has expired.
    """
    from cryptography import x509

    try:
        certificate = x509.load_pem_x509_certificates(Path(listen.certificate).read_bytes())[0]
        trial = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trial.load_cert_chain(listen.certificate, listen.key, password=_no_password)
    except ssl.SSLError as error:
        raise TlsError(f"{listen.certificate} and {listen.key} do not belong together: {error.reason}", PAIR) from None
    except OSError as error:
        raise TlsError(f"{error.filename or listen.key} cannot be read: {error.strerror}", PAIR) from None
    except ValueError as error:
        raise TlsError(f"{listen.certificate} holds no certificate: {error}", PAIR) from None
    if certificate.not_valid_after_utc < datetime.now(UTC):
        raise TlsError(f"{listen.certificate} has expired ({certificate.not_valid_after_utc:%Y-%m-%d})", "renew it")


def _no_password() -> str:
    raise TlsError("the server's key is encrypted", "give a key without a password, readable for this user only")


def _is_current(folder: Folder, names: list[str]) -> bool:
    from cryptography import x509

    if not folder.server.exists():
        return False
    try:
        certificate = x509.load_pem_x509_certificate(folder.server.read_bytes())
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (ValueError, x509.ExtensionNotFound):
        return False  # cut off, or none of ours
    lives = certificate.not_valid_after_utc - datetime.now(UTC) > RENEW_BEFORE
    return lives and list(extension.value) == _alternatives(names)


def _make_ca(folder: Folder, password: bytes) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    key = _key()
    usage = _usage(key_cert_sign=True, crl_sign=True)
    builder = _builder("openmid instance CA", key, CA_LIFE).issuer_name(_name("openmid instance CA"))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    certificate = builder.add_extension(usage, critical=True).sign(key, hashes.SHA256())
    _write(folder, password, key, certificate)


def _make_server(folder: Folder, password: bytes, names: list[str]) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from cryptography.x509.oid import ExtendedKeyUsageOID

    ca = x509.load_pem_x509_certificate(folder.ca.read_bytes())
    ca_key = load_pem_private_key((folder.tls / "ca.key").read_bytes(), password)
    ca_id = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    key = _key()
    builder = _builder(names[0], key, SERVER_LIFE).issuer_name(ca.subject)
    for extension, critical in (
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_usage(digital_signature=True), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (x509.SubjectAlternativeName(_alternatives(names)), False),
        (x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ca_id), False),
    ):
        builder = builder.add_extension(extension, critical=critical)
    certificate = builder.sign(ca_key, hashes.SHA256())  # type: ignore[arg-type]  # ours, so one that signs
    _write(folder, password, key, certificate)


def _key() -> EllipticCurvePrivateKey:
    """P-256: a handshake costs the instance a hundredth of what RSA does, and many MID Servers may come at once."""
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_der_private_key

    key = load_der_private_key(keys.generate("P-256"), None)
    assert isinstance(key, EllipticCurvePrivateKey)
    return key


def _builder(name: str, key: EllipticCurvePrivateKey, life: timedelta) -> x509.CertificateBuilder:
    from cryptography import x509

    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .public_key(key.public_key())
        .serial_number(int.from_bytes(keys.random_bytes(16)) >> 1)
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _name(common: str) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common[:64])])


def _alternatives(names: list[str]) -> list[x509.GeneralName]:
    from cryptography import x509

    found: list[x509.GeneralName] = []
    for name in names:
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(name))
    return found


def _usage(**granted: bool) -> x509.KeyUsage:
    from cryptography import x509

    every = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{name: granted.get(name, False) for name in every})


def _write(folder: Folder, password: bytes, key: EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
    """The CA in two files, the certificate last; the server's in one, so that they always belong together."""
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

    sealed = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password))
    public = certificate.public_bytes(Encoding.PEM)
    if certificate.issuer == certificate.subject:
        write(folder.tls / "ca.key", sealed, 0o600)
        write(folder.ca, public, 0o644)
    else:
        write(folder.server, sealed + public, 0o600)
