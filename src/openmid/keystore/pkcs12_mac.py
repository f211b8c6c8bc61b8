"""PKCS#12's integrity code: HMAC under its own key derivation (RFC 7292, B), or PBMAC1 (RFC 9579)."""

from __future__ import annotations

import hmac
from typing import NamedTuple

from openmid.keystore import kdf, pbes
from openmid.keystore.algorithm import Algorithm, parameters, read_algorithm
from openmid.keystore.der import DerError, Reader
from openmid.keystore.errors import UnsupportedType
from openmid.keystore.passwords import Reading
from openmid.keystore.terms import Source

PBMAC1 = "1.2.840.113549.1.5.14"
SHA256 = "2.16.840.1.101.3.4.2.1"
DIGESTS = {
    SHA256: "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
    "2.16.840.1.101.3.4.2.4": "sha224",
    "2.16.840.1.101.3.4.2.5": "sha512_224",
    "2.16.840.1.101.3.4.2.6": "sha512_256",
}
_SIZES = {"sha224": 28, "sha256": 32, "sha384": 48, "sha512": 64, "sha512_224": 28, "sha512_256": 32}
_OLD_DIGESTS = {"1.3.14.3.2.26": "an integrity code with SHA-1", "1.2.840.113549.2.5": "an integrity code with MD5"}
MIN_PBMAC1_KEY = 20  # bytes; a key of one byte could be guessed without the password


class Mac(NamedTuple):
    """MacData ::= SEQUENCE { DigestInfo, macSalt OCTET STRING, iterations INTEGER DEFAULT 1 }."""

    algorithm: Algorithm
    check: bytes
    salt: bytes
    iterations: int


def parse(reader: Reader) -> Mac:
    """Raises DerError."""
    body = reader.sequence("the integrity code")
    info = body.sequence("the integrity code")
    found, check = read_algorithm(info, "the integrity code's algorithm"), info.octets("the integrity code")
    info.done("the integrity code")
    salt = body.octets("the integrity code's salt")
    iterations = body.integer("the iteration count") if body.peek() >= 0 else 1
    body.done("the integrity code")
    if not iterations or not check:
        raise DerError("the integrity code is empty, or made with no iterations")
    return Mac(found, check, salt, iterations)


def verify(mac: Mac, content: bytes, tried: list[Reading], source: Source) -> Reading | None:
    """The first reading of the password by which the code is right. Raises DerError and what `Source` raises."""
    if mac.algorithm.oid == PBMAC1:
        return _verify_pbmac1(mac, content, tried, source)
    source.allow(mac.iterations, source.name)
    for reading in tried:
        source.spend(mac.iterations)
        if hmac.compare_digest(_code(mac, content, reading, source), mac.check):
            return reading
    return None


def _code(mac: Mac, content: bytes, reading: Reading, source: Source) -> bytes:
    oid = mac.algorithm.oid
    if oid in _OLD_DIGESTS:
        old = source.decrepit(_OLD_DIGESTS[oid], source.name)
        return bytes(old.pkcs12_mac(oid, reading, mac.salt, mac.iterations, content))
    if oid not in DIGESTS:
        raise UnsupportedType(f"the integrity code of {source.name} is of type {oid}, which openmid does not know")
    source.refuse_unless_approved("PKCS12's own key derivation", source.name)
    return code(DIGESTS[oid], mac.salt, mac.iterations, content, reading)


def code(digest: str, salt: bytes, iterations: int, content: bytes, reading: Reading) -> bytes:
    """The integrity code with a SHA-2 digest."""
    key = kdf.pkcs12(digest, reading.bmp, salt, iterations, _SIZES[digest], kdf.PKCS12_MAC)
    return hmac.digest(key, content, digest)


def _verify_pbmac1(mac: Mac, content: bytes, tried: list[Reading], source: Source) -> Reading | None:
    """RFC 9579, section 4: salt and iterations outside of PBMAC1's parameters mean nothing."""
    inner = parameters(mac.algorithm, "the integrity code's algorithm")
    derivation, scheme = (
        read_algorithm(inner, "the key derivation"),
        read_algorithm(inner, "the integrity code's scheme"),
    )
    inner.done("the integrity code's algorithm")
    if derivation.oid != pbes.PBKDF2 or scheme.oid not in pbes.HMACS:
        raise UnsupportedType(f"the integrity code of {source.name} is of a kind that openmid does not know")
    found, sha1 = pbes.read_kdf(derivation, None, source, source.name)
    if found.length < MIN_PBMAC1_KEY:
        raise DerError(f"the integrity code's key has {found.length} bytes, fewer than {MIN_PBMAC1_KEY}")
    assert isinstance(found, kdf.Pbkdf2)
    for reading in {reading.raw: reading for reading in tried}.values():
        source.spend(found.rounds())
        key = pbes.derive(found, sha1, reading.raw, source, source.name)
        if hmac.compare_digest(hmac.digest(key, content, pbes.HMACS[scheme.oid]), mac.check):
            return reading
    return None
