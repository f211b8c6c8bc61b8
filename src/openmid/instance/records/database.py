"""Connections to the database beside the ORM's, for what machines do often; their statements stand in `.sql` files.

`Connection` is what units of work see; `records.sqlite` and `records.postgresql` are its kinds.
"""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import dataclass
from typing import Any, Protocol

from django.conf import settings
from django.db import Error

from openmid.fips import keys
from openmid.instance.records import clock, sqlite

Row = Any
"""A row: its columns by name (`row["state"]`), and `dict(row)`. JSON columns are text."""

DATABASE_ERRORS = (sqlite3.Error, Error)
"""What a statement raises, and the ORM, when the database refuses or fails."""

SQLITE = "django.db.backends.sqlite3"
POSTGRESQL = "postgresql:"
_readers = threading.local()


@dataclass
class Ready:
    """At most so many jobs are ready; `counted` by the monotonic clock, in seconds (`ecc.back_pressure`)."""

    jobs: int
    limit: int
    counted: float


class Connection(Protocol):
    """A connection that runs statements with named values, and knows whom to wake after the commit."""

    wakes: list[str]
    ready: dict[str, Ready]
    """By MID Server; "": all."""
    known: dict[object, Any]
    """What a transaction has read and nobody can change before it ends."""

    @property
    def shared(self) -> bool:
        """Whether other instance nodes write the same database."""

    def run(self, statement: str, **values: object) -> list[Row]:
        """The rows of a statement."""

    def first(self, statement: str, **values: object) -> Row | None:
        """The first row of a statement, if any."""

    def change(self, statement: str, **values: object) -> int:
        """How many rows a statement changed."""

    def later(self, statement: str, **values: object) -> None:
        """The same, whenever it suits: before anything else is read or changed here, and before the commit
        (`records.deferred`). What the database has against it is raised then."""

    def flush(self) -> None:
        """Write what was said to be done later."""

    def sequence(self) -> int:
        """A number above every earlier one of this writer; about now, in microseconds."""

    def time(self) -> int:
        """The time that this database's promises go by, in microseconds: the wall clock here, or the server's."""

    def begin(self) -> object:
        """Begin a transaction of the queue's writer."""

    def commit(self) -> object:
        """End it: what it did is on the disk."""

    def rollback(self) -> object:
        """Undo it; nothing where there is none."""

    def close(self) -> object:
        """Give the connection back."""


def new_id() -> str:
    """32 hex digits, a sys_id or a lease: 48 bits of time in milliseconds, as in a UUID of version 7 (RFC 9562, section
    5.7), and 80 random ones. Rows that are made together lie together, so that a commit writes few pages."""
    return f"{clock.now() // 1000:012x}{keys.identifier()[:20]}"


def connect(database: str, *, read_only: bool = False) -> Connection:
    """A connection as the house rules want it: transactions begun by hand, every commit on the disk."""
    if not database.startswith(POSTGRESQL):
        return sqlite.connect(database, read_only=read_only)
    from openmid.instance.records.postgresql import PostgresqlConnection  # loads libpq: not where SQLite is used

    return PostgresqlConnection(settings.DATABASES["default"], read_only=read_only)


def database() -> str:
    """The instance's database: SQLite's is a path, else `postgresql:` and its name."""
    default = settings.DATABASES["default"]
    name = str(default["NAME"])
    return name if default["ENGINE"] == SQLITE else POSTGRESQL + name


def shared() -> bool:
    """Whether other instance nodes may use the database."""
    return database().startswith(POSTGRESQL)


def reader() -> Connection:
    """This thread's connection for reading."""
    path = database()
    if getattr(_readers, "path", None) != path:
        _readers.connection, _readers.path = connect(path, read_only=True), path
    found: Connection = _readers.connection
    return found
