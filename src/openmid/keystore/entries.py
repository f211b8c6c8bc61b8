"""What a store holds: private keys with their chains, trusted certificates, secret keys, and what only BCFKS knows.

A key that was read stays encrypted until it is asked for: listing a store, or reading its certificates, derives no key.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol

from openmid.keystore import der
from openmid.keystore.errors import Damaged, UnsupportedType, WrongKeyPassword

_TRUSTED_USAGE = der.oid("2.16.840.1.113894.746875.1.1")
_FRIENDLY_NAME = der.oid("1.2.840.113549.1.9.20")


if TYPE_CHECKING:  # at run time it would cost keytool's start a millisecond

    class Sealed(Protocol):
        """A key as it lies in its store."""

        def open(self, password: str | None) -> bytes:
            """The clear bytes. Raises WrongKeyPassword, NotApproved, TooExpensive, Damaged."""
            ...


def now() -> datetime:
    """The time as stores write it: UTC, whole seconds."""
    return datetime.now(UTC).replace(microsecond=0)


def _is_usual(attribute: bytes) -> bool:
    return _TRUSTED_USAGE in attribute[:24] or _FRIENDLY_NAME in attribute[:24]


class Entry:
    """One named thing. `created` survives overwriting; `modified` is what keytool prints as the creation date."""

    __slots__ = ("attributes", "comment", "created", "friendly_name", "modified")  # a truststore has thousands
    kind: ClassVar[str] = "entry"

    def __init__(self) -> None:
        self.created = self.modified = now()
        self.comment: str | None = None  # BCFKS has room for it
        self.attributes: tuple[bytes, ...] = ()  # PKCS#12's, DER, but for those that are fields here
        self.friendly_name: str | None = None  # PKCS#12's, as it was written there

    def stamp(self, created: datetime, modified: datetime, comment: str | None = None) -> None:
        """Take over what the store says of this entry."""
        self.created, self.modified, self.comment = created, modified, comment

    def has_unusual_attributes(self) -> bool:
        """True if there is more than Java's mark of a trusted certificate, and names."""
        return any(not _is_usual(attribute) for attribute in self.attributes)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class TrustedCertificateEntry(Entry):
    """A certificate that is trusted for what it is. `certificate` is X.509 DER."""

    __slots__ = ("certificate",)
    kind = "trusted certificate"

    def __init__(self, certificate: bytes) -> None:
        super().__init__()
        self.certificate = certificate

    def is_marked_trusted(self) -> bool:
        """True if it came with Java's mark, which is among its attributes then."""
        return any(_TRUSTED_USAGE in attribute[:24] for attribute in self.attributes)


class KeyEntry(Entry):
    """What private and secret keys share: clear bytes, or sealed ones and the password that opened the store.

    `own_password` is None for a key that opens with its store's password (whatever that will be when it is saved).
    """

    __slots__ = ("_clear", "_store_password", "own_password", "sealed")

    def __init__(self, clear: bytes | None, sealed: Sealed | None = None, store_password: str | None = None) -> None:
        super().__init__()
        self._clear = clear
        self._store_password = store_password
        self.sealed = sealed
        self.own_password: str | None = None

    def unlock(self, password: str | None) -> None:
        """Open a key that has a password of its own. Raises WrongKeyPassword."""
        if self._clear is not None or self.sealed is None:
            return
        self._clear = self.sealed.open(password)
        if (password or "") != (self._store_password or ""):
            self.own_password = password or ""

    def reveal(self) -> bytes:
        """The clear bytes, opened with the store's password the first time. Raises WrongKeyPassword."""
        if self._clear is None:
            self.unlock(self._store_password)
        assert self._clear is not None
        return self._clear

    def stays_sealed(self, new_password: str | None) -> bool:
        """True if the ciphertext that was read is right for a store under `new_password` too.

        So it is for a key with a password of its own, and while the store's password stays the same. May derive a key.
        """
        if self.sealed is None:
            return False
        if self.own_password is not None or (new_password or "") == (self._store_password or ""):
            return True
        try:
            self.reveal()
        except (WrongKeyPassword, UnsupportedType):  # whoever protected it so did not use the store's password
            return True
        return False

    def copy(self) -> KeyEntry:
        """The same key, in clear and not yet of any store. Raises WrongKeyPassword."""
        return type(self)(self.reveal())


class PrivateKeyEntry(KeyEntry):
    """A private key (PKCS#8 PrivateKeyInfo, DER) and its certificates, leaf first."""

    __slots__ = ("certificate_attributes", "certificates")
    kind = "private key"

    def __init__(
        self,
        clear: bytes | None,
        certificates: tuple[bytes, ...],
        sealed: Sealed | None = None,
        store_password: str | None = None,
    ) -> None:
        super().__init__(clear, sealed, store_password)
        self.certificates = certificates
        self.certificate_attributes: dict[bytes, tuple[bytes, ...]] = {}  # PKCS#12's, by certificate

    def has_unusual_attributes(self) -> bool:
        of_chain = (attribute for found in self.certificate_attributes.values() for attribute in found)
        return super().has_unusual_attributes() or any(not _is_usual(attribute) for attribute in of_chain)

    @property
    def private_key(self) -> bytes:
        """PKCS#8 DER, clear. Raises WrongKeyPassword for a key with another password: `unlock` it first."""
        return self.reveal()

    def copy(self) -> PrivateKeyEntry:
        return PrivateKeyEntry(self.reveal(), self.certificates)


class SecretKeyEntry(KeyEntry):
    """A symmetric key, held as BCFKS's SecretKeyData ::= SEQUENCE { OBJECT IDENTIFIER, OCTET STRING }."""

    __slots__ = ()
    kind = "secret key"

    @classmethod
    def of(cls, algorithm: str, key: bytes) -> SecretKeyEntry:
        """A new entry; `algorithm` is a dotted object identifier."""
        return cls(cls.encoded(algorithm, key))

    @staticmethod
    def encoded(algorithm: str, key: bytes) -> bytes:
        """SecretKeyData."""
        return der.sequence(der.oid(algorithm), der.octets(key))

    def _parts(self) -> tuple[str, bytes]:
        """Old bc-fips wrapped the bare key: then no algorithm is known."""
        clear = self.reveal()
        try:
            outer = der.Reader(clear)
            inner = outer.sequence("the key")
            parts = inner.oid("the key's algorithm"), inner.octets("the key's bytes")
            inner.done("the key")
            outer.done("the key")
        except der.DerError:
            return "", clear
        return parts

    @property
    def algorithm_name(self) -> str:
        """Java's name of the algorithm where the store has one (JCEKS, BKS), else "". Raises WrongKeyPassword."""
        self.reveal()
        return str(getattr(self.sealed, "algorithm_name", ""))

    @property
    def algorithm(self) -> str:
        """The key's algorithm as a dotted object identifier; "" where the store does not say."""
        return self._parts()[0]

    @property
    def key(self) -> bytes:
        """The key's bytes. Raises WrongKeyPassword."""
        return self._parts()[1]


class PbeKeyData(NamedTuple):
    """What Java's PBEKey holds. `algorithm` is Java's name; None and 0 stand for what the key does not say.

    `key` are the bytes that were derived, or another encoding of the password: it depends on the algorithm.
    """

    algorithm: str
    password: str
    salt: bytes | None = None
    iterations: int = 0
    key: bytes | None = None


class PbeKeyEntry(KeyEntry):
    """A password with what is derived from it (Java's PBEKey), held as BCFKS's PbkdKeyData (object type 5)."""

    __slots__ = ()
    kind = "PBE key"

    @classmethod
    def of(cls, data: PbeKeyData) -> PbeKeyEntry:
        """A new entry."""
        return cls(
            der.sequence(
                der.utf8(data.algorithm),
                der.octets(data.password.encode("utf-16-be", "surrogatepass")),
                _optional(0, data.salt),
                der.tlv(der.context(1, constructed=False), der.integer(data.iterations)[2:])
                if data.iterations
                else b"",
                _optional(2, data.key),
            )
        )

    @property
    def data(self) -> PbeKeyData:
        """Raises WrongKeyPassword for a key with another password (`unlock` it first), Damaged."""
        outer = der.Reader(self.reveal())
        try:
            body = outer.sequence("the PBE key")
            outer.done("the PBE key")
            algorithm, password = body.utf8("its algorithm"), body.octets("its password")
            rest = {number: _tagged(body, number) for number in range(3)}
            body.done("the PBE key")
            text = password.decode("utf-16-be", "surrogatepass")
            iterations = 0 if rest[1] is None else der.Reader(der.tlv(der.INTEGER, rest[1])).integer("its iterations")
        except (der.DerError, UnicodeDecodeError) as error:
            raise Damaged(f"a PBE key is damaged: {error}") from error
        return PbeKeyData(algorithm, text, rest[0], iterations, rest[2])


def _optional(number: int, value: bytes | None) -> bytes:
    return b"" if value is None else der.tlv(der.context(number, constructed=False), value)


def _tagged(body: der.Reader, number: int) -> bytes | None:
    tag = der.context(number, constructed=False)
    return body.element(tag, "a part of the PBE key").rest() if body.peek() == tag else None


class OpaqueEntry(Entry):
    """An entry that this library only carries, byte for byte: a BCFKS object type of the future, or a protected secret
    key (type 4) that is no EncryptedSecretKeyData: Bouncy Castle stores whatever its caller hands it."""

    __slots__ = ("data", "object_type")
    kind = "opaque entry"

    def __init__(self, object_type: int, data: bytes) -> None:
        super().__init__()
        self.object_type = object_type
        self.data = data
