"""BCFKS, read and written. The format is told in docs/bcfks.md; the pieces of ASN.1 are named as there."""

from __future__ import annotations

from typing import NamedTuple

from openmid.keystore import bcfks_crypto as crypto
from openmid.keystore import der
from openmid.keystore.bcfks_crypto import Algorithm, Limits, ScryptRefusedError, Tampered
from openmid.keystore.der import DerError, Reader
from openmid.keystore.entries import (
    Entry,
    KeyEntry,
    OpaqueEntry,
    PrivateKeyEntry,
    SecretKeyEntry,
    TrustedCertificateEntry,
    now,
)
from openmid.keystore.errors import Damaged, Unstorable, UnsupportedType, WrongKeyPassword, WrongPassword
from openmid.keystore.store import KeyStore

CERTIFICATE, PRIVATE_KEY, SECRET_KEY, PROTECTED_PRIVATE_KEY, PROTECTED_SECRET_KEY = range(5)
_PURPOSES = {
    PRIVATE_KEY: crypto.PRIVATE_KEY_ENCRYPTION,
    PROTECTED_PRIVATE_KEY: crypto.PRIVATE_KEY_ENCRYPTION,
    SECRET_KEY: crypto.SECRET_KEY_ENCRYPTION,
    PROTECTED_SECRET_KEY: crypto.SECRET_KEY_ENCRYPTION,
}


class SealedKey:
    """A key as it lies in a BCFKS store: how it is encrypted, and the ciphertext."""

    def __init__(self, where: str, object_type: int, algorithm: Algorithm, content: bytes) -> None:
        self.where = where
        self.object_type = object_type
        self.algorithm = algorithm
        self.content = content

    def encoded(self) -> bytes:
        """EncryptedPrivateKeyInfo, which EncryptedSecretKeyData looks like."""
        return der.sequence(self.algorithm.raw, der.octets(self.content))

    def open(self, password: str | None) -> bytes:
        """The clear key. Raises WrongKeyPassword, NotApproved, TooExpensive, Damaged."""
        try:
            opening = crypto.read_opening(self.algorithm)
            key = crypto.derive(opening.kdf, password, _PURPOSES[self.object_type])
            return crypto.decrypt(opening.cipher, key, self.content)
        except Limits as limits:
            raise crypto.too_expensive(self.where, limits) from limits
        except ScryptRefusedError as error:
            raise crypto.not_approved(self.where) from error
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

        return private_key.open_encrypted(self.encoded(), password, self.where)


class Envelope(NamedTuple):
    """ObjectStore, its outer layer: what is encrypted, and what vouches for it."""

    protected: bytes  # raw DER of storeData: what the MAC covers
    encryption: Algorithm | None  # None: storeData is plain
    content: bytes
    mac: Algorithm
    kdf: Algorithm
    check: bytes


def _read_envelope(data: bytes, name: str) -> Envelope:
    outer = Reader(data)
    body = outer.sequence("the keystore")
    outer.done("the keystore")
    protected = body.any("the store data")
    if body.peek() == der.context(0):
        raise UnsupportedType(
            f"{name} is protected by a signature instead of a password, and this version does not verify one",
            "import its entries into a keystore with a password where it was made",
        )
    integrity = body.sequence("the integrity check")
    body.done("the keystore")
    mac = crypto.read_algorithm(integrity, "the integrity algorithm")
    kdf = crypto.read_algorithm(integrity, "the integrity key's derivation")
    check = integrity.octets("the integrity code")
    integrity.done("the integrity check")
    inner = Reader(protected).sequence("the store data")
    if inner.peek() != der.SEQUENCE:
        return Envelope(protected, None, protected, mac, kdf, check)
    encryption = crypto.read_algorithm(inner, "the encryption")
    content = inner.octets("the encrypted content")
    inner.done("the store data")
    return Envelope(protected, encryption, content, mac, kdf, check)


def read(data: bytes, password: str | None, name: str) -> KeyStore:
    """Verify and decrypt a store. Raises WrongPassword, Damaged, TooExpensive, NotApproved, UnsupportedType."""
    try:
        envelope = _read_envelope(data, name)
        clear = _open_envelope(envelope, password, name)
        return _read_objects(clear, envelope.mac, password, name)
    except DerError as error:
        raise crypto.damaged(name, error) from error
    except Limits as limits:
        raise crypto.too_expensive(name, limits) from limits
    except ScryptRefusedError as error:
        raise crypto.not_approved(name) from error


def _open_envelope(envelope: Envelope, password: str | None, name: str) -> bytes:
    """The MAC is checked before anything is decrypted; both keys are derived at once."""
    digest = crypto.HMAC_DIGESTS.get(envelope.mac.oid)
    if digest is None:
        raise DerError(f"the integrity algorithm {envelope.mac.oid} is not one that BCFKS knows")
    jobs = [(crypto.read_kdf(envelope.kdf, None), password, crypto.INTEGRITY_CHECK)]
    opening = crypto.read_opening(envelope.encryption) if envelope.encryption else None
    if opening:
        jobs.append((opening.kdf, password, crypto.STORE_ENCRYPTION))
    keys = crypto.derive_all(jobs)
    if not crypto.same(crypto.mac(digest, keys[0], envelope.protected), envelope.check):
        raise WrongPassword(
            f"the password does not open {name} (or the file was changed since it was written)",
            "check the keystore's password; the two cases cannot be told apart",
        )
    if opening is None:
        return envelope.content
    try:
        return crypto.decrypt(opening.cipher, keys[1], envelope.content)
    except Tampered as error:
        raise Damaged(f"{name} is damaged: its content does not decrypt, though its integrity code is right") from error


def _read_objects(clear: bytes, mac: Algorithm, password: str | None, name: str) -> KeyStore:
    """ObjectStoreData."""
    outer = Reader(clear)
    body = outer.sequence("the object store")
    outer.done("the object store")
    if (version := body.integer("the version")) != 1:
        raise DerError(f"the version is {version}, not 1")
    if body.any("the integrity algorithm") != mac.raw:
        raise DerError("the integrity algorithm inside is not the one outside")
    store = KeyStore("BCFKS", name)
    store.created = body.time("the creation date")
    body.time("the last modified date")
    objects = body.sequence("the entries")
    while objects.peek() >= 0:
        _read_object(objects.sequence("an entry"), store, password)
    if body.peek() == der.UTF8_STRING:
        store.comment = body.utf8("the comment")
    body.done("the object store")
    return store


def _read_object(body: Reader, store: KeyStore, password: str | None) -> None:
    """ObjectData."""
    object_type = body.integer("an entry's type")
    alias = body.utf8("an entry's alias")
    created = body.time(f"the creation date of '{alias}'")
    modified = body.time(f"the last modified date of '{alias}'")
    content = body.octets(f"the content of '{alias}'")
    comment = body.utf8(f"the comment of '{alias}'") if body.peek() == der.UTF8_STRING else None
    body.done(f"the entry '{alias}'")
    entry = _entry(object_type, content, f"the key '{alias}' of {store.name}", password)
    store.put(alias, entry)
    entry.stamp(created, modified, comment)


def _entry(object_type: int, content: bytes, where: str, password: str | None) -> Entry:
    if object_type == CERTIFICATE:
        return TrustedCertificateEntry(content)
    if object_type not in _PURPOSES:
        return OpaqueEntry(object_type, content)
    body = Reader(content).sequence(where)
    if object_type in (SECRET_KEY, PROTECTED_SECRET_KEY):
        return SecretKeyEntry(None, _sealed(body, where, object_type), password)
    sealed = _sealed(body.sequence(where), where, object_type)
    certificates = []
    chain = body.sequence(f"the certificates of {where}")
    while chain.peek() >= 0:
        certificates.append(chain.any(f"a certificate of {where}"))
    body.done(where)
    return PrivateKeyEntry(None, tuple(certificates), sealed, password)


def _sealed(body: Reader, where: str, object_type: int) -> SealedKey:
    algorithm = crypto.read_algorithm(body, f"the encryption of {where}")
    content = body.octets(f"the content of {where}")
    body.done(where)
    return SealedKey(where, object_type, algorithm, content)


class _Plan(NamedTuple):
    """One encryption of a key that a new store needs."""

    alias: str
    entry: KeyEntry
    sealing: crypto.Sealing
    password: str | None


def write(store: KeyStore, password: str | None, iterations: int = crypto.ITERATIONS) -> bytes:
    """The store as Bouncy Castle writes it: PBKDF2-HMAC-SHA512, AES-256-CCM, HMAC-SHA512. Raises Unstorable.

    Every derivation is known beforehand, so all of them run at once.
    """
    keys = [(alias, entry) for alias in store if isinstance(entry := store[alias], KeyEntry)]
    plans = [_plan(alias, entry, password, iterations) for alias, entry in keys if not entry.stays_sealed(password)]
    sealing, mac_kdf = crypto.new_sealing(iterations), crypto.new_kdf(64, iterations)
    jobs: list[tuple[crypto.Kdf, str | None, str]] = [
        (sealing.kdf, password, crypto.STORE_ENCRYPTION),
        (mac_kdf, password, crypto.INTEGRITY_CHECK),
    ]
    jobs += [(plan.sealing.kdf, plan.password, _PURPOSES[_object_type(plan.entry, True)]) for plan in plans]
    store_key, mac_key, *entry_keys = crypto.derive_all(jobs)
    sealed = {plan.alias: _seal(plan, key) for plan, key in zip(plans, entry_keys, strict=True)}
    content = sealing.encrypt(store_key, _within_ccm(_object_store_data(store, sealed)))
    protected = der.sequence(sealing.identifier(), der.octets(content))
    check = der.octets(crypto.mac("sha512", mac_key, protected))
    integrity = der.sequence(crypto.algorithm(crypto.HMAC_SHA512), crypto.kdf_identifier(mac_kdf), check)
    return der.sequence(protected, integrity)


def _plan(alias: str, entry: KeyEntry, password: str | None, iterations: int) -> _Plan:
    if isinstance(entry, PrivateKeyEntry) and not entry.certificates:
        raise Unstorable(f"the private key '{alias}' has no certificate, and BCFKS holds a key with its chain")
    own = entry.own_password
    return _Plan(alias, entry, crypto.new_sealing(iterations), password if own is None else own)


def _object_type(entry: Entry, resealed: bool) -> int:
    """A key that is encrypted anew is an ordinary one, whatever it was before."""
    if isinstance(entry, KeyEntry) and not resealed:
        assert isinstance(entry.sealed, SealedKey)
        return entry.sealed.object_type
    if isinstance(entry, OpaqueEntry):
        return entry.object_type
    return {PrivateKeyEntry: PRIVATE_KEY, SecretKeyEntry: SECRET_KEY}.get(type(entry), CERTIFICATE)


def _seal(plan: _Plan, key: bytes) -> bytes:
    content = plan.sealing.encrypt(key, plan.entry.reveal())
    return der.sequence(plan.sealing.identifier(), der.octets(content))


def _object_store_data(store: KeyStore, sealed: dict[str, bytes]) -> bytes:
    objects = b"".join(_object(alias, store[alias], sealed.get(alias)) for alias in store)
    return der.sequence(
        der.integer(1),
        crypto.algorithm(crypto.HMAC_SHA512),
        der.time(store.created),
        der.time(now()),
        der.sequence(objects),
        der.utf8(store.comment) if store.comment is not None else b"",
    )


def _object(alias: str, entry: Entry, sealed: bytes | None) -> bytes:
    comment = der.utf8(entry.comment) if entry.comment is not None else b""
    return der.sequence(
        der.integer(_object_type(entry, sealed is not None)),
        der.utf8(alias),
        der.time(entry.created),
        der.time(entry.modified),
        der.octets(_content(entry, sealed)),
        comment,
    )


def _content(entry: Entry, sealed: bytes | None) -> bytes:
    if isinstance(entry, TrustedCertificateEntry):
        return entry.certificate
    if isinstance(entry, OpaqueEntry):
        return entry.data
    assert isinstance(entry, KeyEntry)
    if sealed is None:
        assert isinstance(entry.sealed, SealedKey)
        sealed = entry.sealed.encoded()
    if isinstance(entry, PrivateKeyEntry):
        return der.sequence(sealed, der.sequence(*entry.certificates))
    return sealed


def _within_ccm(clear: bytes) -> bytes:
    if len(clear) > crypto.MAX_CCM:
        raise Unstorable(
            f"the entries take {len(clear)} bytes, and a BCFKS keystore under AES-CCM holds {crypto.MAX_CCM}"
        )
    return clear
