"""Who signed a certificate: by name and by signature."""

from __future__ import annotations

from openmid.keystore import certificate as x509
from openmid.keystore import formats
from openmid.keystore.keytool import certificate_files, report
from openmid.keystore.keytool.options import KeytoolError
from openmid.keystore.refusals import refusals
from openmid.keystore.store import KeyStore


def known(store: KeyStore) -> list[bytes]:
    """What the store can vouch with: each entry's own certificate, as keytool has it."""
    return [certificates[0] for name in store if (certificates := report.certificates(store[name]))]


def known_trusted(store: KeyStore) -> list[bytes]:
    return [entry.certificate for entry in store.certificates().values()]


def system_wide() -> list[bytes]:
    """This system's CA bundle: SSL_CERT_FILE, or OpenSSL's own place. Raises KeytoolError, KeystoreError."""
    import ssl

    path = ssl.get_default_verify_paths().cafile
    if path is None:
        raise KeytoolError(
            "-trustcacerts: this system has no CA bundle",
            "install one (Debian's ca-certificates), or name one with SSL_CERT_FILE",
        )
    return certificate_files.certificates(formats.read_file(path))


def signed(certificate: bytes, issuer: bytes) -> bool:
    """True if the issuer's name and key fit the signature."""
    if x509.fields(certificate).issuer != x509.fields(issuer).subject:
        return False
    from cryptography.exceptions import InvalidSignature
    from cryptography.x509 import load_der_x509_certificate

    try:
        load_der_x509_certificate(certificate).verify_directly_issued_by(load_der_x509_certificate(issuer))
    except refusals(InvalidSignature):
        return False
    return True


def self_signed(certificate: bytes) -> bool:
    return signed(certificate, certificate)


def signer(certificate: bytes, candidates: list[bytes]) -> bytes | None:
    """The certificate itself, if it is among them, or the one that signed it."""
    if certificate in candidates:
        return certificate
    return next((one for one in candidates if signed(certificate, one)), None)


def climb(leaf: bytes, candidates: list[bytes]) -> list[bytes]:
    """From the leaf upwards as far as the candidates reach; each is used once."""
    chain, left = [leaf], [one for one in dict.fromkeys(candidates) if one != leaf]
    while above := next((one for one in left if signed(chain[-1], one)), None):
        left.remove(above)
        chain.append(above)
    return chain


def path(leaf: bytes, candidates: list[bytes]) -> list[bytes]:
    """From the leaf to a certificate that signed itself; empty if the candidates do not lead to one."""
    chain = climb(leaf, candidates)
    return chain if self_signed(chain[-1]) else []
