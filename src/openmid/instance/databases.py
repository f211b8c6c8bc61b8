"""`"database"` of instance.json: SQLite in the folder where there is none, else `postgresql://user@host:port/name?…`.

What stands after `?` are libpq's own parameters (`sslmode`, `sslrootcert`, `service`, `passfile`, …). A password does not
stand in it. It comes from OPENMID_DATABASE_PASSWORD, from secrets/database.password, or as libpq finds one by itself:
PGPASSWORD, PGPASSFILE, ~/.pgpass, a service file.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from openmid.instance import fips
from openmid.instance.errors import FolderError
from openmid.instance.folder import Folder

PASSWORD = "OPENMID_DATABASE_PASSWORD"  # noqa: S105  a variable's name
FILE = "database.password"
SCHEMES = ("postgresql", "postgres")
DEFAULTS = {
    "connect_timeout": "5",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
}
"""libpq's, unless the URL says otherwise: a server that has gone without a word is noticed."""

SECRET = frozenset({"password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key"})
"""libpq's parameters that nobody may read."""

NOT_LIBPQS = frozenset({"isolation_level", "server_side_binding", "pool", "assume_role"})
"""Django's own options: none of the administrator's business."""

EXAMPLE = "such as postgresql://openmid@db.example.com/openmid"


def check(url: str) -> str:
    """`url`, if it can be used.

    Raises:
        FolderError: it cannot, or it holds a password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise FolderError("the database's URL cannot be read", EXAMPLE) from None
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    if parts.scheme not in SCHEMES:
        raise FolderError("the database's URL does not begin with postgresql://", EXAMPLE)
    if parts.password is not None or SECRET & given.keys():
        hint = f"leave it out and set {PASSWORD} for openmid instance init, or use ~/.pgpass, or a service file"
        raise FolderError("the database's URL holds a password, which other users of this machine could read", hint)
    if not parts.path.strip("/") and "service" not in given:
        raise FolderError("the database's URL names no database", EXAMPLE)
    if port == 0 or parts.fragment or NOT_LIBPQS & given.keys():
        raise FolderError("the database's URL cannot be read", EXAMPLE)
    return url


def prepare(folder: Folder, url: str) -> bool:
    """Keep `url`, where there is one, and the environment's password. Returns whether it has an instance's records.

    Raises:
        FolderError: the folder's records are in SQLite already; the server does not answer; the keys are not there.
        NotEnforced: what libpq brings cannot be in FIPS Enforced Mode.
    """
    if url and folder.database.exists():
        raise FolderError(f"the records of {folder.path} are in SQLite", "make a new folder for PostgreSQL")
    if url:
        folder.write_database(url)
    if not folder.database_url and folder.dump.exists():
        raise FolderError(
            f"{folder.path} was restored from a backup of PostgreSQL, and is not told which database to use",
            f"pg_restore --no-owner --dbname URL {folder.dump}, then: openmid instance init {folder.path} --database URL",
        )
    expect(folder)
    if not folder.database_url:
        return folder.database.exists()
    if os.environ.get(PASSWORD):
        folder.keep_secret(FILE, os.environ[PASSWORD])
    there = _migrated(folder)
    if there and not (folder.secrets / "field.key").exists():
        raise FolderError(
            f"{folder.database_url} has the records of an instance, whose keys are not in {folder.secrets}",
            f"copy the folder secrets/ of another node of it, or of a backup, to {folder.secrets}",
        )
    return there


def _migrated(folder: Folder) -> bool:
    from openmid.instance.records.failures import DatabaseAway
    from openmid.instance.records.postgresql import migrated

    try:
        return migrated(django_settings(folder))
    except DatabaseAway as error:
        hint = f"see that it runs and lets this user in; its URL is {folder.database_url}, a password comes from {PASSWORD}"
        raise FolderError(str(error), hint) from None


def expect(folder: Folder) -> None:
    """What the folder's database needs is there; where it is PostgreSQL libpq is loaded now, else never in this process.

    Raises:
        FolderError: psycopg or libpq is missing.
        NotEnforced: FIPS Enforced Mode is lost by what libpq loads.
    """
    if not folder.database_url:
        # unfold imports Django's fields of PostgreSQL wherever psycopg is installed, so libpq and all that it brings
        sys.modules.setdefault("psycopg", None)  # type: ignore[arg-type]  # the import system's way to say: not here
        return
    try:
        importlib.import_module("psycopg")
    except ImportError as error:
        hint = "pip install 'openmid[postgres]', and libpq: apt-get install libpq5"
        raise FolderError(f"PostgreSQL cannot be reached from here: {str(error).splitlines()[0]}", hint) from None
    fips.expect_still(folder)


def django_settings(folder: Folder | None) -> dict[str, Any]:
    """Django's `DATABASES["default"]`."""
    url = folder.database_url if folder else ""
    return _postgresql(folder, url) if folder and url else _sqlite(str(folder.database) if folder else ":memory:")


def _sqlite(path: str) -> dict[str, Any]:
    # Two writers share the file (the ORM's, and the queue's): both begin IMMEDIATE, so that neither fails half-way.
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": path,
        "CONN_MAX_AGE": 0,
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
        },
    }


def _postgresql(folder: Folder, url: str) -> dict[str, Any]:
    parts = urlsplit(check(url))
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.strip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": os.environ.get(PASSWORD) or folder.optional_secret(FILE),
        "HOST": unquote(parts.hostname or ""),
        "PORT": str(parts.port or ""),
        "CONN_MAX_AGE": 0,
        "OPTIONS": DEFAULTS | dict(parse_qsl(parts.query)),
    }
