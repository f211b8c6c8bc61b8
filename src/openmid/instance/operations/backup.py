"""`openmid instance backup` and `restore`: one .tar.gz with the database, as it is at one moment, and the folder's files.

Secrets (the key of stored passwords, the server's own keys' password) stay out unless they are asked for: then whoever
has the backup has everything. The instance may run meanwhile: SQLite copies a database that is written to, and so does
PostgreSQL's pg_dump, whose dump stands in place of the file.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from openmid import __version__
from openmid.instance import databases
from openmid.instance.errors import FolderError, NotDoneError
from openmid.instance.folder import Folder

MANIFEST = "backup.json"
FILES = ("instance.json", "tls", "attachments")
SECRETS = "secrets"


def backup(folder: Folder, target: Path, *, secrets: bool) -> list[str]:
    """Write `target` (0600), whole or not at all. Returns the names in it.

    Raises:
        NotDoneError: it exists, or cannot be written.
    """
    if target.exists():
        raise NotDoneError(f"{target} is there already", "name another file")
    try:
        with _replacing(target) as temporary, tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            return _write(folder, temporary, Path(scratch), secrets=secrets)
    except OSError as error:
        raise NotDoneError(f"{target} cannot be written: {error.strerror}", "name another file") from None


@contextlib.contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """A file beside `target` that takes its place when all went well."""
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    os.close(handle)
    try:
        yield Path(name)
        with Path(name).open("rb") as written:
            os.fsync(written.fileno())
        Path(name).replace(target)
    finally:
        Path(name).unlink(missing_ok=True)


def _write(folder: Folder, target: Path, scratch: Path, *, secrets: bool) -> list[str]:
    manifest = {"openmid": __version__, "made": datetime.now(UTC).isoformat(), "secrets": secrets}
    (scratch / MANIFEST).write_text(json.dumps(manifest, indent=2))
    with tarfile.open(target, "w:gz", compresslevel=6) as tar:
        tar.add(scratch / MANIFEST, MANIFEST)
        if folder.database_url:
            tar.add(_dumped(folder, scratch / folder.dump.name), folder.dump.name)
        elif folder.database.exists():
            tar.add(_copied(folder.database, scratch / folder.database.name), folder.database.name)
        for name in (*FILES, "attachments", *([SECRETS] if secrets else [])):
            if (folder.path / name).exists():
                tar.add(folder.path / name, name)
        return tar.getnames()


def _copied(database: Path, target: Path) -> Path:
    """The database as it is now, also while others write (SQLite's online backup)."""
    original, copy = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=20), sqlite3.connect(target)
    with contextlib.closing(original), contextlib.closing(copy):
        original.backup(copy)
    return target


def _dumped(folder: Folder, target: Path) -> Path:
    """The same of PostgreSQL; the password goes by the environment, as pg_dump wants it."""
    password = databases.django_settings(folder)["PASSWORD"]
    environment = os.environ | ({"PGPASSWORD": password} if password else {})
    command = ["pg_dump", "--format=custom", "--no-password", "--file", str(target), "--dbname", folder.database_url]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        hint = (
            "apt-get install postgresql-client; or dump the database where its server is, and copy the folder by itself"
        )
        raise NotDoneError("pg_dump is not on this machine", hint) from None
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["it does not say why"])[0].removeprefix("pg_dump: error: ")
        raise NotDoneError(f"pg_dump made no dump of the database: {said}", "its version is the server's, or newer")
    target.chmod(0o600)
    return target


def restore(source: Path, folder: Folder) -> bool:
    """Lay a backup out in a new folder. Returns whether its secrets are there.

    Raises:
        NotDoneError: it is no backup, or damaged.
        FolderError: the folder is not empty, or cannot be written.
    """
    if folder.path.exists() and any(folder.path.iterdir()):
        raise FolderError(f"{folder.path} is not empty", "name a new folder; move the old one away first")
    try:
        folder.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tarfile.open(source, "r:gz") as tar:
            tar.getmember(MANIFEST)
            tar.extractall(folder.path, filter="data")
    except BaseException as error:
        shutil.rmtree(folder.path, ignore_errors=True)
        raise _told(source, error) from None
    (folder.path / MANIFEST).unlink()
    if folder.dump.exists():
        folder.write_database("")  # what stands there is the database that goes on
    return (folder.secrets / "field.key").exists()


def _told(source: Path, error: BaseException) -> BaseException:
    """The sentence of an `error`, or the error itself."""
    if isinstance(error, KeyError):
        return NotDoneError(f"{source} is not a backup of an instance", "openmid instance backup makes one")
    if isinstance(error, tarfile.TarError | EOFError | ValueError | zlib.error):
        return NotDoneError(f"{source} cannot be read: {error}", "take another backup")
    if isinstance(error, OSError):
        return NotDoneError(f"{source} cannot be restored: {error.strerror or error}", "see the path")
    return error
