"""Old algorithms, for reading old files only: MD5, SHA-1 in key derivation, RC2, RC4, DES, triple DES, and who used them.

Nothing here is used for writing. Nothing imports this module but `terms.Source.decrepit`, which refuses where old
algorithms are ruled out; the MID Server's process never loads it (tests/keystore/test_decrepit.py).
"""

from __future__ import annotations

import hashlib
import hmac

from openmid.keystore import kdf
from openmid.keystore.algorithm import Algorithm, parameters
from openmid.keystore.der import DerError, Reader
from openmid.keystore.passwords import Reading
from openmid.keystore.pbes import Undecryptable, aes_cbc, unpadded

_PKCS12 = "1.2.840.113549.1.12.1."
# PBES1 (RFC 8018, A.3): digest, cipher.
_PBES1 = {
    "1.2.840.113549.1.5.3": ("md5", "DES"),
    "1.2.840.113549.1.5.6": ("md5", "RC2"),
    "1.2.840.113549.1.5.10": ("sha1", "DES"),
    "1.2.840.113549.1.5.11": ("sha1", "RC2"),
}
# PKCS#12 (RFC 7292, C): bytes of key, cipher.
_PKCS12_CIPHERS = {
    "1": (16, "RC4"),
    "2": (5, "RC4"),
    "3": (24, "3DES"),
    "4": (16, "3DES"),
    "5": (16, "RC2"),
    "6": (5, "RC2"),
}
_RC2_VERSIONS = {160: 40, 120: 64, 58: 128}  # RFC 8018, B.2.3
_DIGESTS = {"1.3.14.3.2.26": "sha1", "1.2.840.113549.2.5": "md5"}


def _hash(digest: str, data: bytes) -> bytes:
    return hashlib.new(digest, data, usedforsecurity=False).digest()


def pbkdf2(found: kdf.Pbkdf2, secret: bytes) -> bytes:
    """PBKDF2 with HMAC-SHA-1."""
    return hashlib.pbkdf2_hmac("sha1", secret, found.salt, found.iterations, found.length)


def pkcs12_mac(digest_oid: str, reading: Reading, salt: bytes, iterations: int, content: bytes) -> bytes:
    """PKCS#12's MAC with SHA-1 or MD5. Raises DerError for another digest."""
    if digest_oid not in _DIGESTS:
        raise DerError(f"the integrity code's digest {digest_oid} is not one that openmid knows")
    digest = _DIGESTS[digest_oid]
    size = hashlib.new(digest, usedforsecurity=False).digest_size
    key = kdf.pkcs12(digest, reading.bmp, salt, iterations, size, kdf.PKCS12_MAC, 64)
    return hmac.digest(key, content, digest)


def decrypt(found: Algorithm, content: bytes, reading: Reading) -> bytes:
    """PBES1 and PKCS#12's schemes. Raises DerError, Undecryptable."""
    inner = parameters(found, "the encryption")
    salt, iterations = inner.octets("the salt"), inner.integer("the iteration count")
    inner.done("the encryption")
    if not iterations:
        raise DerError("the iteration count is zero")
    if found.oid in _PBES1:
        digest, cipher = _PBES1[found.oid]
        return _pbes1(digest, cipher, reading.raw + salt, iterations, content)
    return pkcs12_scheme(found.oid, reading.bmp, salt, iterations, content)


def pkcs12_scheme(oid: str, secret: bytes, salt: bytes, iterations: int, content: bytes) -> bytes:
    """RFC 7292, appendix C. Raises Undecryptable."""
    length, cipher = _PKCS12_CIPHERS[oid.removeprefix(_PKCS12)]
    key = kdf.pkcs12("sha1", secret, salt, iterations, length, kdf.PKCS12_KEY, 64)
    if cipher == "RC4":
        return rc4(key, content)
    iv = kdf.pkcs12("sha1", secret, salt, iterations, 8, kdf.PKCS12_IV, 64)
    return Rc2(key, 8 * length).decrypt_cbc(iv, content) if cipher == "RC2" else triple_des(key, iv, content)


def _pbes1(digest: str, cipher: str, value: bytes, iterations: int, content: bytes) -> bytes:
    for _ in range(iterations):
        value = _hash(digest, value)
    key, iv = value[:8], value[8:16]
    return Rc2(key, 64).decrypt_cbc(iv, content) if cipher == "RC2" else triple_des(key, iv, content)


def pbes2_cipher(cipher: Algorithm, key: bytes, content: bytes) -> bytes:
    """The ciphers of RFC 8018, B.2, that are older than AES. Raises DerError, Undecryptable."""
    if cipher.oid != "1.2.840.113549.3.2":
        outer = Reader(cipher.parameters)
        iv = outer.octets("the initial vector")
        outer.done("the cipher")
        return triple_des(key, iv, content)
    inner = parameters(cipher, "the cipher")
    version = inner.integer("RC2's version") if inner.peek() == 2 else 0
    iv = inner.octets("the initial vector")
    bits = _RC2_VERSIONS.get(version, version if version >= 256 else 32)
    if bits > 1024 or len(key) > 128:
        raise DerError("RC2 has at most 1024 bits of key")
    return Rc2(key, bits).decrypt_cbc(iv, content)


def triple_des(key: bytes, iv: bytes, content: bytes) -> bytes:
    """DES-EDE in CBC mode with keys of 24, 16 (the first is used again) or 8 bytes (plain DES). Raises as `pbes.aes_cbc`."""
    from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.modes import CBC

    if len(key) not in (8, 16, 24) or len(iv) != 8:
        raise DerError("a key or vector does not fit DES")
    if not content or len(content) % 8:
        raise Undecryptable
    whole = {8: key * 3, 16: key + key[:8], 24: key}[len(key)]
    decryptor = Cipher(TripleDES(whole), CBC(iv)).decryptor()
    clear = decryptor.update(content)
    decryptor.finalize()
    return unpadded(clear, 8)


def rc4(key: bytes, content: bytes) -> bytes:
    state, j = list(range(256)), 0
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) & 255
        state[i], state[j] = state[j], state[i]
    i = j = 0
    clear = bytearray(content)
    for at, byte in enumerate(content):
        i = (i + 1) & 255
        j = (j + state[i]) & 255
        state[i], state[j] = state[j], state[i]
        clear[at] = byte ^ state[(state[i] + state[j]) & 255]
    return bytes(clear)


# PEM blocks with a DEK-Info line (RFC 1421; OpenSSL's EVP_BytesToKey with MD5 and one iteration).
_PEM_CIPHERS = {
    "DES-CBC": (8, triple_des),
    "DES-EDE3-CBC": (24, triple_des),
    "AES-128-CBC": (16, aes_cbc),
    "AES-192-CBC": (24, aes_cbc),
    "AES-256-CBC": (32, aes_cbc),
}


def pem_ciphers() -> list[str]:
    return list(_PEM_CIPHERS)


def decrypt_pem(cipher: str, iv: bytes, password: bytes, content: bytes) -> bytes:
    """Raises DerError, Undecryptable."""
    length, decryption = _PEM_CIPHERS[cipher]
    key = value = b""
    while len(key) < length:
        value = _hash("md5", value + password + iv[:8])
        key += value
    return decryption(key[:length], iv, content)


# Java's keystores.
def jks_digest(password: str, content: memoryview) -> bytes:
    """What ends a JKS or JCEKS store."""
    digest = hashlib.sha1(password.encode("utf-16-be", "surrogatepass"), usedforsecurity=False)
    digest.update(b"Mighty Aphrodite")
    digest.update(content)
    return digest.digest()


def open_jks_key(password: str, content: bytes) -> bytes:
    """Sun's KeyProtector of 1996: a key stream of SHA-1, and a SHA-1 to check. Raises Undecryptable."""
    secret = password.encode("utf-16-be", "surrogatepass")
    value, covered, check = content[:20], content[20:-20], content[-20:]
    stream = bytearray()
    while len(stream) < len(covered):
        value = _hash("sha1", secret + value)
        stream += value
    clear = bytes(a ^ b for a, b in zip(covered, stream, strict=False))
    if len(content) < 40 or not hmac.compare_digest(_hash("sha1", secret + clear), check):
        raise Undecryptable
    return clear


def open_jceks(password: str, salt: bytes, iterations: int, content: bytes) -> bytes:
    """Sun's PBEWithMD5AndTripleDES. Its letters have 7 bits; of a salt with equal halves the first is reversed.

    Raises DerError, Undecryptable.
    """
    if len(salt) != 8 or not iterations:
        raise DerError("the salt has not 8 bytes, or the iteration count is zero")
    secret = bytes(ord(letter) & 0x7F for letter in password)
    if salt[:4] == salt[4:]:
        salt = salt[3::-1] + salt[4:]
    derived = b""
    for half in (salt[:4], salt[4:]):
        value = half
        for _ in range(iterations):
            value = _hash("md5", value + secret)
        derived += value
    return triple_des(derived[:24], derived[24:32], content)


def bks_mac(password: str | None, salt: bytes, iterations: int, size: int, content: memoryview) -> bytes:
    """What ends a BKS store: HMAC-SHA-1 under a key of `size` bytes (2 in version 1, by a slip of Bouncy Castle's)."""
    key = kdf.pkcs12("sha1", bks_secret(password), salt, iterations, size, kdf.PKCS12_MAC, 64)
    return hmac.digest(key, content, "sha1")


def bks_secret(password: str | None) -> bytes:
    """Bouncy Castle's form of a password: an empty one has no bytes."""
    return (password + "\0").encode("utf-16-be", "surrogatepass") if password else b""


def open_bks(password: str | None, salt: bytes, iterations: int, content: bytes) -> bytes:
    """BKS seals keys by PKCS#12's scheme with triple DES. Raises Undecryptable."""
    return pkcs12_scheme(_PKCS12 + "3", bks_secret(password), salt, iterations, content)


_PITABLE = bytes.fromhex(  # RFC 2268, section 2
    "d978f9c419ddb5ed28e9fd794aa0d89dc67e37832b76538e624c6488448bfba2179a59f587b34f1361456d8d09817d32"
    "bd8f40eb86b77b0bf09521225c6b4e8254d66593ce60b21c7356c014a78cf1dc1275ca1f3bbee4d1423dd430a33cb626"
    "6fbf0eda4669075727f21d9bbc944303f811c7f690ef3ee706c3d52fc8661ed708e8eade8052eef784aa72ac354d6a2a"
    "961ad2715a1549744b9fd05e0418a4ecc2e0416e0f51cbcc2491af50a1f47039997c3a8523b8b47afc02365b25559731"
    "2d5dfa98e38a92ae05df2910676cbac9d300e6cfe19ea82c6316013f58e289a90d38341bab33ffb0bb480c5fb9b1cd2e"
    "c5f3db47e5a59c770aa62068fe7fc1ad"
)


class Rc2:
    """RC2 (RFC 2268) with any number of effective key bits: decryption only. cryptography's has 128 bits and no other."""

    def __init__(self, key: bytes, bits: int) -> None:
        size, limit = len(key), (bits + 7) // 8
        table = bytearray(key) + bytearray(128 - size)
        for i in range(size, 128):
            table[i] = _PITABLE[(table[i - 1] + table[i - size]) & 255]
        table[128 - limit] = _PITABLE[table[128 - limit] & (255 >> (8 * limit - bits))]
        for i in range(127 - limit, -1, -1):
            table[i] = _PITABLE[table[i + 1] ^ table[i + limit]]
        self._words = [table[i] | table[i + 1] << 8 for i in range(0, 128, 2)]

    def decrypt_block(self, block: bytes) -> bytes:
        words = self._words
        a, b, c, d = (int.from_bytes(block[i : i + 2], "little") for i in (0, 2, 4, 6))
        for j in range(63, 0, -4):
            d = ((d >> 5 | d << 11) - (c & b) - (~c & a) - words[j]) & 0xFFFF
            c = ((c >> 3 | c << 13) - (b & a) - (~b & d) - words[j - 1]) & 0xFFFF
            b = ((b >> 2 | b << 14) - (a & d) - (~a & c) - words[j - 2]) & 0xFFFF
            a = ((a >> 1 | a << 15) - (d & c) - (~d & b) - words[j - 3]) & 0xFFFF
            if j in (47, 23):  # mashing, after the fifth and the eleventh round
                d = (d - words[c & 63]) & 0xFFFF
                c = (c - words[b & 63]) & 0xFFFF
                b = (b - words[a & 63]) & 0xFFFF
                a = (a - words[d & 63]) & 0xFFFF
        return (a | b << 16 | c << 32 | d << 48).to_bytes(8, "little")

    def decrypt_cbc(self, iv: bytes, content: bytes) -> bytes:
        """Raises DerError, Undecryptable."""
        if len(iv) != 8:
            raise DerError("the initial vector has not 8 bytes")
        if not content or len(content) % 8:
            raise Undecryptable
        clear, before = bytearray(), int.from_bytes(iv, "big")
        for at in range(0, len(content), 8):
            block = content[at : at + 8]
            clear += (int.from_bytes(self.decrypt_block(block), "big") ^ before).to_bytes(8, "big")
            before = int.from_bytes(block, "big")
        return unpadded(bytes(clear), 8)
