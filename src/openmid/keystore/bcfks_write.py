"""BCFKS, written as Bouncy Castle writes it. The format is told in docs/bcfks.md."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from openmid.keystore import bcfks_crypto as crypto
from openmid.keystore import certificate as x509
from openmid.keystore import der
from openmid.keystore.algorithm import algorithm
from openmid.keystore.bcfks import CERTIFICATE, PBE_KEY, PRIVATE_KEY, PURPOSES, SECRET_KEY, SealedKey
from openmid.keystore.bcfks_crypto import Form
from openmid.keystore.entries import (
    Entry,
    KeyEntry,
    OpaqueEntry,
    PbeKeyEntry,
    PrivateKeyEntry,
    SecretKeyEntry,
    TrustedCertificateEntry,
    now,
)
from openmid.keystore.errors import Unstorable, WrongKeyPassword
from openmid.keystore.kdf import Derivations, Kdf
from openmid.keystore.store import KeyStore


class _Plan(NamedTuple):
    """One encryption of a key that a new store needs."""

    alias: str
    entry: KeyEntry
    sealing: crypto.Sealing
    password: str | None


class Ahead:
    """What protects a store, whatever will be in it: salts, a nonce and two keys; and those of one private key.

    A program that knows the password before it has the entries begins with them early: the derivations run in a thread.
    """

    def __init__(self, password: str | None, form: Form, with_key: bool, threads: int = 1) -> None:
        self.terms = (password or "", form)
        self.digest = crypto.HMAC_DIGESTS[form.hmac]
        self.sealing = crypto.new_sealing(form.iterations, form.cipher, self.digest)
        self.mac_kdf = crypto.new_kdf(64, form.iterations, self.digest)
        self.key_sealing = crypto.new_sealing(form.iterations, form.cipher)
        jobs: list[tuple[Kdf, str]] = [
            (self.sealing.kdf, crypto.STORE_ENCRYPTION),
            (self.mac_kdf, crypto.INTEGRITY_CHECK),
            (self.key_sealing.kdf, crypto.PRIVATE_KEY_ENCRYPTION),
        ]
        needed = [partial(crypto.derive, kdf, password, purpose) for kdf, purpose in jobs[: 2 + with_key]]
        self.derivations = Derivations(needed, threads)


def begin(store: KeyStore, password: str | None, form: Form) -> None:
    """Derive ahead what the store will be written with. Raises Unstorable."""
    _check_form(form)
    store.ahead = Ahead(password, form, with_key=True)


def write(store: KeyStore, password: str | None, form: Form) -> bytes:
    """PBKDF2, AES-256 in CCM or key wrap, HMAC. Entries are sealed under PBKDF2-HMAC-SHA512, whatever the store is.

    Every derivation is known beforehand, so all of them run at once. Raises Unstorable, KeyMismatch.
    """
    _check_form(form)
    plans = [
        _plan(alias, entry, password, form) for alias, entry in _keys(store) if not _carried(entry, password, form)
    ]
    first = next(
        (plan for plan in plans if isinstance(plan.entry, PrivateKeyEntry) and plan.password == password), None
    )
    ahead = _taken(store, password, form) or Ahead(password, form, first is not None)
    others = [plan for plan in plans if plan is not first]
    keys = crypto.derive_all(
        [(plan.sealing.kdf, plan.password, PURPOSES[_object_type(plan.entry, True)]) for plan in others]
    )
    store_key, mac_key, *first_key = ahead.derivations.results(3 if first else 2)
    sealed = {plan.alias: _seal(plan, key) for plan, key in zip(others, keys, strict=True)}
    if first:
        sealed[first.alias] = _seal(first._replace(sealing=ahead.key_sealing), first_key[0])
    content = ahead.sealing.encrypt(store_key, _within_limit(_object_store_data(store, sealed, form), form))
    protected = der.sequence(ahead.sealing.identifier(), der.octets(content))
    check = der.octets(crypto.mac(ahead.digest, mac_key, protected))
    integrity = der.sequence(algorithm(form.hmac), crypto.kdf_identifier(ahead.mac_kdf), check)
    return der.sequence(protected, integrity)


def _taken(store: KeyStore, password: str | None, form: Form) -> Ahead | None:
    """What was derived ahead, if it is for this: once, for a nonce under its key serves once."""
    ahead, store.ahead = store.ahead, None
    return ahead if isinstance(ahead, Ahead) and ahead.terms == (password or "", form) else None


def _check_form(form: Form) -> None:
    if form.cipher not in ("CCM", "KWP") or form.digest not in ("SHA-512", "SHA3-512"):
        raise Unstorable(
            f"BCFKS with {form.cipher} and {form.digest} does not exist", "choose CCM or KWP, and SHA-512 or SHA3-512"
        )


def _keys(store: KeyStore) -> list[tuple[str, KeyEntry]]:
    return [(alias, entry) for alias in store if isinstance(entry := store[alias], KeyEntry)]


def _carried(entry: KeyEntry, password: str | None, form: Form) -> bool:
    """True if the ciphertext that was read goes into the new store: its password and cost are right for it."""
    sealed = entry.sealed
    if not isinstance(sealed, SealedKey) or not entry.stays_sealed(password):
        return False
    if entry.own_password is not None or not 0 < sealed.iterations() < form.iterations:
        return True
    try:
        entry.reveal()
    except WrongKeyPassword:
        return True
    return False


def _plan(alias: str, entry: KeyEntry, password: str | None, form: Form) -> _Plan:
    if isinstance(entry, PrivateKeyEntry):
        x509.pair(entry.private_key, entry.certificates, alias)
    elif isinstance(entry, SecretKeyEntry) and not entry.algorithm:
        name = entry.algorithm_name or "no algorithm"
        raise Unstorable(f"the secret key '{alias}' is for {name}, for which BCFKS has no identifier")
    own = entry.own_password
    sealing = crypto.new_sealing(form.iterations, form.cipher)
    return _Plan(alias, entry, sealing, password if own is None else own)


def _object_type(entry: Entry, resealed: bool) -> int:
    """A key that is encrypted anew is an ordinary one, whatever it was before."""
    if isinstance(entry, KeyEntry) and not resealed:
        assert isinstance(entry.sealed, SealedKey)
        return entry.sealed.object_type
    if isinstance(entry, OpaqueEntry):
        return entry.object_type
    types = {PrivateKeyEntry: PRIVATE_KEY, SecretKeyEntry: SECRET_KEY, PbeKeyEntry: PBE_KEY}
    return types.get(type(entry), CERTIFICATE)


def _seal(plan: _Plan, key: bytes) -> bytes:
    content = plan.sealing.encrypt(key, plan.entry.reveal())
    return der.sequence(plan.sealing.identifier(), der.octets(content))


def _object_store_data(store: KeyStore, sealed: dict[str, bytes], form: Form) -> bytes:
    if any(store[alias].has_unusual_attributes() for alias in store):
        store.notes.append("PKCS12 attributes of entries were left out: BCFKS has no place for them")
    objects = b"".join(_object(alias, store[alias], sealed.get(alias)) for alias in store)
    return der.sequence(
        der.integer(1),
        algorithm(form.hmac),
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


def _within_limit(clear: bytes, form: Form) -> bytes:
    if form.cipher == "CCM" and len(clear) > crypto.MAX_CCM:
        raise Unstorable(
            f"the entries take {len(clear)} bytes, and a BCFKS keystore under AES-CCM holds {crypto.MAX_CCM}",
            "write it under AES key wrap: cipher='KWP'",
        )
    return clear
