"""What protects a BCFKS store: key derivation, AES-256-CCM or key wrap, HMAC. docs/bcfks.md has the facts.

HMAC goes through hashlib, derivation and cipher through cryptography: in FIPS Enforced Mode both are the provider's.
Costs are capped before anything is derived, with Bouncy Castle's own caps (CVE-2026-58063).
"""

from __future__ import annotations

import hmac
from functools import partial
from typing import NamedTuple

from openmid.keystore import der
from openmid.keystore.algorithm import Algorithm, algorithm, parameters, read_algorithm
from openmid.keystore.der import DerError, Reader
from openmid.keystore.errors import Damaged
from openmid.keystore.kdf import Kdf, Pbkdf2, Scrypt, all_at_once
from openmid.keystore.refusals import refusals
from openmid.keystore.terms import Source, too_expensive

PBES2 = "1.2.840.113549.1.5.13"
PBKDF2 = "1.2.840.113549.1.5.12"
SCRYPT = "1.3.6.1.4.1.11591.4.11"
AES_256_CCM = "2.16.840.1.101.3.4.1.47"
AES_256_WRAP_PAD = "2.16.840.1.101.3.4.1.48"
HMAC_SHA512 = "1.2.840.113549.2.11"
HMAC_SHA3_512 = "2.16.840.1.101.3.4.2.16"
HMAC_DIGESTS = {HMAC_SHA512: "sha512", HMAC_SHA3_512: "sha3_512"}

STORE_ENCRYPTION = "STORE_ENCRYPTION"
INTEGRITY_CHECK = "INTEGRITY_CHECK"
PRIVATE_KEY_ENCRYPTION = "PRIVATE_KEY_ENCRYPTION"
SECRET_KEY_ENCRYPTION = "SECRET_KEY_ENCRYPTION"  # noqa: S105  a purpose, not a secret

MAX_KEY_LENGTH = 1024  # bytes

ITERATIONS = 51_200  # Bouncy Castle's default, 50 * 1024
SALT_LENGTH = 64
NONCE_LENGTH = 12
TAG_LENGTH = 8
# RFC 3610: the length field has 15 - nonce bytes. bc-fips and bcprov up to 1.72 count the tag too when they decrypt.
MAX_CCM = (1 << (8 * (15 - NONCE_LENGTH))) - 1 - TAG_LENGTH


def read_kdf(found: Algorithm, default_length: int | None, source: Source, where: str) -> Kdf:
    """The derivation that an AlgorithmIdentifier asks for, within the caps. Raises DerError, TooExpensive."""
    what = "the key derivation"
    if found.oid not in (PBKDF2, SCRYPT):
        raise DerError(f"{what} {found.oid} is neither PBKDF2 nor scrypt")
    inner = parameters(found, what)
    salt = inner.octets("the salt")
    read = _read_pbkdf2 if found.oid == PBKDF2 else _read_scrypt
    kdf = read(inner, salt, default_length, source, where)
    inner.done(what)
    return kdf


def _length(inner: Reader, default: int | None, where: str) -> int:
    if inner.peek() == der.INTEGER:
        length = inner.integer("the key length")
        if length > MAX_KEY_LENGTH:
            raise too_expensive(where, f"a derived key of {length} bytes (at most {MAX_KEY_LENGTH} are allowed)")
        if length > 0:
            return length
        raise DerError("the key length is zero")
    if default is None:
        raise DerError("the key length is missing")
    return default


def _read_pbkdf2(inner: Reader, salt: bytes, default_length: int | None, source: Source, where: str) -> Pbkdf2:
    iterations = inner.integer("the iteration count")
    length = _length(inner, default_length, where)
    prf = read_algorithm(inner, "the pseudo-random function") if inner.peek() >= 0 else None
    if prf is None or prf.oid not in HMAC_DIGESTS or prf.parameters != der.null():
        raise DerError(f"the pseudo-random function {prf.oid if prf else 'HMAC-SHA1'} is not one that BCFKS knows")
    source.allow(iterations * -(-length // 64), where)
    if iterations == 0:
        raise DerError("the iteration count is zero")
    return Pbkdf2(salt, iterations, length, HMAC_DIGESTS[prf.oid])


def _read_scrypt(inner: Reader, salt: bytes, default_length: int | None, source: Source, where: str) -> Scrypt:
    """Bouncy Castle passes the block size r as the parallelization too and ignores p: docs/bcfks.md."""
    n, r = inner.integer("scrypt's cost"), inner.integer("scrypt's block size")
    inner.integer("scrypt's parallelization")
    length = _length(inner, default_length, where)
    if n < 2 or n & (n - 1) or r == 0:
        raise DerError("scrypt's cost is not a power of two")
    source.allow_scrypt(n, r, r, where)
    return Scrypt(salt, n, r, r, length)


def password_bytes(password: str | None, purpose: str) -> bytes:
    """PKCS#12's form of a text (RFC 7292, B.1), twice; an empty or missing password contributes nothing."""
    secret = (password + "\0").encode("utf-16-be", "surrogatepass") if password else b""
    return secret + (purpose + "\0").encode("utf-16-be")


def derive(kdf: Kdf, password: str | None, purpose: str) -> bytes:
    """Raises DerivationRefusedError."""
    return kdf.derive(password_bytes(password, purpose))


def derive_all(jobs: list[tuple[Kdf, str | None, str]]) -> list[bytes]:
    """Derive independent keys at once. Raises as `derive` does."""
    return all_at_once([partial(derive, *job) for job in jobs])


def mac(digest: str, key: bytes, data: bytes | memoryview) -> bytes:
    return hmac.digest(key, data, digest)


def same(one: bytes, other: bytes) -> bool:
    return hmac.compare_digest(one, other)


class Opening(NamedTuple):
    """How to decrypt something: PBES2 (RFC 8018, 6.2) with BCFKS's two ciphers."""

    kdf: Kdf
    cipher: Algorithm


def read_opening(found: Algorithm, source: Source, where: str) -> Opening:
    """Raises DerError, TooExpensive."""
    if found.oid != PBES2:
        raise DerError(f"the encryption {found.oid} is not PBES2")
    inner = parameters(found, "the encryption")
    kdf = read_kdf(read_algorithm(inner, "the key derivation"), 32, source, where)
    cipher = read_algorithm(inner, "the cipher")
    inner.done("the encryption")
    if cipher.oid not in (AES_256_CCM, AES_256_WRAP_PAD):
        raise DerError(f"the cipher {cipher.oid} is neither AES-256-CCM nor AES-256 key wrap")
    if kdf.length not in (16, 24, 32):
        raise DerError(f"the cipher's key has {kdf.length} bytes")
    return Opening(kdf, cipher)


class Tampered(Exception):
    """The cipher's own check failed: another key, or changed bytes."""


def decrypt(cipher: Algorithm, key: bytes, content: bytes | memoryview) -> bytes:
    """Raises DerError, Tampered."""
    if cipher.oid == AES_256_WRAP_PAD:
        return _unwrap(key, content)
    inner = parameters(cipher, "the cipher")
    nonce = inner.octets("the nonce")
    tag_length = inner.integer("the tag's length") if inner.peek() >= 0 else 12
    inner.done("the cipher")
    if not 7 <= len(nonce) <= 13 or tag_length not in range(4, 17, 2):
        raise DerError("the cipher's nonce or tag has a length that CCM does not allow")
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESCCM

    try:
        return AESCCM(key, tag_length=tag_length).decrypt(nonce, content, None)
    except refusals(InvalidTag) as error:
        raise Tampered from error


def _unwrap(key: bytes, content: bytes | memoryview) -> bytes:
    from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap_with_padding

    try:
        return aes_key_unwrap_with_padding(key, bytes(content))
    except refusals(InvalidUnwrap) as error:
        raise Tampered from error


class Form(NamedTuple):
    """How a new store is protected: cipher `CCM` or `KWP`; `SHA-512` or `SHA3-512` in derivation and integrity code."""

    iterations: int = ITERATIONS
    cipher: str = "CCM"
    digest: str = "SHA-512"

    @property
    def hmac(self) -> str:
        """The identifier of its HMAC."""
        return HMAC_SHA3_512 if self.digest == "SHA3-512" else HMAC_SHA512


class Sealing(NamedTuple):
    """A fresh salt and nonce for one encryption. Key wrap has no nonce."""

    kdf: Pbkdf2
    nonce: bytes

    def identifier(self) -> bytes:
        """The AlgorithmIdentifier that says how to open it."""
        if self.nonce:
            cipher = algorithm(AES_256_CCM, der.sequence(der.octets(self.nonce), der.integer(TAG_LENGTH)))
        else:
            cipher = der.sequence(der.oid(AES_256_WRAP_PAD))
        return algorithm(PBES2, der.sequence(kdf_identifier(self.kdf), cipher))

    def encrypt(self, key: bytes, clear: bytes) -> bytes:
        if not self.nonce:
            from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding

            return aes_key_wrap_with_padding(key, clear)
        from cryptography.hazmat.primitives.ciphers.aead import AESCCM

        return AESCCM(key, tag_length=TAG_LENGTH).encrypt(self.nonce, clear, None)


def new_kdf(length: int, iterations: int, digest: str = "sha512") -> Pbkdf2:
    """PBKDF2 with a fresh salt."""
    return Pbkdf2(_random(SALT_LENGTH), iterations, length, digest)


def new_sealing(iterations: int, cipher: str = "CCM", digest: str = "sha512") -> Sealing:
    return Sealing(new_kdf(32, iterations, digest), _random(NONCE_LENGTH) if cipher == "CCM" else b"")


def kdf_identifier(kdf: Pbkdf2) -> bytes:
    prf = algorithm(HMAC_SHA3_512 if kdf.digest == "sha3_512" else HMAC_SHA512)
    inner = der.sequence(der.octets(kdf.salt), der.integer(kdf.iterations), der.integer(kdf.length), prf)
    return algorithm(PBKDF2, inner)


def _random(count: int) -> bytes:
    from openmid.fips.keys import random_bytes

    return random_bytes(count)


def damaged(name: str, error: DerError) -> Damaged:
    return Damaged(f"{name} is damaged or is not BCFKS: {error}")
