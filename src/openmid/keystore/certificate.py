"""The few fields of an X.509 certificate (RFC 5280, 4.1) that a store needs, read without cryptography.x509.

Also the two rules about keys and certificates: a chain starts with the leaf, and a key is never paired with a stranger.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

from openmid.keystore import der
from openmid.keystore.errors import Damaged, KeyMismatch, Unstorable
from openmid.keystore.refusals import refusals

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes


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


def load_private_key(key: bytes, password: bytes | None = None) -> PrivateKeyTypes:
    """cryptography's key object of a PKCS#8 key. Raises ValueError and the like, as cryptography does."""
    from cryptography.hazmat.primitives.serialization import load_der_private_key

    return load_der_private_key(key, password)


def belongs(certificate: bytes, public: PublicKeyTypes) -> bool:
    """True if the certificate's key is this key: numbers are compared, encodings may differ."""
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        return bool(load_der_public_key(fields(certificate).public_key) == public)
    except refusals(Damaged):
        return False


def pair(key: bytes, certificates: tuple[bytes, ...], alias: str) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """(chain, strangers): the chain from the leaf that belongs to this PKCS#8 key upwards, and what is not part of it.

    Raises Damaged for a key that cannot be read, Unstorable without certificates, KeyMismatch if none belongs to it.
    """
    try:
        public = cast("Any", load_private_key(key)).public_key()
    except refusals() as error:
        raise Damaged(f"the private key of '{alias}' is not a PKCS#8 key that can be used: {error}") from error
    if not certificates:
        raise Unstorable(
            f"the private key of '{alias}' has no certificate, and a keystore holds a key with its chain",
            "put the certificate into the same file as the key",
        )
    leaf = next((certificate for certificate in certificates if belongs(certificate, public)), None)
    if leaf is None:
        found = "its certificate holds" if len(certificates) == 1 else f"its {len(certificates)} certificates hold"
        raise KeyMismatch(
            f"the private key of '{alias}' has no certificate of its own: {found} another key",
            "find the certificate that was issued for this key, or the key of this certificate",
        )
    return chain(leaf, certificates)


def chain(leaf: bytes, certificates: tuple[bytes, ...]) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """Follow issuer names from the leaf upwards; each certificate is used once."""
    remaining = dict.fromkeys(certificate for certificate in certificates if certificate != leaf)
    by_subject: dict[bytes, list[bytes]] = {}
    for certificate in reversed(remaining):
        by_subject.setdefault(fields(certificate).subject, []).append(certificate)
    path, current = [leaf], fields(leaf)
    while current.issuer != current.subject and (above := by_subject.get(current.issuer)):
        path.append(above.pop())
        del remaining[path[-1]]
        current = fields(path[-1])
    return tuple(path), tuple(remaining)
