"""The few fields of an X.509 certificate (RFC 5280, 4.1) that a store needs, read without cryptography.x509.

Also the two rules about keys and certificates: a chain starts with the leaf, and a key is never paired with a stranger.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from openmid.keystore import der, private_key
from openmid.keystore.algorithm import read_algorithm
from openmid.keystore.errors import Damaged, KeyMismatch, Unstorable, UnsupportedType
from openmid.keystore.refusals import refusals

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes


MAX_CHAIN = 100  # certificates, as in OpenSSL's verification
MAX_ISSUERS = 8  # of one name that are looked at


class Fields(NamedTuple):
    """Raw DER of each, tag included, but for `version` (1-3) and `serial`."""

    version: int
    serial: int
    signature: bytes
    issuer: bytes
    validity: bytes
    subject: bytes
    public_key: bytes


def fields(certificate: bytes, name: str = "the certificate") -> Fields:
    """Raises Damaged."""
    try:
        outer = der.Reader(certificate)
        body = outer.sequence("the certificate")
        outer.done("the certificate")
        signed = body.sequence("the certificate's body")
        version = 1
        if signed.peek() == der.context(0):
            version = 1 + signed.element(der.context(0), "the version").integer("the version")
        serial = int.from_bytes(signed.element(der.INTEGER, "the serial number").rest(), "big", signed=True)
        names = ("the signature algorithm", "the issuer", "the validity", "the subject", "the public key")
        return Fields(version, serial, *(signed.any(what) for what in names))
    except der.DerError as error:
        raise Damaged(f"{name} is not an X.509 certificate: {error}") from error


def load_private_key(key: bytes) -> PrivateKeyTypes:
    """cryptography's key object of a PKCS#8 key. Raises ValueError and the like, as cryptography does."""
    from cryptography.hazmat.primitives.serialization import load_der_private_key

    return load_der_private_key(key, None)


def key_identity(key: bytes) -> object:
    """Something hashable that equals `certificate_identity` of the key's certificate. Raises ValueError and the like.

    RSA keys are compared by hand: that saves a command's start the loading of cryptography's key classes.
    """
    return private_key.rsa_numbers(key) or _identity(cast("Any", load_private_key(key)).public_key())


def _identity(public: PublicKeyTypes) -> object:
    """Numbers for RSA (its encodings differ), cryptography's own encoding for the rest."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    if isinstance(public, RSAPublicKey):
        numbers = public.public_numbers()
        return numbers.n, numbers.e
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def certificate_identity(certificate: bytes) -> object:
    """None for a key that cannot be read."""
    try:
        raw = fields(certificate).public_key
        body = der.Reader(raw).sequence("the public key")
        if read_algorithm(body, "the algorithm").oid == private_key.RSA:
            numbers = der.Reader(body.element(der.BIT_STRING, "the key").rest()[1:]).sequence("the key")
            n, e = (int.from_bytes(numbers.element(der.INTEGER, "a number").rest(), "big") for _ in range(2))
            return n, e
    except (Damaged, der.DerError):
        return None
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        return _identity(load_der_public_key(raw))
    except refusals():
        return None


class Pool:
    """Certificates (X.509 DER) among which keys find theirs, and certificates their issuers. Indexed once."""

    def __init__(self, certificates: Iterable[bytes]) -> None:
        self.all = tuple(dict.fromkeys(certificates))
        self._by_subject: dict[bytes, list[bytes]] | None = None
        self._by_key: dict[object, bytes] | None = None
        self._issuers: dict[bytes, bytes | None] = {}

    def leaf(self, key: bytes, alias: str) -> bytes | None:
        """The certificate that belongs to this PKCS#8 key. Raises Damaged, UnsupportedType for a key that cannot be read."""
        from cryptography.exceptions import UnsupportedAlgorithm

        try:
            wanted = key_identity(key)
        except UnsupportedAlgorithm as error:
            raise UnsupportedType(
                f"the private key of '{alias}' is of a kind that openmid does not know: {error}"
            ) from error
        except refusals(der.DerError) as error:
            raise Damaged(f"the private key of '{alias}' is not a PKCS#8 key that can be used: {error}") from error
        if self._by_key is None:
            self._by_key = {certificate_identity(each): each for each in reversed(self.all)}
        return self._by_key.get(wanted)

    def chain(self, leaf: bytes) -> tuple[bytes, ...]:
        """From the leaf upwards by the names of issuers. Raises Damaged."""
        if self._by_subject is None:
            self._by_subject = {}
            for each in self.all:
                self._by_subject.setdefault(fields(each).subject, []).append(each)
        path, current = {leaf: None}, fields(leaf)
        while current.issuer != current.subject and len(path) < MAX_CHAIN:
            issuer = self._issuer(next(reversed(path)), current.issuer)
            if issuer is None or issuer in path:
                break
            path[issuer] = None
            current = fields(issuer)
        return tuple(path)

    def _issuer(self, certificate: bytes, name: bytes) -> bytes | None:
        """Found once for each certificate, however many keys share the chain."""
        if certificate not in self._issuers:
            assert self._by_subject is not None
            candidates = [each for each in self._by_subject.get(name, ())[:MAX_ISSUERS] if each != certificate]
            self._issuers[certificate] = _issuer(certificate, candidates) if candidates else None
        return self._issuers[certificate]


def _issuer(certificate: bytes, candidates: list[bytes]) -> bytes:
    """The one that signed it; signatures are only asked where the name leaves a choice (a renewed authority)."""
    if len(candidates) == 1:
        return candidates[0]
    from cryptography.exceptions import InvalidSignature
    from cryptography.x509 import load_der_x509_certificate

    for candidate in candidates:
        try:
            load_der_x509_certificate(certificate).verify_directly_issued_by(load_der_x509_certificate(candidate))
        except refusals(InvalidSignature):
            continue
        return candidate
    return candidates[0]


def pair(key: bytes, certificates: tuple[bytes, ...], alias: str) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """(chain, strangers): the chain from the leaf that belongs to this PKCS#8 key upwards, and what is not part of it.

    Raises Damaged for a key that cannot be read, Unstorable without certificates, KeyMismatch if none belongs to it.
    """
    pool = Pool(certificates)
    leaf = pool.leaf(key, alias)
    if not certificates:
        raise Unstorable(
            f"the private key of '{alias}' has no certificate, and a keystore holds a key with its chain",
            "put the certificate into the same file as the key",
        )
    if leaf is None:
        raise mismatch(alias, len(certificates))
    path = pool.chain(leaf)
    return path, tuple(each for each in pool.all if each not in path)


def mismatch(alias: str, count: int) -> KeyMismatch:
    found = "its certificate holds" if count == 1 else f"its {count} certificates hold"
    return KeyMismatch(
        f"the private key of '{alias}' has no certificate of its own: {found} another key",
        "find the certificate that was issued for this key, or the key of this certificate",
    )
