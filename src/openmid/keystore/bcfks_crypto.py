"""What protects a BCFKS store: key derivation, AES-256-CCM or key wrap, HMAC. docs/bcfks.md has the facts.

Derivation and HMAC go through hashlib, the cipher through cryptography: in FIPS Enforced Mode both are the provider's.
Costs are capped before anything is derived, with Bouncy Castle's own caps (CVE-2026-58063).
"""

from __future__ import annotations

import hashlib
import hmac
import threading
from pathlib import Path
from typing import NamedTuple

from openmid.keystore import der
from openmid.keystore.conversion import conversion_command
from openmid.keystore.der import DerError, Reader
from openmid.keystore.errors import Damaged, NotApproved, TooExpensive
from openmid.keystore.refusals import refusals

PBES2 = "1.2.840.113549.1.5.13"
PBKDF2 = "1.2.840.113549.1.5.12"
SCRYPT = "1.3.6.1.4.1.11591.4.11"
AES_256_CCM = "2.16.840.1.101.3.4.1.47"
AES_256_WRAP_PAD = "2.16.840.1.101.3.4.1.48"
HMAC_SHA512 = "1.2.840.113549.2.11"
HMAC_DIGESTS = {HMAC_SHA512: "sha512", "2.16.840.1.101.3.4.2.16": "sha3_512"}

STORE_ENCRYPTION = "STORE_ENCRYPTION"
INTEGRITY_CHECK = "INTEGRITY_CHECK"
PRIVATE_KEY_ENCRYPTION = "PRIVATE_KEY_ENCRYPTION"
SECRET_KEY_ENCRYPTION = "SECRET_KEY_ENCRYPTION"  # noqa: S105  a purpose, not a secret

MAX_ITERATIONS = 5_000_000
MAX_KEY_LENGTH = 1024  # bytes
MAX_SCRYPT_MEMORY = 64 * 1024 * 1024  # bytes
MAX_SCRYPT_WORK = 1 << 23  # N * r * p, about three seconds

THREADS = 4  # that derive keys at once

ITERATIONS = 51_200  # Bouncy Castle's default, 50 * 1024
SALT_LENGTH = 64
NONCE_LENGTH = 12
TAG_LENGTH = 8
MAX_CCM = (1 << (8 * (15 - NONCE_LENGTH))) - 1  # RFC 3610: the length field has 15 - nonce bytes


class Algorithm(NamedTuple):
    """An AlgorithmIdentifier. `parameters` is raw DER, empty where absent; `raw` is the whole, as read."""

    oid: str
    parameters: bytes
    raw: bytes


class Pbkdf2(NamedTuple):
    """PBKDF2-HMAC (RFC 8018, 5.2)."""

    salt: bytes
    iterations: int
    length: int
    digest: str


class Scrypt(NamedTuple):
    """scrypt (RFC 7914) as Bouncy Castle runs it: the block size r is passed as the parallelization too."""

    salt: bytes
    n: int
    r: int
    length: int


Kdf = Pbkdf2 | Scrypt


class Limits(Exception):
    """The parameters ask for more than the caps."""


def read_algorithm(reader: Reader, what: str) -> Algorithm:
    raw = reader.any(what)
    inner = Reader(raw).sequence(what)
    oid = inner.oid(what)
    parameters = inner.any(what) if inner.peek() >= 0 else b""
    inner.done(what)
    return Algorithm(oid, parameters, raw)


def algorithm(oid: str, parameters: bytes = b"\x05\x00") -> bytes:
    """An AlgorithmIdentifier's DER; parameters default to NULL."""
    return der.sequence(der.oid(oid), parameters)


def _parameters(found: Algorithm, what: str) -> Reader:
    outer = Reader(found.parameters)
    inner = outer.sequence(what)
    outer.done(what)
    return inner


def read_kdf(found: Algorithm, default_length: int | None) -> Kdf:
    """The derivation that an AlgorithmIdentifier asks for, capped. Raises DerError, Limits."""
    what = "the key derivation"
    if found.oid not in (PBKDF2, SCRYPT):
        raise DerError(f"{what} {found.oid} is neither PBKDF2 nor scrypt")
    inner = _parameters(found, what)
    salt = inner.octets("the salt")
    kdf = (
        _read_pbkdf2(inner, salt, default_length) if found.oid == PBKDF2 else _read_scrypt(inner, salt, default_length)
    )
    inner.done(what)
    return kdf


def _length(inner: Reader, default: int | None) -> int:
    if inner.peek() == der.INTEGER:
        length = inner.integer("the key length")
        if length > MAX_KEY_LENGTH:
            raise Limits(f"a derived key of {length} bytes (at most {MAX_KEY_LENGTH} are allowed)")
        if length > 0:
            return length
        raise DerError("the key length is zero")
    if default is None:
        raise DerError("the key length is missing")
    return default


def _read_pbkdf2(inner: Reader, salt: bytes, default_length: int | None) -> Pbkdf2:
    iterations = inner.integer("the iteration count")
    length = _length(inner, default_length)
    prf = read_algorithm(inner, "the pseudo-random function") if inner.peek() >= 0 else None
    if prf is None or prf.oid not in HMAC_DIGESTS or prf.parameters != der.null():
        raise DerError(f"the pseudo-random function {prf.oid if prf else 'HMAC-SHA1'} is not one that BCFKS knows")
    blocks = -(-length // 64)
    if iterations * blocks > MAX_ITERATIONS:
        raise Limits(f"{iterations} PBKDF2 iterations for {length} bytes (at most {MAX_ITERATIONS} are allowed)")
    if iterations == 0:
        raise DerError("the iteration count is zero")
    return Pbkdf2(salt, iterations, length, HMAC_DIGESTS[prf.oid])


def _read_scrypt(inner: Reader, salt: bytes, default_length: int | None) -> Scrypt:
    n, r = inner.integer("scrypt's cost"), inner.integer("scrypt's block size")
    inner.integer("scrypt's parallelization")  # ignored, as in Bouncy Castle: docs/bcfks.md
    length = _length(inner, default_length)
    if n < 2 or n & (n - 1) or r == 0:
        raise DerError("scrypt's cost is not a power of two")
    if 128 * r * (n + r + 2) > MAX_SCRYPT_MEMORY or n * r * r > MAX_SCRYPT_WORK:
        raise Limits(f"scrypt with N={n}, r={r} (at most {MAX_SCRYPT_MEMORY >> 20} MB are allowed)")
    return Scrypt(salt, n, r, length)


def password_bytes(password: str | None, purpose: str) -> bytes:
    """PKCS#12's form of a text (RFC 7292, B.1), twice; an empty or missing password contributes nothing."""
    secret = (password + "\0").encode("utf-16-be", "surrogatepass") if password else b""
    return secret + (purpose + "\0").encode("utf-16-be")


class ScryptRefusedError(Exception):
    """This process's OpenSSL does not do scrypt: FIPS Enforced Mode."""


def derive(kdf: Kdf, password: str | None, purpose: str) -> bytes:
    """Raises ScryptRefusedError."""
    secret = password_bytes(password, purpose)
    if isinstance(kdf, Pbkdf2):
        return hashlib.pbkdf2_hmac(kdf.digest, secret, kdf.salt, kdf.iterations, kdf.length)
    memory = 2 * MAX_SCRYPT_MEMORY
    try:
        return hashlib.scrypt(secret, salt=kdf.salt, n=kdf.n, r=kdf.r, p=kdf.r, maxmem=memory, dklen=kdf.length)
    except ValueError as error:  # the parameters were checked: what is left is the provider's refusal
        raise ScryptRefusedError from error


def derive_all(jobs: list[tuple[Kdf, str | None, str]]) -> list[bytes]:
    """Derive independent keys at once: hashlib gives up the interpreter lock. Raises as `derive` does."""
    results: list[bytes] = [b""] * len(jobs)
    failures: list[BaseException] = []

    def run(first: int) -> None:
        try:
            for index in range(first, len(jobs), THREADS):
                results[index] = derive(*jobs[index])
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(first,)) for first in range(1, min(THREADS, len(jobs)))]
    for thread in threads:
        thread.start()
    run(0)
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return results


def mac(digest: str, key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, digest)


def same(one: bytes, other: bytes) -> bool:
    return hmac.compare_digest(one, other)


class Opening(NamedTuple):
    """How to decrypt something: PBES2 (RFC 8018, 6.2) with BCFKS's two ciphers."""

    kdf: Kdf
    cipher: Algorithm


def read_opening(found: Algorithm) -> Opening:
    """Raises DerError, Limits."""
    if found.oid != PBES2:
        raise DerError(f"the encryption {found.oid} is not PBES2")
    inner = _parameters(found, "the encryption")
    kdf = read_kdf(read_algorithm(inner, "the key derivation"), 32)
    cipher = read_algorithm(inner, "the cipher")
    inner.done("the encryption")
    if cipher.oid not in (AES_256_CCM, AES_256_WRAP_PAD):
        raise DerError(f"the cipher {cipher.oid} is neither AES-256-CCM nor AES-256 key wrap")
    if kdf.length not in (16, 24, 32):
        raise DerError(f"the cipher's key has {kdf.length} bytes")
    return Opening(kdf, cipher)


class Tampered(Exception):
    """The cipher's own check failed: another key, or changed bytes."""


def decrypt(cipher: Algorithm, key: bytes, content: bytes) -> bytes:
    """Raises DerError, Tampered."""
    if cipher.oid == AES_256_WRAP_PAD:
        return _unwrap(key, content)
    inner = _parameters(cipher, "the cipher")
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


def _unwrap(key: bytes, content: bytes) -> bytes:
    from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap_with_padding

    try:
        return aes_key_unwrap_with_padding(key, content)
    except refusals(InvalidUnwrap) as error:
        raise Tampered from error


class Sealing(NamedTuple):
    """A fresh salt and nonce for one encryption."""

    kdf: Pbkdf2
    nonce: bytes

    def identifier(self) -> bytes:
        """The AlgorithmIdentifier that says how to open it."""
        ccm = algorithm(AES_256_CCM, der.sequence(der.octets(self.nonce), der.integer(TAG_LENGTH)))
        return algorithm(PBES2, der.sequence(kdf_identifier(self.kdf), ccm))

    def encrypt(self, key: bytes, clear: bytes) -> bytes:
        from cryptography.hazmat.primitives.ciphers.aead import AESCCM

        return AESCCM(key, tag_length=TAG_LENGTH).encrypt(self.nonce, clear, None)


def new_kdf(length: int, iterations: int) -> Pbkdf2:
    """PBKDF2-HMAC-SHA512 with a fresh salt."""
    return Pbkdf2(_random(SALT_LENGTH), iterations, length, "sha512")


def new_sealing(iterations: int) -> Sealing:
    return Sealing(new_kdf(32, iterations), _random(NONCE_LENGTH))


def kdf_identifier(kdf: Pbkdf2) -> bytes:
    prf = algorithm(HMAC_SHA512)
    inner = der.sequence(der.octets(kdf.salt), der.integer(kdf.iterations), der.integer(kdf.length), prf)
    return algorithm(PBKDF2, inner)


def _random(count: int) -> bytes:
    from openmid.fips.keys import random_bytes

    return random_bytes(count)


def too_expensive(name: str, limits: Limits) -> TooExpensive:
    return TooExpensive(
        f"{name} asks for {limits}, which no writer of keystores does",
        "take the file from where it was made again; a file like this is made to exhaust the reader",
    )


def not_approved(name: str) -> NotApproved:
    again = conversion_command(name, "BCFKS", Path(name).with_suffix(".pbkdf2.bcfks"))
    return NotApproved(
        f"{name} derives its keys with scrypt, which FIPS Enforced Mode does not approve; the keystore is whole",
        f"write it again, with PBKDF2: {again}",
    )


def damaged(name: str, error: DerError) -> Damaged:
    return Damaged(f"{name} is damaged or is not BCFKS: {error}")
