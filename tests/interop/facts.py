"""What a store holds, in a form that two implementations can be compared by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_der_private_key

from openmid import keystore
from tests.interop.java import JavaEntry, encoded
from tests.keystore.vectors import sha256

DESEDE = "1.3.14.3.2.17"


class Fact(NamedTuple):
    """`key` is a SHA-256; of a private key: as cryptography encodes it, for Bouncy Castle re-encodes EC keys."""

    kind: str
    key: str
    certificates: tuple[str, ...]
    modified: int  # seconds


def of_ours(store: keystore.KeyStore, passwords: Sequence[str | None]) -> dict[str, Fact]:
    return {alias: _of_entry(store[alias], passwords) for alias in store}


def _of_entry(entry: keystore.Entry, passwords: Sequence[str | None]) -> Fact:
    modified = int(entry.modified.timestamp())
    if isinstance(entry, keystore.TrustedCertificateEntry):
        return Fact("certificate", "", (sha256(entry.certificate),), modified)
    assert isinstance(entry, keystore.KeyEntry), entry
    unlock(entry, passwords)
    if isinstance(entry, keystore.SecretKeyEntry):
        return Fact("secret", secret(entry.key, entry.algorithm == DESEDE), (), modified)
    if isinstance(entry, keystore.PbeKeyEntry):
        return Fact("pbe", _pbe(entry.data), (), modified)
    assert isinstance(entry, keystore.PrivateKeyEntry)
    return Fact("private", private(entry.private_key), tuple(map(sha256, entry.certificates)), modified)


def _pbe(data: keystore.PbeKeyData) -> str:
    salt = "-" if data.salt is None else data.salt.hex()
    return ",".join((data.algorithm, encoded(data.password), salt, str(data.iterations), sha256(data.key or b"")))


def unlock(entry: keystore.KeyEntry, passwords: Sequence[str | None]) -> None:
    """With the first that opens it; the last one's error is raised."""
    for password in passwords[:-1]:
        try:
            return entry.unlock(password)
        except keystore.WrongPassword:
            continue
    return entry.unlock(passwords[-1])


def of_java(entries: dict[str, JavaEntry]) -> dict[str, Fact]:
    return {alias: _of_java_entry(entry) for alias, entry in entries.items()}


def _of_java_entry(entry: JavaEntry) -> Fact:
    key = ""
    if entry.kind == "pbe":
        key = f"{entry.algorithm},{sha256(entry.key or b'')}"
    elif entry.key is not None:
        key = private(entry.key) if entry.kind == "private" else secret(entry.key, entry.algorithm == "DESede")
    return Fact(entry.kind, key, entry.certificates, entry.created // 1000)


def secret(key: bytes, desede: bool) -> str:
    """bc-fips hands out DES keys with their parity bits set, whatever was stored."""
    return sha256(bytes(byte & 0xFE for byte in key) if desede else key)


def private(pkcs8: bytes) -> str:
    try:
        key = load_der_private_key(pkcs8, None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, UnsupportedAlgorithm):
        return sha256(pkcs8)
    return sha256(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))


def undated(facts: dict[str, Fact]) -> dict[str, Fact]:
    """Without the times: whoever writes a store anew dates it anew."""
    return {alias: fact._replace(modified=0) for alias, fact in facts.items()}
