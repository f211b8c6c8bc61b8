"""Signature algorithms in keytool's names, and signing with a private key."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from openmid.keystore import certificate as x509
from openmid.keystore import der
from openmid.keystore.errors import Damaged
from openmid.keystore.keytool.options import KeytoolError
from openmid.keystore.refusals import refusals

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.hashes import HashAlgorithm

_PSS = "RSASSA-PSS"
_OIDS = {
    "SHA256withRSA": "1.2.840.113549.1.1.11",
    "SHA384withRSA": "1.2.840.113549.1.1.12",
    "SHA512withRSA": "1.2.840.113549.1.1.13",
    "SHA256withECDSA": "1.2.840.10045.4.3.2",
    "SHA384withECDSA": "1.2.840.10045.4.3.3",
    "SHA512withECDSA": "1.2.840.10045.4.3.4",
    _PSS: "1.2.840.113549.1.1.10",
}
_DIGESTS = {256: "2.16.840.1.101.3.4.2.1", 384: "2.16.840.1.101.3.4.2.2", 512: "2.16.840.1.101.3.4.2.3"}
_MGF1 = "1.2.840.113549.1.1.8"


class Signer(NamedTuple):
    """A key with the algorithm that it signs with. `public` is SubjectPublicKeyInfo, DER."""

    key: RSAPrivateKey | EllipticCurvePrivateKey
    name: str
    bits: int  # of the digest
    public: bytes

    def identifier(self) -> bytes:
        """AlgorithmIdentifier (RFC 4055, RFC 5758)."""
        if self.name != _PSS:
            parameters = b"" if self.name.endswith("ECDSA") else der.null()
            return der.sequence(der.oid(_OIDS[self.name]), parameters)
        digest = der.sequence(der.oid(_DIGESTS[self.bits]), der.null())
        mask = der.sequence(der.oid(_MGF1), digest)
        parts = (digest, mask, der.integer(self.bits // 8))
        parameters = der.sequence(*(der.tlv(der.context(number), part) for number, part in enumerate(parts)))
        return der.sequence(der.oid(_OIDS[_PSS]), parameters)

    def signed(self, body: bytes) -> bytes:
        """SEQUENCE { body, algorithm, signature }: a certificate or a request."""
        from cryptography.hazmat.primitives.asymmetric import ec, padding
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

        digest = _digest(self.bits)
        if isinstance(self.key, RSAPrivateKey):
            pss = padding.PSS(padding.MGF1(digest), self.bits // 8)
            signature = self.key.sign(body, pss if self.name == _PSS else padding.PKCS1v15(), digest)
        else:
            signature = self.key.sign(body, ec.ECDSA(digest))
        return der.sequence(body, self.identifier(), der.tlv(der.BIT_STRING, b"\0" + signature))

    def subject_key(self) -> bytes:
        """RFC 5280, 4.2.1.2 (1)."""
        import hashlib

        outer = der.Reader(self.public).sequence("the key")
        outer.any("the key's algorithm")
        bits = outer.element(der.BIT_STRING, "the key").rest()[1:]
        return hashlib.sha1(bits, usedforsecurity=False).digest()


def _digest(bits: int) -> HashAlgorithm:
    from cryptography.hazmat.primitives import hashes

    if bits == 512:
        return hashes.SHA512()
    return hashes.SHA384() if bits == 384 else hashes.SHA256()


def signer(private_key: bytes, asked: str | None, alias: str) -> Signer:
    """The algorithm that was asked for, or the one of the key's strength. Raises KeytoolError, Damaged."""
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    try:
        key = x509.load_private_key(private_key)
    except refusals() as error:
        raise Damaged(f"the private key of '{alias}' cannot be used: {error}") from error
    if not isinstance(key, RSAPrivateKey | EllipticCurvePrivateKey):
        raise KeytoolError(f"the key of '{alias}' is neither RSA nor EC, and nothing else is signed with here")
    ending, bits = ("RSA", _rsa_strength(key.key_size)) if isinstance(key, RSAPrivateKey) else (
        "ECDSA", 512 if key.key_size >= 512 else 384 if key.key_size >= 384 else 256)  # fmt: skip
    name = _named(asked, ending) if asked else f"SHA{bits}with{ending}"
    if name != _PSS:
        bits = int(name[3:6])
    return Signer(key, name, bits, key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def _rsa_strength(size: int) -> int:
    return 512 if size > 7680 else 384 if size > 3072 else 256


def _named(asked: str, ending: str) -> str:
    name = next((known for known in _OIDS if known.lower() == asked.lower()), None)
    fitting = [known for known in _OIDS if known.endswith(f"with{ending}") or (ending == "RSA" and known == _PSS)]
    if name is None:
        raise KeytoolError(f"{asked} Signature not available", f"this key signs with {', '.join(fitting)}")
    if name not in fitting:
        kind = "an RSA" if ending == "RSA" else "an EC"
        raise KeytoolError(f"{name} does not go with {kind} key", f"this key signs with {', '.join(fitting)}")
    return name
