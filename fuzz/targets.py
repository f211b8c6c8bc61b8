"""What is fuzzed, without the fuzzer: each target turns any bytes into a keystore and opens it.

A target that checks its bytes first (an integrity code) gets it made right here, so that the parser behind it is reached.
`exercise` is the property: nothing but KeystoreError's tree, in one line, leaves the library; and what opened can be
written as BCFKS and read again, the same.
"""

from __future__ import annotations

import hashlib
import hmac
import importlib
import pkgutil
from collections.abc import Callable
from contextlib import suppress
from types import ModuleType

from openmid import keystore
from openmid.keystore import bcfks as bcfks_format
from openmid.keystore import der, java_objects, pkcs12_write
from openmid.keystore.keytool import describe

PASSWORD = "changeit"  # the vectors'
SEAL = b"fuzz"  # salt and nonce of everything sealed here
TERMS = keystore.Terms(max_iterations=4096, max_scrypt_memory=1 << 20)  # an execution should take microseconds


def as_it_is(data: bytes) -> bytes:
    return data


def bcfks(content: bytes) -> bytes:
    """ObjectStoreData, under the password: PBKDF2 with one iteration, AES-256-CCM, HMAC-SHA512."""
    from cryptography.hazmat.primitives.ciphers.aead import AESCCM

    nonce = SEAL * 3
    key = _bcfks_key("STORE_ENCRYPTION", 32)
    cipher = _algorithm("2.16.840.1.101.3.4.1.47", der.sequence(der.octets(nonce), der.integer(8)))
    pbes2 = _algorithm("1.2.840.113549.1.5.13", der.sequence(_pbkdf2(32), cipher))
    protected = der.sequence(pbes2, der.octets(AESCCM(key, tag_length=8).encrypt(nonce, content, None)))
    check = hmac.digest(_bcfks_key("INTEGRITY_CHECK", 64), protected, "sha512")
    hmac_sha512 = _algorithm("1.2.840.113549.2.11", der.null())
    return der.sequence(protected, der.sequence(hmac_sha512, _pbkdf2(64), der.octets(check)))


def bcfks_content(store: bytes) -> bytes:
    """The inverse of `bcfks`, for any store under AES-CCM with one iteration."""
    from cryptography.hazmat.primitives.ciphers.aead import AESCCM

    protected = der.Reader(store).sequence("store").sequence("protected")
    parameters = protected.sequence("algorithm")
    parameters.oid("pbes2")
    parameters = parameters.sequence("parameters")
    kdf, cipher = parameters.sequence("kdf"), parameters.sequence("cipher")
    kdf.oid("pbkdf2")
    cipher.oid("ccm")
    salt, nonce = kdf.sequence("parameters").octets("salt"), cipher.sequence("parameters").octets("nonce")
    key = _bcfks_key("STORE_ENCRYPTION", 32, salt)
    return AESCCM(key, tag_length=8).decrypt(nonce, protected.octets("content"), None)


def _algorithm(oid: str, parameters: bytes) -> bytes:
    return der.sequence(der.oid(oid), parameters)


def _pbkdf2(length: int) -> bytes:
    prf = _algorithm("1.2.840.113549.2.11", der.null())
    parameters = der.sequence(der.octets(SEAL), der.integer(1), der.integer(length), prf)
    return _algorithm("1.2.840.113549.1.5.12", parameters)


def _bcfks_key(purpose: str, length: int, salt: bytes = SEAL) -> bytes:
    secret = (PASSWORD + "\0" + purpose + "\0").encode("utf-16-be")
    return hashlib.pbkdf2_hmac("sha512", secret, salt, 1, length)


def pkcs12(authenticated_safe: bytes) -> bytes:
    """A PFX (RFC 7292, 4) without an integrity code."""
    data = _algorithm("1.2.840.113549.1.7.1", der.tlv(der.context(0), der.octets(authenticated_safe)))
    return der.sequence(der.integer(3), data)


def java(body: bytes) -> bytes:
    """JKS and JCEKS end with SHA-1 over the password, a phrase and everything before."""
    return body + hashlib.sha1(PASSWORD.encode("utf-16-be") + b"Mighty Aphrodite" + body).digest()


def bks(body: bytes) -> bytes:
    """BKS ends with an HMAC-SHA1 over everything between its head (version, salt, iterations) and itself."""
    size = int.from_bytes(body[4:8], "big")
    salt, iterations = body[8 : 8 + size], int.from_bytes(body[8 + size : 12 + size], "big")
    if size > len(body) or not 0 < iterations <= TERMS.max_iterations or not salt:
        return body
    key_size = 2 if body[:4] == b"\0\0\0\1" else 20  # bytes; version 1 has 16 bits by an old mistake
    key = _pkcs12_mac_key(salt, iterations)[:key_size]
    return body + hmac.digest(key, body[12 + size :], "sha1")


def _pkcs12_mac_key(salt: bytes, iterations: int) -> bytes:
    """RFC 7292, B.2 with SHA-1 and ID 3, one block."""
    secret = (PASSWORD + "\0").encode("utf-16-be")
    filled = b"".join((text * 64)[: 64 * -(-len(text) // 64)] for text in (salt, secret))
    digest = b"\3" * 64 + filled
    for _ in range(iterations):
        digest = hashlib.sha1(digest).digest()
    return digest


def certificate(data: bytes) -> None:
    """What keytool -printcert says of one."""
    describe.weaknesses(data)
    describe.certificate(data)


def java_object(data: bytes) -> None:
    """A secret key of JCEKS, sealed or already opened."""
    java_objects.end_of_object(data, 0, len(data), "it")
    for read in (java_objects.sealed_object, java_objects.secret_key):
        with suppress(keystore.KeystoreError):
            read(data, "it")


# Targets that are no whole store.
PARTS = {"certificate": certificate, "java-object": java_object}


DRESS: dict[str, Callable[[bytes], bytes]] = {
    "bcfks": as_it_is,
    "bcfks-content": bcfks,
    "pkcs12": as_it_is,
    "pkcs12-content": pkcs12,
    "jks": java,
    "jceks": java,
    "bks": bks,
    "pem": as_it_is,
    "der": as_it_is,
    "certificate": as_it_is,
    "java-object": as_it_is,
}
NOT_DER = ("jks", "jceks", "bks", "pem", "java-object")  # which the mutation that knows DER is no good for


def keystore_modules() -> list[ModuleType]:
    """Every module of the library, imported."""
    names = [module.name for module in pkgutil.walk_packages(keystore.__path__, "openmid.keystore.")]
    return [importlib.import_module(name) for name in names if not name.endswith("__main__")]


def exercise(target: str, data: bytes) -> bool:
    """Open what the bytes make; True if it opened. Raises whatever should not have been raised."""
    try:
        if target in PARTS:
            PARTS[target](data)
            return True
        store = keystore.loads(DRESS[target](data), PASSWORD, terms=TERMS)
        open_keys(store)
        again(store)
    except keystore.KeystoreError as error:
        lines = (str(error), error.hint)
        assert lines[0] and not any("\n" in line for line in lines), lines
        return False
    return True


def open_keys(store: keystore.KeyStore) -> None:
    """Each by itself: one that does not open is no reason not to try the next."""
    for alias in store:
        entry = store[alias]
        if isinstance(entry, keystore.KeyEntry):
            try:
                entry.reveal()
                if isinstance(entry, keystore.PbeKeyEntry):
                    _ = entry.data
            except keystore.KeystoreError as error:
                assert str(error) and "\n" not in str(error), str(error)


def again(store: keystore.KeyStore) -> None:
    """Written and read again it is the same. Raises Unstorable and the like of the writing only."""
    for write in (bcfks_format.write, pkcs12_write.write):
        data = write(store, PASSWORD, 1)
        try:
            back = keystore.loads(data, PASSWORD, terms=TERMS)
            same = facts(back) == facts(store) if back.type == "BCFKS" else keys(back) == keys(store)
        except keystore.KeystoreError as error:
            raise AssertionError(f"what we wrote is not read: {error}") from error
        assert same, f"what we wrote as {back.type} is read as something else"


def facts(store: keystore.KeyStore) -> dict[str, tuple[object, ...]]:
    """What must survive."""
    found: dict[str, tuple[object, ...]] = {}
    for alias in store:
        entry = store[alias]
        if isinstance(entry, keystore.PrivateKeyEntry):
            found[alias] = ("private", revealed(entry), entry.certificates)
        elif isinstance(entry, keystore.KeyEntry):
            found[alias] = ("secret", revealed(entry))
        elif isinstance(entry, keystore.TrustedCertificateEntry):
            found[alias] = ("certificate", entry.certificate)
        else:
            found[alias] = (type(entry).__name__,)
    return found


def keys(store: keystore.KeyStore) -> list[object]:
    """The private keys; PKCS12 changes aliases and the order."""
    return sorted(fact[1] or b"" for fact in facts(store).values() if fact[0] == "private")  # type: ignore[type-var]


def revealed(entry: keystore.KeyEntry) -> object:
    try:
        return entry.reveal()
    except keystore.KeystoreError:
        return None  # sealed; it stays so
