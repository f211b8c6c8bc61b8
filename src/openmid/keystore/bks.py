"""BKS, Bouncy Castle's keystore of version 1 and 2, read and never written.

Layout: version, salt, iterations, entries in clear up to a zero byte, HMAC-SHA-1 over the entries. Keys are sealed one
by one. (UBER, the same under Twofish, is recognised and refused.)
"""

from __future__ import annotations

import hmac

from openmid.keystore import certificate as x509
from openmid.keystore import private_key
from openmid.keystore.entries import Entry, PrivateKeyEntry, SecretKeyEntry, TrustedCertificateEntry
from openmid.keystore.errors import Damaged, UnsupportedType, WrongPassword
from openmid.keystore.java_data import DataReader
from openmid.keystore.jks import wrong_key_password
from openmid.keystore.names import SECRET_KEYS
from openmid.keystore.pbes import Undecryptable
from openmid.keystore.store import KeyStore
from openmid.keystore.terms import Source

_CERTIFICATE, _KEY, _SECRET, _SEALED = 1, 2, 3, 4
_PRIVATE_KEY, _PUBLIC_KEY, _SECRET_KEY = 0, 1, 2
_CHECK = 20
_MAC_KEY = {1: 2, 2: 20}  # bytes; version 1 took bytes for bits


class SealedBouncyKey:
    """A key of a BKS store: its kind shows only when it is open."""

    algorithm_name = ""

    def __init__(self, content: bytes, sealed: bool, where: str, source: Source, *, secret: bool) -> None:
        self.content = content
        self.sealed = sealed
        self.where = where
        self.source = source
        self.secret = secret

    def open(self, password: str | None) -> bytes:
        """PKCS#8 or SecretKeyData. Raises WrongKeyPassword, Damaged, NotApproved, OldAlgorithm, TooExpensive."""
        kind, form, name, key = _parse_key(self._clear(password), self.where)
        if (kind == _SECRET_KEY) != self.secret or kind == _PUBLIC_KEY:
            raise UnsupportedType(f"{self.where} is a public key, which no other keystore holds")
        if kind == _PRIVATE_KEY:
            if form not in ("PKCS#8", "PKCS8"):
                raise UnsupportedType(f"{self.where} is in the format {form[:40]!r}, which openmid does not know")
            return private_key.check(key, self.where)
        self.algorithm_name = name
        identifier = SECRET_KEYS.get(name.upper())
        return SecretKeyEntry.encoded(identifier, key) if identifier else key

    def _clear(self, password: str | None) -> bytes:
        if not self.sealed:
            return self.content
        reader = DataReader(self.content, self.where)
        salt, iterations = reader.block(), reader.number(4)
        self.source.allow(iterations, self.where)
        if not iterations:
            raise Damaged(f"{self.where} is damaged: its iteration count is zero")
        old = self.source.decrepit("PKCS12's scheme with SHA-1 and triple DES", self.where)
        try:
            return bytes(old.open_bks(password, salt, iterations, reader.take(reader.left())))
        except Undecryptable as error:
            raise wrong_key_password(self.where) from error


def _parse_key(clear: bytes, where: str) -> tuple[int, str, str, bytes]:
    reader = DataReader(clear, where)
    return reader.number(1), reader.text(), reader.text(), reader.block()


def read(data: bytes, password: str | None, source: Source) -> KeyStore:
    """Without a password (None, not "") the integrity is not checked, as in Bouncy Castle.

    Raises WrongPassword, Damaged, UnsupportedType, NotApproved, OldAlgorithm, TooExpensive.
    """
    reader = DataReader(data, source.name)
    version = reader.number(4)
    if version not in _MAC_KEY:
        raise Damaged(f"{source.name} is damaged: its version is {version}")
    salt, iterations = reader.block(), reader.number(4)
    start = reader.position
    if password is not None:
        _check(data, start, salt, iterations, version, password, source)
    store = KeyStore("BKS", source.name)
    while kind := reader.number(1):
        _read_entry(kind, reader, password, store, source)
    if reader.left() != _CHECK:
        raise Damaged(f"{source.name} is damaged: something follows its entries")
    return store


def _check(data: bytes, start: int, salt: bytes, iterations: int, version: int, password: str, source: Source) -> None:
    source.allow(iterations, source.name)
    if not iterations or len(data) - start < _CHECK:
        raise Damaged(f"{source.name} is damaged or cut short")
    old = source.decrepit("an integrity code with SHA-1", source.name)
    code = old.bks_mac(password, salt, iterations, _MAC_KEY[version], memoryview(data)[start:-_CHECK])
    if not hmac.compare_digest(code, data[-_CHECK:]):
        raise WrongPassword(
            f"the password does not open {source.name} (or the file was changed since it was written)",
            "check the keystore's password; the two cases cannot be told apart",
        )


def _read_entry(kind: int, reader: DataReader, password: str | None, store: KeyStore, source: Source) -> None:
    alias, created = reader.text(), reader.moment()
    certificates = reader.certificates()
    where = f"the key '{alias}' of {source.name}"
    for certificate in certificates:
        x509.fields(certificate, f"a certificate of '{alias}' in {source.name}")
    entry: Entry
    if kind == _CERTIFICATE:
        entry = TrustedCertificateEntry(reader.certificate())
        x509.fields(entry.certificate, f"the certificate '{alias}' of {source.name}")
    elif kind in (_KEY, _SEALED):
        content = reader.block() if kind == _SEALED else _plain_key(reader)
        sealed = SealedBouncyKey(content, kind == _SEALED, where, source, secret=not certificates)
        if certificates:
            entry = PrivateKeyEntry(None, certificates, sealed, password)
        else:
            entry = SecretKeyEntry(None, sealed, password)
    elif kind == _SECRET:
        raise UnsupportedType(f"{where} was stored as bytes of an unknown kind")
    else:
        raise Damaged(f"{source.name} is damaged: an entry is of kind {kind}")
    store.put(alias.encode("utf-8", "replace").decode(), entry)
    entry.stamp(created, created)


def _plain_key(reader: DataReader) -> bytes:
    start = reader.position
    reader.number(1)
    reader.text()
    reader.text()
    reader.block()
    return reader.data[start : reader.position]
