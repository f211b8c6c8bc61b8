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
from openmid.instance.folder import Folder, write

MANIFEST = "backup.json"
SETTINGS = "instance.json"
FILES = (SETTINGS, "tls", "attachments")
SECRETS, KEY = "secrets", "field.key"


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
    except sqlite3.Error as error:
        raise NotDoneError(f"{folder.database} cannot be copied beside {target}: {error}", "make room there") from None


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
    keys = folder.optional_secret(KEY).split() if secrets else []
    with tarfile.open(target, "w:gz", compresslevel=6) as tar:
        tar.add(scratch / MANIFEST, MANIFEST)
        if folder.database_url:
            tar.add(_dumped(folder, scratch / folder.dump.name), folder.dump.name)
        elif folder.database.exists():
            tar.add(_copied(folder.database, scratch / folder.database.name), folder.database.name)
        for name in (*FILES, *([SECRETS] if secrets else [])):
            _add(tar, folder.path, folder.path / name)
        if secrets:  # of a rotation meanwhile the copied database knows the key from before, or the new one
            keys = list(dict.fromkeys([*folder.optional_secret(KEY).split(), *keys]))
            write(scratch / KEY, "".join(f"{key}\n" for key in keys).encode(), 0o600)
            tar.add(scratch / KEY, f"{SECRETS}/{KEY}")
        return tar.getnames()


def _add(tar: tarfile.TarFile, root: Path, path: Path) -> None:
    """A file, or a folder and what is in it; what goes away meanwhile is left out: no record of the copy needs it."""
    with contextlib.suppress(FileNotFoundError):
        if path != root / SECRETS / KEY:
            tar.add(path, str(path.relative_to(root)), recursive=False)
        if path.is_dir():
            for each in sorted(path.iterdir()):
                _add(tar, root, each)


def _copied(database: Path, target: Path) -> Path:
    """The database as it is now, also while others write (SQLite's online backup)."""
    original, copy = sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=20), sqlite3.connect(target)
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
    try:
        if folder.path.exists() and any(folder.path.iterdir()):
            raise FolderError(f"{folder.path} is not empty", "name a new folder; move the old one away first")
        folder.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.path.chmod(0o700)
        owner = folder.path.stat()
    except OSError as error:
        raise FolderError(f"{folder.path} cannot be written: {error.strerror}", "name a new folder") from None
    try:
        _give(folder.path, os.geteuid(), os.getegid())  # where root restores nobody else has a hand in it meanwhile
        _lay_out(source, folder)
        _give(folder.path, owner.st_uid, owner.st_gid)
    except BaseException as error:
        shutil.rmtree(folder.path, ignore_errors=True)
        raise _told(source, error) from None
    return (folder.secrets / KEY).exists()


def _lay_out(source: Path, folder: Folder) -> None:
    """The settings come last: killed before, this is no instance's folder, which would start without the rest."""
    with tarfile.open(source, "r:gz") as tar:
        tar.getmember(MANIFEST)
        file = tar.extractfile(SETTINGS)
        settings = json.loads(file.read()) if file else {}
        others = [each for each in tar.getmembers() if each.name not in (MANIFEST, SETTINGS)]
        tar.extractall(folder.path, others, filter="data")
    for private in (folder.secrets, folder.path / "attachments"):
        if private.exists():
            private.chmod(0o700)
    if folder.dump.exists():
        settings["database"] = ""  # what stands there is the database that goes on
    write(folder.settings, json.dumps(settings, indent=2).encode() + b"\n", 0o644)


def _give(root: Path, user: int, group: int) -> None:
    """All of the folder to a user, the folder last: an instance that runs as its owner has to read what root restored."""
    if os.geteuid() == 0:
        for path in (*root.rglob("*"), root):
            os.chown(path, user, group, follow_symlinks=False)


def _told(source: Path, error: BaseException) -> BaseException:
    """The sentence of an `error`, or the error itself."""
    if isinstance(error, KeyError):
        return NotDoneError(f"{source} is not a backup of an instance", "openmid instance backup makes one")
    if isinstance(error, tarfile.TarError | EOFError | ValueError | zlib.error):
        return NotDoneError(f"{source} cannot be read: {error}", "take another backup")
    if isinstance(error, OSError):
        return NotDoneError(f"{source} cannot be restored: {error.strerror or error}", "see the path")
    return error
