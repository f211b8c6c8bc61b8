"""The store itself: named entries, and where they came from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from openmid.keystore import certificate as x509
from openmid.keystore.entries import Entry, PrivateKeyEntry, SecretKeyEntry, TrustedCertificateEntry, now
from openmid.keystore.errors import NoSuchAlias, Unstorable

if TYPE_CHECKING:
    from pathlib import Path

MAX_ENTRIES = 1 << 16  # an entry takes more memory than a file's few bytes for it


class KeyStore:
    """Entries by alias. Aliases are case-sensitive, as in BCFKS; the order is that of the file.

    >>> store = KeyStore()
    >>> store.set_private_key("client", key, [leaf, issuing_ca])        # PKCS#8 DER, X.509 DER
    >>> store.save("client.bcfks", "store password")                    # 0600, atomic

    `type` is what was read (`BCFKS` for a new one). `notes` are sentences about what reading left out.
    """

    def __init__(self, kind: str = "BCFKS", name: str = "a new keystore") -> None:
        self.type = kind
        self.name = name
        self.notes: list[str] = []
        self.created = now()
        self.comment: str | None = None
        self.ahead: object = None  # what its writer has begun to derive: `formats.begin`
        self._entries: dict[str, Entry] = {}

    def __getitem__(self, alias: str) -> Entry:
        try:
            return self._entries[alias]
        except KeyError:
            known = ", ".join(f"'{name}'" for name in self._entries) or "nothing"
            raise NoSuchAlias(f"{self.name} has no entry '{alias}': it holds {known}") from None

    def __contains__(self, alias: object) -> bool:
        return alias in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"<KeyStore {self.type} of {len(self)} entries>"

    def aliases(self) -> list[str]:
        return list(self._entries)

    def private_keys(self) -> dict[str, PrivateKeyEntry]:
        """The entries that can identify a client."""
        return {alias: entry for alias, entry in self._entries.items() if isinstance(entry, PrivateKeyEntry)}

    def certificates(self) -> dict[str, TrustedCertificateEntry]:
        """The trusted certificates: what makes a truststore."""
        return {alias: entry for alias, entry in self._entries.items() if isinstance(entry, TrustedCertificateEntry)}

    def put(self, alias: str, entry: Entry) -> None:
        """Store an entry; one that is replaced hands on its creation date. Raises Unstorable."""
        try:
            alias.encode("utf-8")
        except UnicodeEncodeError as error:
            raise Unstorable("an alias must be text that UTF-8 can hold") from error
        before = self._entries.get(alias)
        if before is None and len(self._entries) == MAX_ENTRIES:
            raise Unstorable(f"{self.name} has more than {MAX_ENTRIES} entries, which openmid does not handle")
        if before is not None:
            entry.created = before.created
        self._entries[alias] = entry

    def set_private_key(
        self, alias: str, key: bytes, certificates: Iterable[bytes], *, password: str | None = None
    ) -> None:
        """Store a private key (PKCS#8 DER) with its certificates (X.509 DER, any order); leaf first afterwards.

        `password` is for a key that shall not open with the store's password. Raises KeyMismatch, Unstorable, Damaged.
        """
        path, strangers = x509.pair(key, tuple(certificates), alias)
        entry = PrivateKeyEntry(key, path + strangers)
        entry.own_password = password
        self.put(alias, entry)

    def set_certificate(self, alias: str, certificate: bytes) -> None:
        """Trust a certificate (X.509 DER). Raises Damaged."""
        x509.fields(certificate, f"the certificate of '{alias}'")
        self.put(alias, TrustedCertificateEntry(certificate))

    def set_secret_key(self, alias: str, algorithm: str, key: bytes, *, password: str | None = None) -> None:
        """Store a symmetric key; `algorithm` is a dotted object identifier."""
        entry = SecretKeyEntry.of(algorithm, key)
        entry.own_password = password
        self.put(alias, entry)

    def delete(self, alias: str) -> None:
        """Raises NoSuchAlias."""
        self[alias]
        del self._entries[alias]

    def save(
        self,
        path: Path | str,
        password: str | None,
        type: str = "BCFKS",  # noqa: A002
        *,
        iterations: int | None = None,
        cipher: str = "CCM",
        digest: str = "SHA-512",
    ) -> None:
        """Write the store: beside its place, synced, renamed, mode 0600; the options are those of `keystore.dumps`.

        Keys that opened with the old store password open with the new one; a key with a password of its own keeps it.
        Raises FileProblem, Unstorable, UnsupportedType, KeyMismatch, NotApproved.
        """
        from openmid.keystore import formats  # formats reads into this class

        data = formats.dumps(self, password, type, iterations=iterations, cipher=cipher, digest=digest)
        formats.write_atomically(path, data)
