"""Signed BCFKS stores: the signature over the encrypted store, verified with a key that the caller trusts."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, cast

from openmid.keystore import certificate as x509
from openmid.keystore.algorithm import Algorithm
from openmid.keystore.der import DerError
from openmid.keystore.errors import Damaged, Unverified
from openmid.keystore.refusals import refusals
from openmid.keystore.terms import Source

# Bouncy Castle's: (kind of key, digest).
_SIGNATURES = {
    "1.2.840.113549.1.1.13": ("RSA", "SHA512"),
    "2.16.840.1.101.3.4.3.16": ("RSA", "SHA3_512"),
    "1.2.840.10045.4.3.4": ("EC", "SHA512"),
    "2.16.840.1.101.3.4.3.12": ("EC", "SHA3_512"),
    "2.16.840.1.101.3.4.3.4": ("DSA", "SHA512"),
    "2.16.840.1.101.3.4.3.8": ("DSA", "SHA3_512"),
}


def verify(found: Algorithm, signature: bytes, content: memoryview, source: Source) -> None:
    """Raises Unverified, Damaged, DerError."""
    if found.oid not in _SIGNATURES:
        raise DerError(f"the signature's algorithm {found.oid} is not one that BCFKS knows")
    if source.terms.verify_with is None:
        raise Unverified(
            f"{source.name} is protected by a signature instead of a password, and no key was given to verify it with",
            "give the signer's certificate or public key: keystore.load(..., terms=Terms(verify_with=...))",
        )
    key = _public_key(source.terms.verify_with)
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import dsa, ec, padding, rsa

    kind, name = _SIGNATURES[found.oid]
    digest: hashes.HashAlgorithm = getattr(hashes, name)()
    try:
        if kind == "RSA" and isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, bytes(content), padding.PKCS1v15(), digest)
            return
        if kind == "EC" and isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, bytes(content), ec.ECDSA(digest))
            return
        if kind == "DSA" and isinstance(key, dsa.DSAPublicKey):
            key.verify(signature, bytes(content), digest)
            return
    except refusals(InvalidSignature) as error:
        raise _unverified(source) from error
    raise _unverified(source)


def _unverified(source: Source) -> Unverified:
    return Unverified(
        f"the signature of {source.name} is not by the key that was given (or the file was changed since)",
        "give the certificate or public key of whoever signed it",
    )


def _public_key(given: bytes) -> object:
    """Of an X.509 certificate or a SubjectPublicKeyInfo, DER."""
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    with suppress(Damaged):  # then it is a bare public key
        given = x509.fields(given).public_key
    try:
        return cast("Any", load_der_public_key(given))
    except refusals() as error:
        raise Damaged("the key to verify with is neither an X.509 certificate nor a public key (DER)") from error
