"""What the libcrypto behind the cryptography package must do and must refuse."""

from __future__ import annotations

from cryptography.hazmat.bindings._rust import openssl as rust_openssl
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.serialization import load_der_private_key

from openmid.fips import known_answers as known
from openmid.fips.checks import REFUSED, SUCCEEDS, equal

SHA256 = hashes.SHA256()


def _digest(algorithm: hashes.HashAlgorithm, answer: bytes | None = None) -> None:
    made = hashes.Hash(algorithm)
    made.update(known.MESSAGE)
    digest = made.finalize()
    if answer is not None:
        equal(digest, answer)


def _hmac() -> None:
    made = hmac.HMAC(known.HMAC_KEY, SHA256)
    made.update(known.HMAC_MESSAGE)
    equal(made.finalize(), known.HMAC_SHA256)


def _pbkdf2() -> None:
    kdf = PBKDF2HMAC(hashes.SHA512(), 25, known.PBKDF2_SALT, known.PBKDF2_ITERATIONS)
    equal(kdf.derive(known.PBKDF2_PASSWORD), known.PBKDF2_SHA512)


def _gcm() -> None:
    aead = AESGCM(known.GCM_KEY)
    equal(aead.encrypt(known.GCM_NONCE, known.GCM_CLEAR, known.GCM_DATA), known.GCM_SEALED)
    equal(aead.decrypt(known.GCM_NONCE, known.GCM_SEALED, known.GCM_DATA), known.GCM_CLEAR)


def _ccm() -> None:
    aead = AESCCM(known.CCM_KEY, tag_length=4)
    equal(aead.encrypt(known.CCM_NONCE, known.CCM_CLEAR, known.CCM_DATA), known.CCM_SEALED)
    equal(aead.decrypt(known.CCM_NONCE, known.CCM_SEALED, known.CCM_DATA), known.CCM_CLEAR)


def _rsa(key: bytes) -> rsa.RSAPrivateKey:
    loaded = load_der_private_key(key, None)
    assert isinstance(loaded, rsa.RSAPrivateKey)
    return loaded


def _p256() -> ec.EllipticCurvePrivateKey:
    loaded = load_der_private_key(known.P256_KEY, None)
    assert isinstance(loaded, ec.EllipticCurvePrivateKey)
    return loaded


def _rsa_signature() -> None:
    key = _rsa(known.RSA2048_KEY)
    equal(key.sign(known.MESSAGE, padding.PKCS1v15(), SHA256), known.RSA2048_SIGNATURE)
    key.public_key().verify(known.RSA2048_SIGNATURE, known.MESSAGE, padding.PKCS1v15(), SHA256)


def _rsa_oaep() -> None:
    """As in RSA-OAEP-256 (RFC 7518, section 4.3), in which secrets travel."""
    key = _rsa(known.RSA2048_KEY)
    oaep = padding.OAEP(padding.MGF1(SHA256), SHA256, None)
    equal(key.decrypt(key.public_key().encrypt(known.MESSAGE, oaep), oaep), known.MESSAGE)


def _ecdsa() -> None:
    key = _p256()
    public = key.public_key()
    public.verify(known.P256_SIGNATURE, known.MESSAGE, ec.ECDSA(SHA256))
    public.verify(key.sign(known.MESSAGE, ec.ECDSA(SHA256)), known.MESSAGE, ec.ECDSA(SHA256))


def _chacha20() -> None:
    ChaCha20Poly1305(bytes(32)).encrypt(bytes(12), known.MESSAGE, None)


def _x25519() -> None:
    key = x25519.X25519PrivateKey.from_private_bytes(known.SHA256)
    key.exchange(key.public_key())


def _legacy() -> None:
    if not rust_openssl._legacy_provider_loaded:
        raise ValueError("OpenSSL's legacy provider is not loaded")


OPERATIONS = (
    ("SHA-256", SUCCEEDS, lambda: _digest(SHA256, known.SHA256)),
    ("SHA-512", SUCCEEDS, lambda: _digest(hashes.SHA512(), known.SHA512)),
    ("HMAC-SHA-256", SUCCEEDS, _hmac),
    ("PBKDF2-HMAC-SHA-512", SUCCEEDS, _pbkdf2),
    ("AES-256-GCM", SUCCEEDS, _gcm),
    ("AES-128-CCM", SUCCEEDS, _ccm),
    ("signing and verifying with RSA-2048", SUCCEEDS, _rsa_signature),
    ("RSA-OAEP with SHA-256", SUCCEEDS, _rsa_oaep),
    ("signing and verifying with P-256", SUCCEEDS, _ecdsa),
    ("MD5", REFUSED, lambda: _digest(hashes.MD5())),  # noqa: S303 - it has to be refused
    ("ChaCha20-Poly1305", REFUSED, _chacha20),
    ("scrypt", REFUSED, lambda: Scrypt(known.SHA256, 32, 2, 8, 1).derive(known.MESSAGE)),
    (
        "signing with RSA-1024",
        REFUSED,
        lambda: _rsa(known.RSA1024_KEY).sign(known.MESSAGE, padding.PKCS1v15(), SHA256),
    ),
    ("an X25519 key exchange", REFUSED, _x25519),
    ("loading OpenSSL's legacy provider", REFUSED, _legacy),
)
