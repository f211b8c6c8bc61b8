"""Connections to the database beside the ORM's, for what machines do often; their statements stand in `.sql` files."""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from openmid.fips import keys
from openmid.instance.records import clock

_readers = threading.local()


@dataclass
class Ready:
    """At most so many jobs are ready; `counted` by the monotonic clock, in seconds (`ecc.back_pressure`)."""

    jobs: int
    limit: int
    counted: float


class Connection(sqlite3.Connection):
    """A connection that knows the named statements, and whom to wake after the commit."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.row_factory = sqlite3.Row
        self.wakes: list[str] = []
        self.ready: dict[str, Ready] = {}  # by MID Server; "": all
        self._sequence = 0

    def run(self, statement: str, **values: object) -> list[sqlite3.Row]:
        """The rows of a statement."""
        return self.execute(statement, values).fetchall()

    def first(self, statement: str, **values: object) -> sqlite3.Row | None:
        """The first row of a statement, if any."""
        row: sqlite3.Row | None = self.execute(statement, values).fetchone()
        return row

    def change(self, statement: str, **values: object) -> int:
        """How many rows a statement changed."""
        return self.execute(statement, values).rowcount

    def sequence(self) -> int:
        """A number above every earlier one of this writer; about now, in microseconds."""
        self._sequence = max(self._sequence + 1, clock.now())
        return self._sequence


def new_id() -> str:
    """32 hex digits: a sys_id or a lease."""
    return keys.identifier()


def connect(database: str, *, read_only: bool = False) -> Connection:
    """A connection as the house rules want it: WAL, synchronous=FULL, transactions begun by hand."""
    connection = sqlite3.connect(
        database, timeout=20, isolation_level=None, factory=Connection, check_same_thread=False
    )
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    if read_only:
        connection.execute("PRAGMA query_only=ON")
    return connection


def database() -> str:
    """The path of the instance's database."""
    return str(settings.DATABASES["default"]["NAME"])


def reader() -> Connection:
    """This thread's connection for reading."""
    path = database()
    if getattr(_readers, "path", None) != path:
        _readers.connection, _readers.path = connect(path, read_only=True), path
    found: Connection = _readers.connection
    return found
