"""BCFKS, read. The format is told in docs/bcfks.md; the pieces of ASN.1 are named as there."""

from __future__ import annotations

from typing import NamedTuple

from openmid.keystore import bcfks_crypto as crypto
from openmid.keystore import der
from openmid.keystore.algorithm import Algorithm, read_algorithm
from openmid.keystore.bcfks_crypto import Form, Tampered
from openmid.keystore.der import DerError, Reader
from openmid.keystore.entries import (
    Entry,
    OpaqueEntry,
    PbeKeyEntry,
    PrivateKeyEntry,
    SecretKeyEntry,
    TrustedCertificateEntry,
)
from openmid.keystore.errors import Damaged, TooExpensive, WrongKeyPassword, WrongPassword
from openmid.keystore.kdf import DerivationRefusedError, Kdf, Pbkdf2
from openmid.keystore.store import KeyStore
from openmid.keystore.terms import Source

CERTIFICATE, PRIVATE_KEY, SECRET_KEY, PROTECTED_PRIVATE_KEY, PROTECTED_SECRET_KEY, PBE_KEY = range(6)
PURPOSES = {
    PRIVATE_KEY: crypto.PRIVATE_KEY_ENCRYPTION,
    PROTECTED_PRIVATE_KEY: crypto.PRIVATE_KEY_ENCRYPTION,
    SECRET_KEY: crypto.SECRET_KEY_ENCRYPTION,
    PROTECTED_SECRET_KEY: crypto.SECRET_KEY_ENCRYPTION,
    PBE_KEY: crypto.SECRET_KEY_ENCRYPTION,
}


class SealedKey:
    """A key as it lies in a BCFKS store: how it is encrypted, and the ciphertext."""

    def __init__(self, where: str, object_type: int, algorithm: Algorithm, content: bytes, source: Source) -> None:
        self.where = where
        self.source = source
        self.object_type = object_type
        self.algorithm = algorithm
        self.content = content

    def encoded(self) -> bytes:
        """EncryptedPrivateKeyInfo, which EncryptedSecretKeyData looks like."""
        return der.sequence(self.algorithm.raw, der.octets(self.content))

    def iterations(self) -> int:
        """Of its derivation; 0 for what is not BCFKS's own scheme."""
        try:
            kdf = crypto.read_opening(self.algorithm, self.source, self.where).kdf
        except (DerError, TooExpensive):
            return 0
        return kdf.iterations if isinstance(kdf, Pbkdf2) else 0

    def open(self, password: str | None) -> bytes:
        """The clear key. Raises WrongKeyPassword, NotApproved, TooExpensive, Damaged."""
        try:
            opening = crypto.read_opening(self.algorithm, self.source, self.where)
            key = crypto.derive(opening.kdf, password, PURPOSES[self.object_type])
            return crypto.decrypt(opening.cipher, key, self.content)
        except DerivationRefusedError as error:
            raise self.source.not_approved(str(error), self.where) from error
        except DerError as error:
            return self._open_foreign(password, error)
        except Tampered as error:
            raise self._wrong_password() from error

    def _wrong_password(self) -> WrongKeyPassword:
        return WrongKeyPassword(
            f"{self.where} does not open with this password: it has a password of its own",
            "give the key's own password (keytool: -srckeypass); Java's keytool leaves a key under its old store's",
        )

    def _open_foreign(self, password: str | None, error: DerError) -> bytes:
        """Type 3 holds whatever EncryptedPrivateKeyInfo its writer supplied; cryptography knows the common ones."""
        if self.object_type != PROTECTED_PRIVATE_KEY:
            raise Damaged(f"{self.where} is damaged: {error}") from error
        from openmid.keystore import private_key

        return private_key.open_encrypted(self.encoded(), password, self.source, self.where)


class Envelope(NamedTuple):
    """ObjectStore, its outer layer: what is encrypted, and what vouches for it."""

    protected: memoryview  # raw DER of storeData: what the MAC or the signature covers
    encryption: Algorithm | None  # None: storeData is plain
    content: memoryview
    integrity: Algorithm
    kdf: Algorithm | None  # None: signed
    check: bytes


def _read_envelope(data: bytes) -> Envelope:
    outer = Reader(data)
    body = outer.sequence("the keystore")
    outer.done("the keystore")
    start = body.position
    inner = body.sequence("the store data")
    protected = memoryview(data)[start : body.position]
    encryption, content = None, protected
    if inner.peek() == der.SEQUENCE:
        encryption = read_algorithm(inner, "the encryption")
        content = inner.octets_view("the encrypted content")
        inner.done("the store data")
    if body.peek() == der.context(0):
        signature = body.element(der.context(0), "the signature")
        envelope = Envelope(protected, encryption, content, *_read_signature(signature.sequence("the signature")))
        signature.done("the signature")
    else:
        integrity = body.sequence("the integrity check")
        mac = read_algorithm(integrity, "the integrity algorithm")
        kdf = read_algorithm(integrity, "the integrity key's derivation")
        envelope = Envelope(protected, encryption, content, mac, kdf, integrity.octets("the integrity code"))
        integrity.done("the integrity check")
    body.done("the keystore")
    return envelope


def _read_signature(body: Reader) -> tuple[Algorithm, None, bytes]:
    """SignatureCheck; certificates in it prove nothing: whoever changes the store can change them."""
    found = read_algorithm(body, "the signature's algorithm")
    if body.peek() == der.context(0):
        body.any("the signer's certificates")
    bits = body.element(der.BIT_STRING, "the signature").rest()
    body.done("the signature")
    if bits[:1] != b"\0":
        raise DerError("the signature is not whole bytes")
    return found, None, bits[1:]


def read(data: bytes, password: str | None, source: Source) -> KeyStore:
    """Verify and decrypt a store.

    Raises WrongPassword, Unverified, Damaged, TooExpensive, NotApproved.
    """
    try:
        envelope = _read_envelope(data)
        clear = _open_envelope(envelope, password, source)
        return _read_objects(clear, envelope.integrity, password, source)
    except DerError as error:
        raise crypto.damaged(source.name, error) from error
    except DerivationRefusedError as error:
        raise source.not_approved(str(error), source.name) from error


def _open_envelope(envelope: Envelope, password: str | None, source: Source) -> bytes:
    """The MAC or the signature is checked before anything is decrypted; both keys are derived at once."""
    jobs: list[tuple[Kdf, str | None, str]] = []
    opening = crypto.read_opening(envelope.encryption, source, source.name) if envelope.encryption else None
    if opening:
        jobs.append((opening.kdf, password, crypto.STORE_ENCRYPTION))
    if envelope.kdf:
        jobs.append((crypto.read_kdf(envelope.kdf, None, source, source.name), password, crypto.INTEGRITY_CHECK))
        keys = _checked(envelope, jobs, source)
    else:
        from openmid.keystore import bcfks_signature

        bcfks_signature.verify(envelope.integrity, envelope.check, envelope.protected, source)
        keys = crypto.derive_all(jobs)
    if opening is None:
        return bytes(envelope.content)
    try:
        return crypto.decrypt(opening.cipher, keys[0], envelope.content)
    except Tampered as error:
        if envelope.kdf is None:
            raise WrongPassword(f"the password does not open {source.name}, whose signature is right") from error
        name = source.name
        raise Damaged(f"{name} is damaged: its content does not decrypt, though its integrity code is right") from error


def _checked(envelope: Envelope, jobs: list[tuple[Kdf, str | None, str]], source: Source) -> list[bytes]:
    """The derived keys, after the last of them has shown the integrity code to be right."""
    digest = crypto.HMAC_DIGESTS.get(envelope.integrity.oid)
    if digest is None:
        raise DerError(f"the integrity algorithm {envelope.integrity.oid} is not one that BCFKS knows")
    keys = crypto.derive_all(jobs)
    if not crypto.same(crypto.mac(digest, keys[-1], envelope.protected), envelope.check):
        raise WrongPassword(
            f"the password does not open {source.name} (or the file was changed since it was written)",
            "check the keystore's password; the two cases cannot be told apart",
        )
    return keys


def _read_objects(clear: bytes, integrity: Algorithm, password: str | None, source: Source) -> KeyStore:
    """ObjectStoreData."""
    outer = Reader(clear)
    body = outer.sequence("the object store")
    outer.done("the object store")
    if (version := body.integer("the version")) != 1:
        raise DerError(f"the version is {version}, not 1")
    if body.any("the integrity algorithm") != integrity.raw:
        raise DerError("the integrity algorithm inside is not the one outside")
    store = KeyStore("BCFKS", source.name)
    store.created = body.time("the creation date")
    body.time("the last modified date")
    objects = body.sequence("the entries")
    while objects.peek() >= 0:
        _read_object(objects.sequence("an entry"), store, password, source)
    if body.peek() == der.UTF8_STRING:
        store.comment = body.utf8("the comment")
    body.done("the object store")
    return store


def _read_object(body: Reader, store: KeyStore, password: str | None, source: Source) -> None:
    """ObjectData."""
    object_type = body.integer("an entry's type")
    alias = body.utf8("an entry's alias")
    created = body.time(f"the creation date of '{alias}'")
    modified = body.time(f"the last modified date of '{alias}'")
    content = body.octets(f"the content of '{alias}'")
    comment = body.utf8(f"the comment of '{alias}'") if body.peek() == der.UTF8_STRING else None
    body.done(f"the entry '{alias}'")
    entry = _entry(object_type, content, f"the key '{alias}' of {store.name}", password, source)
    store.put(alias, entry)
    entry.stamp(created, modified, comment)


def _entry(object_type: int, content: bytes, where: str, password: str | None, source: Source) -> Entry:
    if object_type == CERTIFICATE:
        return TrustedCertificateEntry(content)
    if object_type not in PURPOSES:
        return OpaqueEntry(object_type, content)
    if object_type == PROTECTED_SECRET_KEY:
        return _protected_secret_key(content, where, password, source)
    body = Reader(content).sequence(where)
    if object_type in (SECRET_KEY, PBE_KEY):
        kind = SecretKeyEntry if object_type == SECRET_KEY else PbeKeyEntry
        return kind(None, _sealed(body, where, object_type, source), password)
    sealed = _sealed(body.sequence(where), where, object_type, source)
    certificates = []
    chain = body.sequence(f"the certificates of {where}")
    while chain.peek() >= 0:
        certificates.append(chain.any(f"a certificate of {where}"))
    body.done(where)
    return PrivateKeyEntry(None, tuple(certificates), sealed, password)


def _protected_secret_key(content: bytes, where: str, password: str | None, source: Source) -> Entry:
    """Bouncy Castle takes any bytes for one; what is not protected in BCFKS's own way is not looked into."""
    try:
        sealed = _sealed(Reader(content).sequence(where), where, PROTECTED_SECRET_KEY, source)
        crypto.read_opening(sealed.algorithm, source, where)
    except DerError:
        return OpaqueEntry(PROTECTED_SECRET_KEY, content)
    except TooExpensive:
        pass  # whoever asks for the key is told
    return SecretKeyEntry(None, sealed, password)


def _sealed(body: Reader, where: str, object_type: int, source: Source) -> SealedKey:
    found = read_algorithm(body, f"the encryption of {where}")
    content = body.octets(f"the content of {where}")
    body.done(where)
    return SealedKey(where, object_type, found, content, source)


def write(store: KeyStore, password: str | None, iterations: int = crypto.ITERATIONS, form: Form = Form()) -> bytes:  # noqa: B008
    """The store's bytes: `bcfks_write.write`, with any number of iterations. Raises Unstorable."""
    from openmid.keystore import bcfks_write

    return bcfks_write.write(store, password, form._replace(iterations=iterations))
