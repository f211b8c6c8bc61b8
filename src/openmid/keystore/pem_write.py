"""PEM, written: keys as PKCS#8, encrypted (PBES2, AES-256, HMAC-SHA-256) when there is a password; each with its chain."""

from __future__ import annotations

from base64 import b64encode

from openmid.keystore import certificate as x509
from openmid.keystore import der
from openmid.keystore.entries import PrivateKeyEntry, SecretKeyEntry, TrustedCertificateEntry
from openmid.keystore.errors import Unstorable
from openmid.keystore.pkcs12_write import ITERATIONS, Seal
from openmid.keystore.store import KeyStore


def write(store: KeyStore, password: str | None) -> bytes:
    """Raises Unstorable, KeyMismatch, Damaged."""
    if not len(store):
        raise Unstorable("there is nothing to write into a PEM file")
    found = []
    for alias in store:
        entry = store[alias]
        if isinstance(entry, PrivateKeyEntry):
            if entry.certificates:
                x509.pair(entry.private_key, entry.certificates, alias)
            found.append(_key(entry, password))
            found += [_block("CERTIFICATE", certificate) for certificate in entry.certificates]
        elif isinstance(entry, TrustedCertificateEntry):
            x509.fields(entry.certificate, f"the certificate of '{alias}'")
            found.append(_block("CERTIFICATE", entry.certificate))
        else:
            other = "PKCS12" if isinstance(entry, SecretKeyEntry) else "BCFKS"
            raise Unstorable(
                f"'{alias}' is a {entry.kind}, for which PEM has no form", f"leave it out, or write {other}"
            )
    _note_what_is_lost(store)
    return b"".join(found)


def _note_what_is_lost(store: KeyStore) -> None:
    store.notes.append("aliases, dates and attributes were left out: PEM has no place for them")
    if store.private_keys() and store.certificates():
        store.notes.append("PEM does not tell trusted certificates from those of a key's chain")


def _key(entry: PrivateKeyEntry, password: str | None) -> bytes:
    own = entry.own_password or password
    if not own:
        return _block("PRIVATE KEY", entry.private_key)
    seal = Seal(own, ITERATIONS)
    seal.key = seal.derive()
    info = der.sequence(seal.identifier(), der.octets(seal.encrypt(entry.private_key)))
    return _block("ENCRYPTED PRIVATE KEY", info)


def _block(label: str, content: bytes) -> bytes:
    text = b64encode(content)
    lines = b"\n".join(text[at : at + 64] for at in range(0, len(text), 64))
    return b"-----BEGIN %b-----\n%b\n-----END %b-----\n" % (label.encode(), lines, label.encode())
