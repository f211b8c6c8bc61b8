"""Key derivation costs of PKCS#12 and encrypted PKCS#8, looked at before cryptography derives anything: it has no caps.

The parameters of each known derivation follow its object identifier, so they are found by searching for that.
"""

from __future__ import annotations

from collections.abc import Iterator

from openmid.keystore import der
from openmid.keystore.bcfks_crypto import (
    MAX_ITERATIONS,
    MAX_SCRYPT_MEMORY,
    MAX_SCRYPT_WORK,
    PBKDF2,
    SCRYPT,
    Limits,
    too_expensive,
)
from openmid.keystore.der import DerError, Reader

_PKCS12_PBE = [f"1.2.840.113549.1.12.1.{number}" for number in range(1, 7)]
_PKCS5_PBE = [f"1.2.840.113549.1.5.{number}" for number in (1, 3, 4, 6, 10, 11)]
_SALT_AND_COUNT = [der.oid(oid) for oid in (PBKDF2, *_PKCS12_PBE, *_PKCS5_PBE)]
_MAC_DIGESTS = [
    der.oid(oid) for oid in ("1.3.14.3.2.26", *(f"2.16.840.1.101.3.4.2.{number}" for number in range(1, 11)))
]
_SCRYPT = der.oid(SCRYPT)


def check(data: bytes, name: str) -> None:
    """Raises TooExpensive."""
    for count in (*_iterations(data), *_mac_iterations(data)):
        if count > MAX_ITERATIONS:
            asked = f"{count} iterations of key derivation (at most {MAX_ITERATIONS} are allowed)"
            raise too_expensive(name, Limits(asked))
    for n, r, p in _scrypt(data):
        if 128 * r * (n + p + 2) > MAX_SCRYPT_MEMORY or n * r * p > MAX_SCRYPT_WORK:
            asked = f"scrypt with N={n}, r={r}, p={p} (at most {MAX_SCRYPT_MEMORY >> 20} MB are allowed)"
            raise too_expensive(name, Limits(asked))


def _after(data: bytes, marks: list[bytes]) -> Iterator[Reader]:
    for mark in marks:
        at = data.find(mark)
        while at >= 0:
            yield Reader(data, at + len(mark))
            at = data.find(mark, at + 1)


def _count(reader: Reader) -> int:
    """An INTEGER of any size: a count that does not fit into a machine word is the point."""
    return int.from_bytes(reader.element(der.INTEGER, "a count").rest()[:16], "big")


def _iterations(data: bytes) -> Iterator[int]:
    for reader in _after(data, _SALT_AND_COUNT):
        try:
            parameters = reader.sequence("the parameters")
            parameters.any("the salt")
            yield _count(parameters)
        except DerError:
            continue


def _mac_iterations(data: bytes) -> Iterator[int]:
    """RFC 7292, 4: MacData ::= SEQUENCE { DigestInfo, macSalt OCTET STRING, iterations INTEGER DEFAULT 1 }."""
    for reader in _after(data, _MAC_DIGESTS):
        try:
            if reader.peek() == der.NULL:
                reader.any("no parameters")
            reader.octets("the digest")
            reader.octets("the salt")
            yield _count(reader)
        except DerError:
            continue


def _scrypt(data: bytes) -> Iterator[tuple[int, int, int]]:
    for reader in _after(data, [_SCRYPT]):
        try:
            parameters = reader.sequence("the parameters")
            parameters.any("the salt")
            yield _count(parameters), _count(parameters), _count(parameters)
        except DerError:
            continue
