"""SQLite's connection: WAL, synchronous=FULL, transactions begun by hand. The hot path, so without a frame too many."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

from openmid.instance.records import clock
from openmid.instance.records.deferred import Deferred

if TYPE_CHECKING:
    from openmid.instance.records.database import Ready


BUSY_S = 20


class SqliteConnection(sqlite3.Connection):
    """A connection whose `rollback` is sqlite3's own."""

    shared = False

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.row_factory = sqlite3.Row
        self.wakes: list[str] = []
        self.ready: dict[str, Ready] = {}
        self.known: dict[object, Any] = {}
        self.deferred = Deferred()
        self._sequence = 0

    def run(self, statement: str, **values: object) -> list[Any]:
        if self.deferred:
            self.flush()
        return self.execute(statement, values).fetchall()

    def first(self, statement: str, **values: object) -> Any:
        if self.deferred:
            self.flush()
        return self.execute(statement, values).fetchone()

    def change(self, statement: str, **values: object) -> int:
        if self.deferred:
            self.flush()
        return self.execute(statement, values).rowcount

    def later(self, statement: str, **values: object) -> None:
        self.deferred.add(statement, values)

    def flush(self) -> None:
        for statement, rows in self.deferred.take():
            self.executemany(statement, rows)

    def sequence(self) -> int:
        self._sequence = max(self._sequence + 1, clock.now())
        return self._sequence

    def time(self) -> int:
        return clock.now() + clock.jump()

    def begin(self) -> None:
        self.deferred.take()
        self.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        self.flush()
        super().commit()

    def begin_if_free(self) -> bool:
        """Begin, unless somebody else writes now: for a connection that was made not to wait."""
        try:
            self.begin()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                return False
            raise
        return True

    def begin_patiently(self) -> None:
        """Begin on such a connection, and wait for it."""
        self.execute(f"PRAGMA busy_timeout = {BUSY_S * 1000}")
        try:
            self.begin()
        finally:
            self.execute("PRAGMA busy_timeout = 0")


CACHE_KIB, CHECKPOINT_PAGES = 32 * 1024, 4000
"""Of a loop's writer, which commits hundreds of times a second: 32 MiB at most; 16 MB of log until it is written back."""


def connect(path: str, *, read_only: bool = False, waits: bool = True) -> SqliteConnection:
    """A connection as the house rules want it. One that does not wait for others who write is a loop's writer's."""
    connection = sqlite3.connect(
        path, timeout=BUSY_S, isolation_level=None, factory=SqliteConnection, check_same_thread=False
    )
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    if read_only:
        connection.execute("PRAGMA query_only=ON")
    if not waits:
        connection.execute("PRAGMA busy_timeout = 0")
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    return connection
