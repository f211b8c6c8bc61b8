"""JKS and JCEKS, Java's keystores before PKCS12, read and never written.

Layout: magic, version, count, entries, and a SHA-1 over password and content. Keys are sealed one by one, perhaps each
with a password of its own. Secret keys (JCEKS) are serialised Java objects: `java_objects` reads their one shape and
makes no object of any class.
"""

from __future__ import annotations

import hmac

from openmid.keystore import certificate as x509
from openmid.keystore import java_objects, private_key
from openmid.keystore.algorithm import parameters, read_algorithm
from openmid.keystore.der import DerError, Reader
from openmid.keystore.entries import Entry, PrivateKeyEntry, SecretKeyEntry, TrustedCertificateEntry
from openmid.keystore.errors import Damaged, UnsupportedType, WrongKeyPassword, WrongPassword
from openmid.keystore.java_data import DataReader
from openmid.keystore.names import SECRET_KEYS
from openmid.keystore.pbes import Undecryptable
from openmid.keystore.store import KeyStore
from openmid.keystore.terms import Source

_JKS_PROTECTOR, _JCEKS_PROTECTOR = "1.3.6.1.4.1.42.2.17.1.1", "1.3.6.1.4.1.42.2.19.1"
_PRIVATE, _TRUSTED, _SECRET = 1, 2, 3
_CHECK = 20  # bytes of SHA-1 at the end


class SealedJavaKey:
    """A key as it lies in a JKS or JCEKS store."""

    def __init__(self, content: bytes, where: str, source: Source) -> None:
        self.content = content
        self.where = where
        self.source = source

    def open(self, password: str | None) -> bytes:
        """PKCS#8. Raises WrongKeyPassword, Damaged, NotApproved, OldAlgorithm, TooExpensive."""
        old = self.source.decrepit("Java's key protection of 1996", self.where)
        try:
            body = Reader(self.content).sequence("the key")
            found, sealed = read_algorithm(body, "the key's protection"), body.octets("the key")
            body.done("the key")
            if found.oid == _JKS_PROTECTOR:
                clear = old.open_jks_key(password or "", sealed)
            elif found.oid == _JCEKS_PROTECTOR:
                inner = parameters(found, "the key's protection")
                salt, iterations = inner.octets("the salt"), inner.integer("the iteration count")
                self.source.allow(iterations, self.where)
                clear = old.open_jceks(password or "", salt, iterations, sealed)
            else:
                raise UnsupportedType(f"{self.where} is protected with {found.oid}, which openmid does not know")
        except DerError as error:
            raise Damaged(f"{self.where} is damaged: {error}") from error
        except Undecryptable as error:
            raise wrong_key_password(self.where) from error
        return private_key.check(clear, self.where)


class SealedJavaSecret(SealedJavaKey):
    """A secret key of a JCEKS store: javax.crypto.SealedObject around the key's own serialisation."""

    algorithm_name = ""

    def open(self, password: str | None) -> bytes:
        """SecretKeyData, or the bare bytes where the algorithm has a name only. Raises as SealedJavaKey does."""
        sealed = java_objects.sealed_object(self.content, self.where)
        old = self.source.decrepit("Java's key protection of 1996", self.where)
        try:
            inner = Reader(sealed.parameters).sequence("the parameters")
            salt, iterations = inner.octets("the salt"), inner.integer("the iteration count")
            self.source.allow(iterations, self.where)
            clear = old.open_jceks(password or "", salt, iterations, sealed.content)
            key = java_objects.secret_key(clear, self.where)
        except DerError as error:
            raise Damaged(f"{self.where} is damaged: {error}") from error
        except Undecryptable as error:
            raise wrong_key_password(self.where) from error
        self.algorithm_name = key.algorithm
        identifier = SECRET_KEYS.get(key.algorithm.upper())
        return SecretKeyEntry.encoded(identifier, key.key) if identifier else key.key


def wrong_key_password(where: str) -> WrongKeyPassword:
    return WrongKeyPassword(
        f"{where} does not open with this password: it has a password of its own",
        "give the key's own password (keytool: -srckeypass)",
    )


def read(data: bytes, password: str | None, source: Source) -> KeyStore:
    """Without a password (None, not "") the integrity is not checked, as in Java: certificates can be read then.

    Raises WrongPassword, Damaged, UnsupportedType, NotApproved, OldAlgorithm.
    """
    reader = DataReader(data, source.name)
    reader.take(4)
    if (version := reader.number(4)) not in (1, 2):
        raise Damaged(f"{source.name} is damaged: its version is {version}")
    if len(data) < 12 + _CHECK:
        raise Damaged(f"{source.name} is cut short")
    _check(data, password, source)
    store = KeyStore(source.kind, source.name)
    for _ in range(reader.number(4)):
        _read_entry(reader, version == 2, password, store, source)
    if reader.left() != _CHECK:
        raise Damaged(f"{source.name} is damaged: something follows its entries")
    return store


def _check(data: bytes, password: str | None, source: Source) -> None:
    if password is None:
        return
    old = source.decrepit("an integrity code with SHA-1", source.name)
    if not hmac.compare_digest(old.jks_digest(password, memoryview(data)[:-_CHECK]), data[-_CHECK:]):
        raise WrongPassword(
            f"the password does not open {source.name} (or the file was changed since it was written)",
            "check the keystore's password; the two cases cannot be told apart",
        )


def _read_entry(reader: DataReader, typed: bool, password: str | None, store: KeyStore, source: Source) -> None:
    tag, alias, created = reader.number(4), reader.text(), reader.moment()
    entry: Entry
    if tag == _PRIVATE:
        sealed = SealedJavaKey(reader.block(), f"the private key '{alias}' of {source.name}", source)
        certificates = reader.certificates(typed=typed)
        for certificate in certificates:
            x509.fields(certificate, f"a certificate of '{alias}' in {source.name}")
        entry = PrivateKeyEntry(None, certificates, sealed, password)
    elif tag == _TRUSTED:
        entry = TrustedCertificateEntry(reader.certificate(typed=typed))
        x509.fields(entry.certificate, f"the certificate '{alias}' of {source.name}")
    elif tag == _SECRET and source.kind == "JCEKS":
        end = java_objects.end_of_object(reader.data, reader.position, len(reader.data) - _CHECK, source.name)
        content = reader.take(end - reader.position)
        secret = SealedJavaSecret(content, f"the secret key '{alias}' of {source.name}", source)
        entry = SecretKeyEntry(None, secret, password)
    else:
        raise Damaged(f"{source.name} is damaged: an entry is of kind {tag}")
    store.put(alias.encode("utf-8", "replace").decode(), entry)
    entry.stamp(created, created)
