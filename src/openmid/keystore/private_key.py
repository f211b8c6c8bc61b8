"""Private keys in their shapes, into PKCS#8 (RFC 5958): PKCS#1, SEC1, OpenSSL's DSA, encrypted PKCS#8."""

from __future__ import annotations

from openmid.keystore import der, pbes
from openmid.keystore.algorithm import Algorithm, algorithm, read_algorithm
from openmid.keystore.der import DerError, Reader
from openmid.keystore.errors import Damaged, WrongKeyPassword
from openmid.keystore.passwords import Reading, nss, readings
from openmid.keystore.terms import Source

RSA, EC, DSA = "1.2.840.113549.1.1.1", "1.2.840.10045.2.1", "1.2.840.10040.4.1"
MAX_KEY = 32 * 1024  # bytes; RSA of 16384 bits takes 9.3 KB


def check(key: bytes, where: str) -> bytes:
    """The PKCS#8 key as it is. Raises Damaged where its outline is not PKCS#8's."""
    try:
        _algorithm(key)
    except DerError as error:
        raise Damaged(f"{where} is not a PKCS#8 key: {error}") from error
    return key


def _algorithm(key: bytes) -> tuple[Algorithm, bytes]:
    """(algorithm, the key proper) of OneAsymmetricKey ::= SEQUENCE { version, algorithm, OCTET STRING, ... }."""
    if len(key) > MAX_KEY:
        raise DerError(f"it has {len(key)} bytes, more than any private key")
    outer = Reader(key)
    body = outer.sequence("the private key")
    outer.done("the private key")
    if body.integer("the private key's version") > 1:
        raise DerError("the private key's version is neither 0 nor 1")
    return read_algorithm(body, "the private key's algorithm"), body.octets("the private key's content")


def secret_key(key: bytes) -> tuple[str, bytes]:
    """(algorithm's identifier, bytes) of a secret key that was dressed as PKCS#8, as Java does. Raises DerError."""
    found, content = _algorithm(key)
    return found.oid, content


def open_encrypted(
    data: bytes, password: str | None, source: Source, where: str, likely: list[Reading] | None = None
) -> bytes:
    """An EncryptedPrivateKeyInfo's key, each reading of the password tried; `likely` ones are known from the store.

    Raises WrongKeyPassword, Damaged, UnsupportedType, TooExpensive, NotApproved, OldAlgorithm.
    """
    try:
        outer = Reader(data)
        body = outer.sequence(where)
        outer.done(where)
        found, content = read_algorithm(body, f"the encryption of {where}"), body.octets(f"the content of {where}")
        body.done(where)
        return _open(found, content, likely or _all_readings(password), source, where)
    except DerError as error:
        raise Damaged(f"{where} is damaged: {error}") from error


def _all_readings(password: str | None) -> list[Reading]:
    plain = readings(password)
    return plain if not password else [*plain, nss(plain[0])]


def _open(found: Algorithm, content: bytes, tried: list[Reading], source: Source, where: str) -> bytes:
    seen = set()
    for reading in tried:
        secret = reading.bmp if found.oid.startswith("1.2.840.113549.1.12.") else reading.raw
        if secret in seen:
            continue
        seen.add(secret)
        try:
            return check(pbes.decrypt(found, content, reading, source, where), where)
        except (pbes.Undecryptable, Damaged):  # a wrong key leaves right padding once in 256 times
            continue
    raise WrongKeyPassword(f"the password does not open {where}", "check the private key's password")


def from_pkcs1(key: bytes) -> bytes:
    """RSAPrivateKey (RFC 8017, A.1.2) into PKCS#8."""
    return der.sequence(der.integer(0), algorithm(RSA), der.octets(key))


def from_sec1(key: bytes, where: str) -> bytes:
    """ECPrivateKey (RFC 5915) into PKCS#8: the curve moves into the algorithm. Raises Damaged."""
    try:
        outer = Reader(key)
        body = outer.sequence(where)
        outer.done(where)
        version, secret = body.any("the version"), body.any("the private key")
        curve = body.element(der.context(0), "the curve").rest()
        public = body.any("the public key") if body.peek() == der.context(1) else b""
        body.done(where)
    except DerError as error:
        raise Damaged(f"{where} is damaged: {error}") from error
    return der.sequence(der.integer(0), algorithm(EC, curve), der.octets(der.sequence(version, secret, public)))


def from_dsa(key: bytes, where: str) -> bytes:
    """OpenSSL's SEQUENCE { 0, p, q, g, y, x } into PKCS#8. Raises Damaged."""
    try:
        outer = Reader(key)
        body = outer.sequence(where)
        outer.done(where)
        body.any("the version")
        p, q, g, _, x = (body.any(name) for name in ("p", "q", "g", "y", "x"))
        body.done(where)
    except DerError as error:
        raise Damaged(f"{where} is damaged: {error}") from error
    return der.sequence(der.integer(0), algorithm(DSA, der.sequence(p, q, g)), der.octets(x))


def from_any(key: bytes, password: str | None, source: Source, where: str) -> bytes:
    """A key in DER whose shape is told by its first elements. Raises Damaged and what `open_encrypted` raises."""
    try:
        body = Reader(key).sequence(where)
        tags: list[int] = []
        while body.peek() >= 0 and len(tags) < 9:
            tags.append(body.peek())
            body.any(where)
    except DerError as error:
        raise Damaged(f"{where} is damaged: {error}") from error
    if tags == [der.SEQUENCE, der.OCTET_STRING]:
        return open_encrypted(key, password, source, where)
    if tags[:3] == [der.INTEGER, der.SEQUENCE, der.OCTET_STRING]:
        return check(key, where)
    if tags[:2] == [der.INTEGER, der.OCTET_STRING]:
        return check(from_sec1(key, where), where)
    if tags == [der.INTEGER] * 6:
        return check(from_dsa(key, where), where)
    if tags == [der.INTEGER] * 9:
        return check(from_pkcs1(key), where)
    raise Damaged(f"{where} is not a private key that can be read")


def rsa_numbers(key: bytes) -> tuple[int, int] | None:
    """(modulus, exponent) of a PKCS#8 RSA key whose two primes fit them; None where cryptography has to look.

    Raises DerError for one of more than 16384 bits.
    """
    found, content = _algorithm(key)
    if found.oid != RSA:
        return None
    numbers = Reader(content).sequence("the RSA key")
    values: list[int] = []
    while numbers.peek() == der.INTEGER and len(values) < 9:
        values.append(int.from_bytes(numbers.element(der.INTEGER, "a number").rest(), "big", signed=True))
    if len(values) < 9 or numbers.peek() >= 0:
        return None
    version, n, e, d, p, q, *_ = values
    if n.bit_length() > 16384:
        raise DerError(f"an RSA key of {n.bit_length()} bits is more than anybody uses")
    fits = version == 0 and p > 1 and q > 1 and n == p * q and e > 2
    return (n, e) if fits and e * d % (p - 1) == 1 and e * d % (q - 1) == 1 else None
