"""Stores of Java's old formats, built by hand: cheap to open, and with content that Java would not write."""

from __future__ import annotations

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.modes import CBC

from openmid.keystore import decrepit, der, kdf
from openmid.keystore.algorithm import algorithm

MOMENT = (1_700_000_000_000).to_bytes(8, "big")


def text(value: str) -> bytes:
    raw = value.encode()
    return len(raw).to_bytes(2, "big") + raw


def block(value: bytes) -> bytes:
    return len(value).to_bytes(4, "big") + value


def number(value: int) -> bytes:
    return value.to_bytes(4, "big")


def java_certificate(certificate: bytes) -> bytes:
    return text("X.509") + block(certificate)


def jks(*entries: bytes, password: str = "password", magic: str = "feedfeed", version: int = 2) -> bytes:
    content = bytes.fromhex(magic) + number(version) + number(len(entries)) + b"".join(entries)
    return content + decrepit.jks_digest(password, memoryview(content))


def jks_trusted(alias: str, certificate: bytes) -> bytes:
    return number(2) + text(alias) + MOMENT + java_certificate(certificate)


def jks_key(
    alias: str, key: bytes, certificates: tuple[bytes, ...], password: str = "password", iterations: int = 0
) -> bytes:
    """Under JKS's protector; with iterations under JCEKS's."""
    if iterations:
        info = jceks_info(key, password, iterations)
    else:
        info = der.sequence(algorithm("1.3.6.1.4.1.42.2.17.1.1"), der.octets(jks_protected(key, password)))
    chain = number(len(certificates)) + b"".join(map(java_certificate, certificates))
    return number(1) + text(alias) + MOMENT + block(info) + chain


def jks_protected(key: bytes, password: str) -> bytes:
    secret, value, stream = password.encode("utf-16-be"), b"s" * 20, b""
    while len(stream) < len(key):
        value = decrepit._hash("sha1", secret + value)
        stream += value
    covered = bytes(a ^ b for a, b in zip(key, stream, strict=False))
    return b"s" * 20 + covered + decrepit._hash("sha1", secret + key)


def triple_des(key: bytes, iv: bytes, clear: bytes) -> bytes:
    missing = 8 - len(clear) % 8
    encryptor = Cipher(TripleDES(key), CBC(iv)).encryptor()
    return encryptor.update(clear + bytes([missing]) * missing) + encryptor.finalize()


def jceks_sealed(clear: bytes, password: str, iterations: int) -> bytes:
    derived = b""
    for half in (b"salt", b"SALT"):
        value = half
        for _ in range(iterations):
            value = decrepit._hash("md5", value + password.encode())
        derived += value
    return triple_des(derived[:24], derived[24:32], clear)


def jceks_parameters(iterations: int) -> bytes:
    return der.sequence(der.octets(b"saltSALT"), der.integer(iterations))


def jceks_info(clear: bytes, password: str, iterations: int) -> bytes:
    protector = algorithm("1.3.6.1.4.1.42.2.19.1", jceks_parameters(iterations))
    return der.sequence(protector, der.octets(jceks_sealed(clear, password, iterations)))


# Java's serialisation, as javax.crypto writes it.
START = bytes.fromhex("aced0005")
_BYTES = b"\x75\x72" + text("[B") + bytes.fromhex("acf317f8060854e002000078") + b"\x70"


def java_class(name: str, fields: bytes, count: int, parent: bytes = b"\x70") -> bytes:
    return b"\x72" + text(name) + b"\1" * 8 + b"\2" + count.to_bytes(2, "big") + fields + b"\x78" + parent


def java_string(value: str) -> bytes:
    return b"\x74" + text(value)


def java_bytes(value: bytes) -> bytes:
    return _BYTES + block(value)


def secret_key_spec(name: str, key: bytes, cls: str = "javax.crypto.spec.SecretKeySpec") -> bytes:
    fields = b"L" + text("algorithm") + java_string("Ljava/lang/String;") + b"[" + text("key") + java_string("[B")
    return START + b"\x73" + java_class(cls, fields, 2) + java_string(name) + java_bytes(key)


def sealed_object(
    clear: bytes, password: str = "password", iterations: int = 1, by: str = "PBEWithMD5AndTripleDES"
) -> bytes:
    fields = b"[" + text("encodedParams") + java_string("[B") + b"[" + text("encryptedContent") + java_string("[B")
    fields += b"L" + text("paramsAlg") + java_string("Ljava/lang/String;")
    fields += b"L" + text("sealAlg") + java_string("Ljava/lang/String;")
    parent = java_class("javax.crypto.SealedObject", fields, 4)
    child = java_class("com.sun.crypto.provider.SealedObjectForKeyProtector", b"", 0, parent)
    values = java_bytes(jceks_parameters(iterations)) + java_bytes(jceks_sealed(clear, password, min(iterations, 10)))
    return START + b"\x73" + child + values + java_string(by) + java_string(by)


def jceks_secret(alias: str, sealed: bytes) -> bytes:
    return number(3) + text(alias) + MOMENT + sealed


def bks(*entries: bytes, password: str = "password", version: int = 2, iterations: int = 1) -> bytes:
    content = b"".join(entries) + b"\0"
    code = decrepit.bks_mac(password, b"s" * 20, min(iterations, 10), 20 if version == 2 else 2, memoryview(content))
    return number(version) + block(b"s" * 20) + number(iterations) + content + code


def bks_certificate(alias: str, certificate: bytes) -> bytes:
    return b"\1" + text(alias) + MOMENT + number(0) + java_certificate(certificate)


def bks_key(
    alias: str,
    kind: int,
    name: str,
    key: bytes,
    certificates: tuple[bytes, ...] = (),
    form: str = "PKCS#8",
    iterations: int = 1,
) -> bytes:
    clear = bytes([kind]) + text(form) + text(name) + block(key)
    secret, salt, rounds = decrepit.bks_secret("password"), b"SALT" * 5, min(iterations, 10)
    derived = kdf.pkcs12("sha1", secret, salt, rounds, 24, 1, 64)
    sealed = triple_des(derived, kdf.pkcs12("sha1", secret, salt, rounds, 8, 2, 64), clear)
    chain = number(len(certificates)) + b"".join(map(java_certificate, certificates))
    return b"\4" + text(alias) + MOMENT + chain + block(block(salt) + number(iterations) + sealed)


def bks_plain(alias: str, kind: int, form: str, name: str, key: bytes) -> bytes:
    return b"\2" + text(alias) + MOMENT + number(0) + bytes([kind]) + text(form) + text(name) + block(key)
