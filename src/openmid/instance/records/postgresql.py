"""PostgreSQL's connection, over psycopg and the system's libpq. Imported only where the instance's database is PostgreSQL.

Each writer has a row of `ecc_writer`. A transaction that changed something puts a mark of its own there, so that
after a lost connection the truth about its commit can be asked for: the row is locked until the server has ended that
transaction one way or the other, and then holds the mark or does not. (PostgreSQL's own `pg_xact_status` may be
deceived: the number of a transaction that left nothing on the disk is given again after a crash.)
"""

from __future__ import annotations

import contextlib
import logging
import re
import time
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import django.db
import psycopg
from psycopg.rows import DictRow, dict_row
from psycopg.types.numeric import Int8Dumper
from psycopg.types.string import TextLoader

from openmid.fips import keys
from openmid.instance.records import clock
from openmid.instance.records.deferred import Deferred, Rows
from openmid.instance.records.failures import Collision, CommitUnknown, DatabaseAway, Duplicate
from openmid.instance.records.listening import CHANNEL, payloads

if TYPE_CHECKING:
    from openmid.instance.records.database import Ready

log = logging.getLogger("openmid.instance")
# A commit is on the disk before it is told; a node that froze inside a transaction holds its locks for seconds only.
SESSION = b"""
SELECT set_config('TimeZone', 'UTC', false),
    set_config('default_transaction_isolation', 'read committed', false),
    set_config('default_transaction_read_only', %(read_only)s, false),
    set_config('idle_in_transaction_session_timeout', '10s', false),
    CASE WHEN current_setting('synchronous_commit') = 'off' THEN set_config('synchronous_commit', 'on', false) END,
    current_setting('fsync') AS fsync
"""
TIME = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint) AS now"
ENTER = """
INSERT INTO ecc_writer (writer, mark, seen) VALUES (:writer, '', :now) ON CONFLICT (writer) DO UPDATE SET seen = :now
"""
LEAVE = "DELETE FROM ecc_writer WHERE writer = :writer OR seen < :now - 86400000000"
MARK = "UPDATE ecc_writer SET mark = :mark, seen = :now WHERE writer = :writer"
SETTLE = "SELECT mark FROM ecc_writer WHERE writer = :writer FOR UPDATE"
END_OTHERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE application_name = :name AND pid != pg_backend_pid() AND usename = current_user
"""
NOTIFY = "SELECT pg_notify(:channel, :payload)"

_COLLISIONS = frozenset({"40001", "40P01", "55P03"})  # serialization, deadlock, lock not available
_AWAY = ("08", "57P")  # connection exceptions; the server shuts down, has crashed, or starts up
_KINDS = ("IntegrityError", "DataError", "ProgrammingError", "NotSupportedError", "InternalError", "OperationalError")
_LIST = "SELECT value FROM json_each("
_TOKEN = re.compile(re.escape(_LIST) + r":(?P<list>\w+)\)|('(?:[^']|'')*'|\"[^\"]*\"|--[^\n]*|::)|:(?P<name>\w+)|%")


@lru_cache(maxsize=1024)
def _translated(text: str) -> bytes:
    def token(found: re.Match[str]) -> str:
        if found["list"]:
            return f"SELECT jsonb_array_elements_text(CAST(%({found['list']})s AS jsonb))"
        if found["name"]:
            return f"%({found['name']})s"
        return found[0].replace("%", "%%")

    return _TOKEN.sub(token, text).encode()


def translated(statement: str) -> bytes:
    """A statement as psycopg takes it: `:name` as `%(name)s`, a literal % doubled, a list of texts (JSON) in its words."""
    return _translated(getattr(statement, "postgresql", statement))


def parameters(default: Mapping[str, Any]) -> dict[str, Any]:
    """What psycopg connects with, from Django's settings of the database."""
    names = {"NAME": "dbname", "USER": "user", "PASSWORD": "password", "HOST": "host", "PORT": "port"}
    given = {name: default[key] for key, name in names.items() if default.get(key)}
    return {**given, **default.get("OPTIONS", {})}


def migrated(default: Mapping[str, Any]) -> bool:
    """Whether an instance's tables are there already.

    Raises:
        DatabaseAway: it cannot be asked.
    """
    try:
        with psycopg.connect(**parameters(default)) as connection:
            row = connection.execute("SELECT to_regclass('django_migrations')").fetchone()
    except psycopg.Error as error:
        raise DatabaseAway(_sentence(error)) from error
    return row is not None and row[0] is not None


class PostgresqlConnection:
    """A connection that opens itself, and anew after it was lost. The writer's fails then; a reader asks once more."""

    shared = True

    def __init__(self, default: Mapping[str, Any], *, read_only: bool) -> None:
        self.wakes: list[str] = []
        self.ready: dict[str, Ready] = {}
        self.known: dict[object, Any] = {}
        self.deferred = Deferred()
        self._default = default
        self._read_only = read_only
        self._writer = keys.identifier()
        self._name = "openmid reader" if read_only else f"openmid writer {self._writer}"
        self._connection: psycopg.Connection[DictRow] | None = None
        self._changed = False
        self._sequence = 0

    def run(self, statement: str, **values: object) -> list[Any]:
        return self._execute(statement, values).fetchall()

    def first(self, statement: str, **values: object) -> Any:
        return self._execute(statement, values).fetchone()

    def change(self, statement: str, **values: object) -> int:
        return self._execute(statement, values).rowcount

    def later(self, statement: str, **values: object) -> None:
        self.deferred.add(statement, values)

    def flush(self) -> None:
        for statement, rows in self.deferred.take():
            self._many(statement, rows)

    def sequence(self) -> int:
        self._sequence = max(self._sequence + 1, clock.now())
        return self._sequence

    def time(self) -> int:
        began = time.monotonic_ns()
        row = self.first(TIME)
        return int(row["now"]) + (time.monotonic_ns() - began) // 2000

    def begin(self) -> None:
        self._changed = False
        self.deferred.take()
        self.change("BEGIN")

    def commit(self) -> None:
        """End the transaction.

        Raises:
            CommitUnknown: the connection was lost meanwhile; `committed` finds out.
            DatabaseAway: it was lost before, or nothing had changed.
        """
        self.flush()
        mark = self._mark() if self._changed else ""
        try:
            self.change("COMMIT")
        except DatabaseAway as error:
            raise (CommitUnknown(mark) if mark else error) from error

    def committed(self, mark: str) -> bool:
        """Whether the transaction of this mark was committed; waits until the server has ended it.

        Raises:
            DatabaseAway: it cannot be asked yet.
        """
        self.run(END_OTHERS, name=self._name)
        row = self.first(SETTLE, writer=self._writer)
        return row is not None and row["mark"] == mark

    def rollback(self) -> None:
        self.deferred.take()
        if self._connection is not None:
            with contextlib.suppress(DatabaseAway):  # then the server does it
                self.change("ROLLBACK")

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            if not self._read_only:
                connection.execute(translated(LEAVE), {"writer": self._writer, "now": clock.now()})
            connection.close()
        except psycopg.Error:
            pass  # its row goes with the next node that leaves

    def _mark(self) -> str:
        mark = keys.identifier()
        self.change(MARK, mark=mark, now=clock.now(), writer=self._writer)
        for payload in payloads(self.wakes):
            self.run(NOTIFY, channel=CHANNEL, payload=payload)
        return mark

    def _execute(self, statement: str, values: dict[str, object]) -> psycopg.Cursor[DictRow]:
        if self.deferred:
            self.flush()
        try:
            return self._once(statement, values)
        except DatabaseAway:
            if not self._read_only:
                raise
            return self._once(statement, values)

    def _once(self, statement: str, values: dict[str, object]) -> psycopg.Cursor[DictRow]:
        connection = self._connection or self._open()
        with self._told(connection):
            cursor = connection.execute(translated(statement), values)
        if cursor.rowcount > 0 and not (cursor.statusmessage or "").startswith("SELECT"):
            self._changed = True
        return cursor

    def _many(self, statement: str, rows: Rows) -> None:
        """One statement with many rows: psycopg sends them without waiting for each (libpq's pipeline)."""
        connection = self._connection or self._open()
        with self._told(connection), connection.cursor() as cursor:
            cursor.executemany(translated(statement), rows)
        self._changed = True

    @contextlib.contextmanager
    def _told(self, connection: psycopg.Connection[DictRow]) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            if connection.closed:
                self._connection = None
            raise _told(error, lost=connection.closed) from error

    def _open(self) -> psycopg.Connection[DictRow]:
        given = parameters(self._default) | {"application_name": self._name}
        try:
            connection = psycopg.connect(**given, autocommit=True, row_factory=dict_row)
            connection.adapters.register_loader("jsonb", TextLoader)
            connection.adapters.register_dumper(int, Int8Dumper)
            row = connection.execute(SESSION, {"read_only": "on" if self._read_only else "off"}).fetchone()
            if not self._read_only:
                connection.execute(translated(ENTER), {"writer": self._writer, "now": clock.now()})
        except psycopg.Error as error:
            raise DatabaseAway(_sentence(error)) from error
        if row and row["fsync"] == "off" and not self._read_only:
            log.warning("the PostgreSQL server runs with fsync=off: a power loss may take accepted executions with it")
        self._connection = connection
        return connection


def _told(error: psycopg.Error, *, lost: bool) -> Exception:
    """`error` as the rest of the instance knows it: Django's classes, and ours for what the writer deals with."""
    sentence, state = _sentence(error), error.sqlstate or ""
    if lost or state.startswith(_AWAY):
        return DatabaseAway(sentence)
    if state in _COLLISIONS:
        return Collision(sentence)
    if state == "23505":
        return Duplicate(sentence)
    kind = next((name for name in _KINDS if isinstance(error, getattr(psycopg, name))), "DatabaseError")
    found: Exception = getattr(django.db, kind, django.db.DatabaseError)(sentence)
    return found


def _sentence(error: psycopg.Error) -> str:
    """The first line: details would show values."""
    return error.diag.message_primary or (str(error).strip().splitlines() or [type(error).__name__])[0]
