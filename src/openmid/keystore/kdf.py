"""Key derivation: PBKDF2 and scrypt (RFC 8018, RFC 7914), and PKCS#12's own (RFC 7292, appendix B.2).

PBKDF2 is done by cryptography, whose OpenSSL is newer than the system's: a quarter less time for what keytool does most.
In FIPS Enforced Mode it refuses salts that hashlib's OpenSSL takes; both are the provider's then.

Costs are looked at before anything is derived: `Source.allow` where the parameters are read.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from openmid.keystore.refusals import refusals

THREADS = 4  # that derive keys at once

# Blocks of the digests that PKCS#12's derivation is used with, in bytes.
_BLOCKS = {"sha224": 64, "sha256": 64, "sha384": 128, "sha512": 128, "sha512_224": 128, "sha512_256": 128}
PKCS12_KEY, PKCS12_IV, PKCS12_MAC = 1, 2, 3


class DerivationRefusedError(Exception):
    """This process's OpenSSL does not derive keys so: FIPS Enforced Mode. The text names the derivation."""


def pbkdf2(digest: str, secret: bytes, salt: bytes, iterations: int, length: int) -> bytes:
    """By hashlib's names, and as hashlib does it. Raises ValueError where both refuse."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

    with suppress(*refusals()):
        algorithm: hashes.HashAlgorithm = getattr(hashes, digest.upper())()
        return PBKDF2HMAC(algorithm, length, salt, iterations).derive(secret)
    return hashlib.pbkdf2_hmac(digest, secret, salt, iterations, length)


class Pbkdf2(NamedTuple):
    """PBKDF2 with HMAC (RFC 8018, 5.2)."""

    salt: bytes
    iterations: int
    length: int
    digest: str  # hashlib's name; "" for SHA-1, which decrepit.py does

    def rounds(self) -> int:
        """The work: iterations for each block of the digest's size that is derived."""
        size = hashlib.new(self.digest).digest_size if self.digest else 20
        return self.iterations * -(-self.length // size)

    def derive(self, secret: bytes) -> bytes:
        try:
            return pbkdf2(self.digest, secret, self.salt, self.iterations, self.length)
        except ValueError as error:  # the parameters were checked: what is left is the provider's refusal
            raise DerivationRefusedError(f"PBKDF2 with HMAC-{self.digest}") from error


class Scrypt(NamedTuple):
    """scrypt (RFC 7914)."""

    salt: bytes
    n: int
    r: int
    p: int
    length: int

    def derive(self, secret: bytes) -> bytes:
        memory = 256 * self.r * (self.n + self.p + 2)  # OpenSSL counts its own way; the cap was applied before
        try:
            return hashlib.scrypt(
                secret, salt=self.salt, n=self.n, r=self.r, p=self.p, maxmem=memory, dklen=self.length
            )
        except ValueError as error:
            raise DerivationRefusedError("scrypt") from error


Kdf = Pbkdf2 | Scrypt


def pkcs12(
    digest: str, secret: bytes, salt: bytes, iterations: int, length: int, purpose: int, block: int = 0
) -> bytes:
    """RFC 7292, appendix B.2. `secret` is the password as a BMPString with its terminator, or nothing at all."""
    block = block or _BLOCKS[digest]
    make = getattr(hashlib, digest, None) or partial(hashlib.new, digest)
    diversifier = bytes([purpose]) * block
    content = _filled(salt, block) + _filled(secret, block)
    derived = b""
    while True:
        value = make(diversifier + content).digest()
        for _ in range(iterations - 1):
            value = make(value).digest()
        derived += value
        if len(derived) >= length:
            return derived[:length]
        content = _stepped(content, _filled(value, block)[:block], block)


def _filled(text: bytes, block: int) -> bytes:
    """The text repeated to whole blocks."""
    size = -(-len(text) // block) * block
    return (text * (size // len(text) + 1))[:size] if text else b""


def _stepped(content: bytes, value: bytes, block: int) -> bytes:
    """Every block of the content, plus the value, plus one."""
    add = int.from_bytes(value, "big") + 1
    pieces = (int.from_bytes(content[at : at + block], "big") + add for at in range(0, len(content), block))
    return b"".join((piece % (1 << 8 * block)).to_bytes(block, "big") for piece in pieces)


class Derivations:
    """Independent keys, derived in threads from now on: hashlib gives up the interpreter lock.

    Whoever asks for them takes part: each takes what the others have left. A thread that nobody waits for ends with
    the process.
    """

    def __init__(self, jobs: Sequence[Callable[[], bytes]], threads: int) -> None:
        self._results: list[bytes] = [b""] * len(jobs)
        self._left = list(enumerate(jobs))[::-1]
        self._failures: list[BaseException] = []
        self._threads: list[threading.Thread] = []
        for _ in range(min(threads, len(jobs))):
            thread = threading.Thread(target=self._work, daemon=True)
            try:
                thread.start()
            except RuntimeError:  # no more threads for this user
                break
            self._threads.append(thread)

    def _work(self) -> None:
        with suppress(IndexError):
            while not self._failures:
                index, job = self._left.pop()
                try:
                    self._results[index] = job()
                except BaseException as error:
                    self._failures.append(error)

    def results(self, count: int | None = None) -> list[bytes]:
        """Of the first `count` jobs; others are not begun any more. Raises what the first failure raises."""
        wanted = len(self._results) if count is None else count
        self._left = [(index, job) for index, job in self._left if index < wanted]
        self._work()
        for thread in self._threads:
            thread.join()
        if self._failures:
            raise self._failures[0]
        return self._results[:wanted]


def all_at_once(jobs: Sequence[Callable[[], bytes]]) -> list[bytes]:
    """Derive independent keys. Raises what the first failure raises."""
    return Derivations(jobs, min(THREADS, len(jobs)) - 1).results()
