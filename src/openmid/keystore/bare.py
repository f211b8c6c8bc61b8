"""What has no envelope of its own: a certificate or key in DER, and PKCS#7 bundles (RFC 5652) of certificates."""

from __future__ import annotations

from openmid.keystore import ber, der, pem, private_key
from openmid.keystore import certificate as x509
from openmid.keystore.der import DerError, Reader
from openmid.keystore.errors import Damaged, FileProblem, UnsupportedType
from openmid.keystore.store import KeyStore
from openmid.keystore.terms import Source

SIGNED_DATA = "1.2.840.113549.1.7.2"


def read(data: bytes, password: str | None, source: Source) -> KeyStore:
    """Certificates are trusted, `1`, `2`, ...; a private key without a certificate is the entry `1`.

    Raises Damaged, WrongKeyPassword, UnsupportedType, FileProblem, TooExpensive, NotApproved, OldAlgorithm.
    """
    if source.kind == "PKCS7":
        certificates = tuple(dict.fromkeys(bundle(data, source.name)))
        for number, certificate in enumerate(certificates, 1):
            x509.fields(certificate, f"certificate {number} of {source.name}")
        if not certificates:
            raise FileProblem(f"{source.name} is a PKCS#7 bundle without certificates")
        return pem.assemble("PKCS7", (), certificates, source)
    if _is_certificate(data):
        return pem.assemble("DER", (), (data,), source)
    if _is_public_key(data):
        raise UnsupportedType(f"{source.name} is a bare public key, which no keystore holds")
    key = private_key.from_any(data, password, source, f"the private key in {source.name}")
    return pem.assemble("DER", (key,), (), source)


def _is_certificate(data: bytes) -> bool:
    try:
        x509.fields(data)
    except Damaged:
        return False
    return True


def _is_public_key(data: bytes) -> bool:
    try:
        body = Reader(data).sequence("it")
        body.sequence("it")
        return body.peek() == der.BIT_STRING and bool(body.any("it")) and body.peek() < 0
    except DerError:
        return False


def first_element(data: bytes, name: str) -> bytes:
    """Raises Damaged."""
    try:
        return Reader(data).any("a certificate")
    except DerError as error:
        raise Damaged(f"{name} is damaged: {error}") from error


def bundle(data: bytes, name: str) -> list[bytes]:
    """The certificates of a SignedData, which here is only their envelope. Raises Damaged, UnsupportedType."""
    try:
        return _bundled(data, name)
    except DerError as error:
        raise Damaged(f"{name} is damaged or is not PKCS#7: {error}") from error


def _bundled(data: bytes, name: str) -> list[bytes]:
    info = Reader(ber.normal(data, "the bundle")).sequence("the bundle")
    if info.oid("the bundle's type") != SIGNED_DATA:
        raise UnsupportedType(f"{name} is PKCS#7 of another kind than a bundle of certificates")
    body = info.element(der.context(0), "the bundle").sequence("the bundle")
    body.integer("the bundle's version")
    body.element(der.SET, "the digests")
    body.sequence("the content")
    found: list[bytes] = []
    if body.peek() == der.context(0):
        certificates = body.element(der.context(0), "the certificates")
        while certificates.peek() >= 0:
            is_x509 = certificates.peek() == der.SEQUENCE  # others are attribute certificates of long ago
            each = certificates.any("a certificate")
            found += [each] if is_x509 else []
    return found
