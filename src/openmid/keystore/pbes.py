"""PBES2 (RFC 8018, 6.2) as PKCS#8 and PKCS#12 use it: PBKDF2 or scrypt, and AES in CBC or GCM (RFC 5084).

What is older (RFC 8018's PBES1, PKCS#12's schemes, triple DES, RC2, SHA-1) is handed to decrepit.py by `Source.decrepit`.
"""

from __future__ import annotations

from typing import NamedTuple

from openmid.keystore import der
from openmid.keystore.algorithm import Algorithm, parameters, read_algorithm
from openmid.keystore.der import DerError, Reader
from openmid.keystore.errors import Damaged, UnsupportedType
from openmid.keystore.kdf import DerivationRefusedError, Kdf, Pbkdf2, Scrypt
from openmid.keystore.passwords import Reading
from openmid.keystore.refusals import refusals
from openmid.keystore.terms import Source, too_expensive

PBES2 = "1.2.840.113549.1.5.13"
PBKDF2 = "1.2.840.113549.1.5.12"
SCRYPT = "1.3.6.1.4.1.11591.4.11"
HMAC_SHA1 = "1.2.840.113549.2.7"
# PRFs of PBKDF2 and MACs of PBMAC1: RFC 8018, B.1; NIST's SHA-3 ones.
HMACS = {
    "1.2.840.113549.2.8": "sha224",
    "1.2.840.113549.2.9": "sha256",
    "1.2.840.113549.2.10": "sha384",
    "1.2.840.113549.2.11": "sha512",
    "1.2.840.113549.2.12": "sha512_224",
    "1.2.840.113549.2.13": "sha512_256",
    "2.16.840.1.101.3.4.2.13": "sha3_224",
    "2.16.840.1.101.3.4.2.14": "sha3_256",
    "2.16.840.1.101.3.4.2.15": "sha3_384",
    "2.16.840.1.101.3.4.2.16": "sha3_512",
}
AES_CBC = {f"2.16.840.1.101.3.4.1.{arc}": size for arc, size in ((2, 16), (22, 24), (42, 32))}
AES_GCM = {f"2.16.840.1.101.3.4.1.{arc}": size for arc, size in ((6, 16), (26, 24), (46, 32))}  # RFC 5084
_AES = AES_CBC | AES_GCM
AES_256_CBC = "2.16.840.1.101.3.4.1.42"
_OLD_CIPHERS = {"1.2.840.113549.3.7": 24, "1.2.840.113549.3.2": 16, "1.3.14.3.2.7": 8}  # DES-EDE3, RC2, DES in CBC
MAX_KEY = 1024  # bytes that may be derived


class Undecryptable(Exception):
    """The padding or the tag is wrong: another password, or changed bytes."""


class Scheme(NamedTuple):
    """PBES2's parameters. `sha1` says that PBKDF2 is with HMAC-SHA-1, which decrepit.py does."""

    kdf: Kdf
    sha1: bool
    cipher: Algorithm


def read_kdf(found: Algorithm, default_length: int | None, source: Source, where: str) -> tuple[Kdf, bool]:
    """(derivation, whether it is with SHA-1). Raises DerError, TooExpensive, UnsupportedType."""
    inner = parameters(found, "the key derivation")
    if found.oid == PBKDF2:
        return _read_pbkdf2(inner, default_length, source, where)
    if found.oid != SCRYPT:
        raise UnsupportedType(f"{where} derives its key with {found.oid}, which is neither PBKDF2 nor scrypt")
    salt = inner.octets("the salt")
    n, r, p = (inner.integer(what) for what in ("scrypt's cost", "scrypt's block size", "scrypt's parallelization"))
    length = _length(inner, default_length, where)
    inner.done("the key derivation")
    if n < 2 or n & (n - 1) or not r or not p:
        raise DerError("scrypt's parameters are not a power of two and two positive numbers")
    source.allow_scrypt(n, r, p, where)
    return Scrypt(salt, n, r, p, length), False


def _read_pbkdf2(inner: Reader, default_length: int | None, source: Source, where: str) -> tuple[Kdf, bool]:
    salt, iterations = inner.octets("the salt"), inner.integer("the iteration count")
    length = _length(inner, default_length, where)
    prf = read_algorithm(inner, "the pseudo-random function").oid if inner.peek() >= 0 else HMAC_SHA1
    inner.done("the key derivation")
    if not iterations:
        raise DerError("the iteration count is zero")
    if prf != HMAC_SHA1 and prf not in HMACS:
        raise UnsupportedType(f"{where} derives its key with the function {prf}, which openmid does not know")
    found = Pbkdf2(salt, iterations, length, HMACS.get(prf, ""))
    source.allow(found.rounds(), where)
    return found, prf == HMAC_SHA1


def _length(inner: Reader, default: int | None, where: str) -> int:
    if inner.peek() != der.INTEGER:
        if default is None:
            raise DerError("the key length is missing")
        return default
    length = inner.integer("the key length")
    if length > MAX_KEY:
        raise too_expensive(where, f"a derived key of {length} bytes (at most {MAX_KEY} are allowed)")
    if not length:
        raise DerError("the key length is zero")
    return length


def derive(kdf: Kdf, sha1: bool, secret: bytes, source: Source, where: str) -> bytes:
    """Raises NotApproved, OldAlgorithm."""
    if sha1:
        assert isinstance(kdf, Pbkdf2)
        return bytes(source.decrepit("PBKDF2 with HMAC-SHA-1", where).pbkdf2(kdf, secret))
    source.refuse_unless_approved("scrypt" if isinstance(kdf, Scrypt) else "PBKDF2", where)
    try:
        return kdf.derive(secret)
    except DerivationRefusedError as error:
        raise source.not_approved(str(error), where) from error


def read_scheme(found: Algorithm, source: Source, where: str) -> Scheme:
    """Raises DerError, TooExpensive, UnsupportedType."""
    inner = parameters(found, "the encryption")
    kdf_algorithm, cipher = read_algorithm(inner, "the key derivation"), read_algorithm(inner, "the cipher")
    inner.done("the encryption")
    size = _AES.get(cipher.oid) or _OLD_CIPHERS.get(cipher.oid)
    if size is None:
        raise UnsupportedType(f"{where} is encrypted with {cipher.oid}, which openmid does not know")
    kdf, sha1 = read_kdf(kdf_algorithm, size, source, where)
    if cipher.oid in _AES and kdf.length != size:
        raise DerError(f"the cipher's key has {kdf.length} bytes, not {size}")
    return Scheme(kdf, sha1, cipher)


def cost(found: Algorithm, source: Source, where: str) -> int:
    """The work of one try of a password: iterations, or scrypt's N * r * p. Within the caps.

    Raises DerError, TooExpensive, UnsupportedType.
    """
    if found.oid == PBES2:
        kdf = read_scheme(found, source, where).kdf
        return kdf.rounds() if isinstance(kdf, Pbkdf2) else kdf.n * kdf.r * kdf.p
    inner = parameters(found, "the encryption")
    inner.octets("the salt")
    iterations = inner.integer("the iteration count")
    source.allow(iterations, where)
    return iterations


def decrypt(found: Algorithm, content: bytes, reading: Reading, source: Source, where: str) -> bytes:
    """The clear bytes under one reading of the password.

    Raises Undecryptable, DerError, TooExpensive, UnsupportedType, OldAlgorithm, NotApproved.
    """
    source.spend(cost(found, source, where))
    if found.oid != PBES2:
        return _decrypt_old(found, content, reading, source, where)
    scheme = read_scheme(found, source, where)
    key = derive(scheme.kdf, scheme.sha1, reading.raw, source, where)
    if scheme.cipher.oid in AES_GCM:
        return aes_gcm(key, scheme.cipher, content)
    if scheme.cipher.oid in AES_CBC:
        outer = Reader(scheme.cipher.parameters)
        iv = outer.octets("the initial vector")
        outer.done("the cipher")
        return aes_cbc(key, iv, content)
    old = source.decrepit("triple DES, RC2 or DES", where)
    return bytes(old.pbes2_cipher(scheme.cipher, key, content))


def _decrypt_old(found: Algorithm, content: bytes, reading: Reading, source: Source, where: str) -> bytes:
    from openmid.keystore.names import OLD_SCHEMES

    if found.oid not in OLD_SCHEMES:
        raise UnsupportedType(f"{where} is encrypted with {found.oid}, which openmid does not know")
    old = source.decrepit(OLD_SCHEMES[found.oid], where)
    return bytes(old.decrypt(found, content, reading))


def aes_cbc(key: bytes, iv: bytes, content: bytes) -> bytes:
    """AES in CBC mode with PKCS#7 padding. Raises DerError, Undecryptable."""
    if len(iv) != 16:
        raise DerError(f"the initial vector has {len(iv)} bytes, not 16")
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.algorithms import AES
    from cryptography.hazmat.primitives.ciphers.modes import CBC

    if not content or len(content) % 16:
        raise Undecryptable
    try:
        decryptor = Cipher(AES(key), CBC(iv)).decryptor()
        clear = decryptor.update(content)
        decryptor.finalize()
        return unpadded(clear, 16)
    except refusals() as error:
        raise Damaged(f"a key or vector does not fit AES: {error}") from error


def aes_gcm(key: bytes, cipher: Algorithm, content: bytes) -> bytes:
    """AES in Galois/Counter Mode, as Bouncy Castle writes PKCS#12 if asked to. Raises DerError, Undecryptable."""
    inner = parameters(cipher, "the cipher")
    nonce = inner.octets("the nonce")
    length = inner.integer("the tag's length") if inner.peek() >= 0 else 12
    inner.done("the cipher")
    if not 8 <= len(nonce) <= 16 or not 12 <= length <= 16:
        raise DerError("the cipher's nonce or tag has a length that GCM does not allow")
    if len(content) < length:
        raise Undecryptable
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.algorithms import AES
    from cryptography.hazmat.primitives.ciphers.modes import GCM

    try:
        decryptor = Cipher(AES(key), GCM(nonce, content[-length:], length)).decryptor()
        return decryptor.update(content[:-length]) + decryptor.finalize()
    except refusals(InvalidTag) as error:
        raise Undecryptable from error


def aes_cbc_encrypt(key: bytes, iv: bytes, clear: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.algorithms import AES
    from cryptography.hazmat.primitives.ciphers.modes import CBC

    encryptor = Cipher(AES(key), CBC(iv)).encryptor()
    missing = 16 - len(clear) % 16
    return encryptor.update(clear + bytes([missing]) * missing) + encryptor.finalize()


def unpadded(clear: bytes, block: int) -> bytes:
    """Without the padding of PKCS#7 (RFC 5652, 6.3). Raises Undecryptable."""
    count = clear[-1] if clear else 0
    if not 1 <= count <= block or not clear.endswith(bytes([count]) * count):
        raise Undecryptable
    return clear[:-count]
