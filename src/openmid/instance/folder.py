"""The instance's folder: everything that it keeps, and nothing outside it.

instance.json       host, port and public names; certificate and key, or proxies; retention_days;
                    max_ready_per_mid, max_ready; database, where it is PostgreSQL
openmid.sqlite3     the database, where it is SQLite
attachments/ (0700) one file for each
static/             the pages' files, collected at init
tls/                ca.pem, server.pem; their keys, encrypted
secrets/  (0700)    field.key, django.key, tls.password, database.password (0600)
fips/               the staged FIPS provider, where OPENMID_FIPS=enforced
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from openmid.fips import keys
from openmid.instance.errors import FolderError

ENVIRONMENT = "OPENMID_INSTANCE_DIR"
MEND = "mend it, or take it out of a backup; docs/instance.md says what is in it"


@dataclass(frozen=True)
class Listen:
    """Where the instance listens, and the names by which it is called."""

    host: str = "127.0.0.1"
    port: int = 8443
    public_names: tuple[str, ...] = field(default=())
    certificate: str = ""
    """A PEM file with the server's certificate and chain; empty: the instance has a CA of its own."""
    key: str = ""
    proxies: tuple[str, ...] = field(default=())
    """Addresses of the reverse proxies that end TLS before it; then it speaks plain HTTP, to them."""

    @property
    def names(self) -> list[str]:
        """Every name and address of the server certificate, the first one first."""
        host = () if self.host in ("0.0.0.0", "::") else (self.host,)  # noqa: S104  (compared, not bound)
        return list(dict.fromkeys((*self.public_names, *host, "localhost", "127.0.0.1")))

    @property
    def url(self) -> str:
        """The instance's address, as a browser and a MID Server use it."""
        name = self.names[0]
        if self.proxies:
            return f"https://{name}"
        return f"https://{f'[{name}]' if ':' in name else name}:{self.port}"


@dataclass(frozen=True)
class Folder:
    """The paths inside an instance's folder."""

    path: Path

    @property
    def database(self) -> Path:
        return self.path / "openmid.sqlite3"

    @property
    def dump(self) -> Path:
        """PostgreSQL's database, in a backup."""
        return self.path / "openmid.pgdump"

    @property
    def static(self) -> Path:
        return self.path / "static"

    @property
    def tls(self) -> Path:
        return self.path / "tls"

    @property
    def ca(self) -> Path:
        return self.tls / "ca.pem"

    @property
    def server(self) -> Path:
        return self.tls / "server.pem"

    @property
    def secrets(self) -> Path:
        return self.path / "secrets"

    @property
    def fips(self) -> Path:
        return self.path / "fips"

    @property
    def settings(self) -> Path:
        return self.path / "instance.json"

    def listen(self) -> Listen:
        """What `instance.json` says.

        Raises:
            FolderError: not an instance's folder.
        """
        stored = self.stored()
        try:
            listen = Listen(stored["host"], int(stored["port"]), tuple(stored["public_names"]))
            certificate, key = str(stored.get("certificate", "")), str(stored.get("key", ""))
            return replace(listen, certificate=certificate, key=key, proxies=tuple(stored.get("proxies", ())))
        except (ValueError, KeyError, TypeError) as error:
            raise FolderError(f"{self.settings} cannot be read: {error}", MEND) from None

    def stored(self) -> dict[str, Any]:
        """All of `instance.json`.

        Raises:
            FolderError: not an instance's folder.
        """
        try:
            stored = json.loads(self.settings.read_text())
        except FileNotFoundError:
            raise FolderError(
                f"{self.path} is not an instance's folder", f"run: openmid instance init {self.path}"
            ) from None
        except (OSError, ValueError) as error:
            raise FolderError(f"{self.settings} cannot be read: {error}", MEND) from None
        if not isinstance(stored, dict):
            raise FolderError(f"{self.settings} is not a JSON object", MEND)
        return stored

    @property
    def database_url(self) -> str:
        """Where the database is PostgreSQL: `postgresql://…` (`openmid.instance.databases`); empty: SQLite.

        Raises:
            FolderError: not an instance's folder.
        """
        return str(self.stored().get("database", ""))

    @property
    def database_name(self) -> str:
        """The database, as a sentence names it."""
        return self.database_url or str(self.database)

    def number(self, name: str, default: int, smallest: int = 0) -> int:
        """A whole number of `instance.json`, at least `smallest`; `default` where there is none.

        Raises:
            FolderError: it is something else.
        """
        found = self.stored().get(name, default)
        if not isinstance(found, int) or isinstance(found, bool) or found < smallest:
            raise FolderError(f'"{name}" in {self.settings} is not a whole number', f"write {smallest} or more")
        return found

    def write_listen(self, listen: Listen) -> None:
        """Keep `listen` in `instance.json`, and whatever else is there."""
        self._keep(asdict(listen))

    def write_database(self, url: str) -> None:
        """Keep where the database is in `instance.json`."""
        self._keep({"database": url})

    def _keep(self, changed: dict[str, Any]) -> None:
        before = self.stored() if self.settings.exists() else {}
        write(self.settings, json.dumps(before | changed, indent=2).encode() + b"\n", 0o644)

    def keep_secret(self, name: str, value: str) -> None:
        """Write the secret `name`, which somebody else made."""
        self.secrets.mkdir(mode=0o700, parents=True, exist_ok=True)
        write(self.secrets / name, value.encode() + b"\n", 0o600)

    def optional_secret(self, name: str) -> str:
        """The secret `name`, or nothing."""
        return self.secret(name) if (self.secrets / name).exists() else ""

    def secret(self, name: str, *, create: bool = False) -> str:
        """The secret `name` (64 hex digits); with `create`, made by the first call.

        Raises:
            FolderError: it is missing or cannot be read.
        """
        path = self.secrets / name
        if create and not path.exists():
            self.keep_secret(name, keys.random_bytes(32).hex())
        try:
            return path.read_text().strip()
        except OSError as error:
            raise FolderError(
                f"{path} cannot be read: {error.strerror}",
                "restore it from a backup: without it the stored passwords cannot be opened",
            ) from None


def write(path: Path, content: bytes, mode: int) -> None:
    """Replace `path` by `content` at once: a reader sees the old file or the new one, also after a crash."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(handle, mode)
            _keep_owner(handle, path)
            file.write(content)
            file.flush()
            os.fsync(handle)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _keep_owner(handle: int, path: Path) -> None:
    """What root writes in another user's folder stays that user's: the instance that runs there has to read it."""
    if os.geteuid() == 0:
        like = (path if path.exists() else path.parent).lstat()
        os.fchown(handle, like.st_uid, like.st_gid)
