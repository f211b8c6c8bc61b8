"""From PKCS#12's bags to entries: which certificate belongs to which key, what is trusted, what things are called."""

from __future__ import annotations

from datetime import UTC, datetime

from openmid.keystore import certificate as x509
from openmid.keystore import pkcs12, private_key
from openmid.keystore.der import OCTET_STRING, DerError, Reader, context
from openmid.keystore.entries import Entry, PrivateKeyEntry, SecretKeyEntry, TrustedCertificateEntry
from openmid.keystore.errors import Damaged, WrongKeyPassword
from openmid.keystore.passwords import Reading
from openmid.keystore.pkcs12 import Bag
from openmid.keystore.store import KeyStore
from openmid.keystore.terms import Source

_KEYS = (pkcs12.KEY_BAG, pkcs12.SHROUDED_KEY_BAG)


class SealedBag:
    """A key as it lies in its bag. `leaf` is the certificate that was put beside it."""

    def __init__(self, bag: Bag, store_password: str | None, likely: list[Reading], source: Source, where: str) -> None:
        self.bag = bag
        self.leaf: bytes | None = None
        self._store_password = store_password
        self._likely = likely
        self._source = source
        self._where = where
        self._name = bag.name or source.name

    def open(self, password: str | None) -> bytes:
        """PKCS#8, or BCFKS's SecretKeyData for a secret key. Raises WrongKeyPassword, KeyMismatch and the like."""
        clear = self._clear(password)
        if self.bag.kind == pkcs12.SECRET_BAG:
            try:
                return SecretKeyEntry.encoded(*private_key.secret_key(clear))
            except DerError as error:
                raise Damaged(f"{self._where} is damaged: {error}") from error
        if self.leaf is not None and x509.Pool([self.leaf]).leaf(clear, self._name) is None:
            raise x509.mismatch(self._name, 1)
        return clear

    def _clear(self, password: str | None) -> bytes:
        if self.bag.kind == pkcs12.KEY_BAG:
            return private_key.check(self.bag.value, self._where)
        likely = self._likely if (password or "") == (self._store_password or "") else None
        try:
            return private_key.open_encrypted(self.bag.value, password, self._source, self._where, likely)
        except WrongKeyPassword as error:
            raise WrongKeyPassword(
                f"{self._where} does not open with this password: it has a password of its own",
                "give the key's own password (keytool: -srckeypass)",
            ) from error


class _Assembly:
    def __init__(self, bags: list[Bag], password: str | None, likely: list[Reading], source: Source) -> None:
        self.store = KeyStore("PKCS12", source.name)
        self.bags = bags
        self.password = password
        self.likely = likely
        self.source = source
        self.private_keys = sum(bag.kind in _KEYS for bag in bags)
        self.left_out: dict[str, int] = {}
        self.certificates: dict[bytes, Bag] = {}
        self.pool = x509.Pool(())
        self.by_id: dict[bytes, list[bytes]] = {}
        self.used: set[bytes] = set()
        self.numbers: dict[str, int] = {}

    def run(self) -> KeyStore:
        for bag in self.bags:
            if bag.kind == pkcs12.CERT_BAG:
                self._collect(bag)
        self.pool = x509.Pool(self.certificates)
        for certificate, bag in self.certificates.items():
            self.by_id.setdefault(bag.key_id, []).append(certificate)
        has_keys = any(bag.kind in (*_KEYS, pkcs12.SECRET_BAG) for bag in self.bags)
        for bag in self.bags:
            if bag.kind in _KEYS:
                self._private(bag)
            elif bag.kind == pkcs12.SECRET_BAG:
                self._secret(bag)
            elif bag.kind == pkcs12.CERT_BAG:
                self._certificate(bag, has_keys)
            else:
                self._leave("revocation lists or bags of an unknown type")
        for certificate, bag in self.certificates.items():
            if has_keys and not bag.trusted and certificate not in self.used:
                self._leave("certificates that are no part of a key's chain")
        for what, count in self.left_out.items():
            self.store.notes.append(f"{what} of {self.source.name} were left out: {count}")
        return self.store

    def _leave(self, what: str) -> None:
        self.left_out[what] = self.left_out.get(what, 0) + 1

    def _collect(self, bag: Bag) -> None:
        certificate = _certificate(bag)
        if certificate is None:
            self._leave("certificates that are not X.509")
            return
        before = self.certificates.get(certificate)
        if before is None or (bag.key_id and not before.key_id):
            self.certificates[certificate] = bag._replace(
                trusted=bag.trusted or (before is not None and before.trusted)
            )

    def _certificate(self, bag: Bag, has_keys: bool) -> None:
        certificate = _certificate(bag)
        if certificate is not None and (bag.trusted or not has_keys):
            x509.fields(certificate, f"a certificate of {self.source.name}")
            self._put(bag.name, TrustedCertificateEntry(certificate), bag)

    def _private(self, bag: Bag) -> None:
        where = f"the private key '{bag.name or 'without a name'}' of {self.source.name}"
        sealed = SealedBag(bag, self.password, self.likely, self.source, where)
        leaf = self._leaf(bag, sealed)
        chain: tuple[bytes, ...] = ()
        if leaf is not None:
            chain = self.pool.chain(leaf)
            sealed.leaf = leaf
            self.used.update(chain)
        entry = PrivateKeyEntry(None, chain, sealed, self.password)
        entry.certificate_attributes = {each: self._attributes(each, each == leaf) for each in chain}
        beside = self.certificates[leaf].name if leaf is not None else None
        self._put(bag.name or beside, entry, bag)

    def _attributes(self, certificate: bytes, leaf: bool) -> tuple[bytes, ...]:
        """What a chain's certificate has besides its key's: a leaf is called as its key. What is trusted is an entry."""
        bag = self.certificates[certificate]
        return () if bag.trusted else bag.attributes if leaf else bag.attributes + bag.named

    def _leaf(self, bag: Bag, sealed: SealedBag) -> bytes | None:
        """By the identifier that key and certificate share; else by the key itself."""
        same = self.by_id.get(bag.key_id, []) if bag.key_id else []
        if len(same) == 1:
            return same[0]
        if not self.certificates:
            return None
        try:
            clear = sealed.open(self.password)
        except WrongKeyPassword:
            return next(iter(same or self._untrusted()[:1]), None)  # as Java does; unlocking the key will tell
        leaf = self.pool.leaf(clear, bag.name or self.source.name)
        if leaf is None and self.private_keys == 1 and (strangers := self._untrusted()):
            raise x509.mismatch(bag.name or self.source.name, len(strangers))
        return leaf

    def _untrusted(self) -> list[bytes]:
        return [each for each, bag in self.certificates.items() if not bag.trusted]

    def _secret(self, bag: Bag) -> None:
        where = f"the secret key '{bag.name or 'without a name'}' of {self.source.name}"
        body = Reader(bag.value).sequence("a secret")
        kind = body.oid("a secret's type")
        value = body.element(context(0), "a secret")
        if kind != pkcs12.SHROUDED_KEY_BAG or value.peek() != OCTET_STRING:
            self._leave("secrets of a type that openmid does not know")
            return
        sealed = SealedBag(bag._replace(value=value.octets("a secret")), self.password, self.likely, self.source, where)
        self._put(bag.name, SecretKeyEntry(None, sealed, self.password), bag)

    def _put(self, name: str | None, entry: Entry, bag: Bag) -> None:
        entry.attributes, entry.friendly_name = bag.attributes, name
        alias = (name or "").lower().encode("utf-8", "replace").decode()
        if not alias or alias in self.store:
            first, alias = alias, self._another(alias)
            if first:
                self.store.notes.append(f"a second entry '{first}' of {self.source.name} is called '{alias}'")
        self.store.put(alias, entry)
        if (moment := _moment(bag.key_id)) is not None:
            entry.stamp(moment, moment)

    def _another(self, alias: str) -> str:
        """`1`, `2`, ... for what has no name; `name (2)`, ... for what has another's."""
        while True:
            number = self.numbers[alias] = self.numbers.get(alias, 1 if alias else 0) + 1
            name = f"{alias} ({number})" if alias else str(number)
            if name not in self.store:
                return name


def assemble(bags: list[Bag], password: str | None, likely: list[Reading], source: Source) -> KeyStore:
    """Raises Damaged, KeyMismatch, DerError and what opening a key raises."""
    return _Assembly(bags, password, likely, source).run()


def _certificate(bag: Bag) -> bytes | None:
    """CertBag ::= SEQUENCE { OBJECT IDENTIFIER, [0] EXPLICIT OCTET STRING }; None where it is not X.509."""
    body = Reader(bag.value).sequence("a certificate's bag")
    if body.oid("a certificate's type") != pkcs12.X509_CERTIFICATE:
        return None
    return body.element(context(0), "a certificate").octets("a certificate")


def _moment(key_id: bytes) -> datetime | None:
    """Java writes `Time 1700000000000` (milliseconds) for a key's identifier."""
    if not key_id.startswith(b"Time ") or not key_id[5:].isdigit() or len(key_id) > 20:
        return None
    try:
        return datetime.fromtimestamp(int(key_id[5:]) // 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return None
