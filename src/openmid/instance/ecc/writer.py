"""The queue's one writer, with a connection of its own.

A unit of work is `(connection) -> result`. Units that wait together share a commit, and one that fails takes no other
with it: they run without savepoints first, which are a third of the statements of a call; when one fails half way
everything is rolled back and run again, each unit in a savepoint of its own. So **a unit may run more than once, and keeps
nothing outside of its connection** that a second run would spoil. Each transaction is BEGIN IMMEDIATE under
synchronous=FULL: what a unit's future returns is on the disk.

Where an event loop serves requests (`openmid instance run`) the units run on that loop, between two requests, and only
the waits go to a thread: for the lock, if somebody else has it, and for the disk, unless the last commit was over sooner
than a thread would have been woken. Two threads that both run Python would hand the interpreter's lock to each other at
every statement, which costs more than the statements. Elsewhere (commands, tests) the writer is a thread.

What nobody has foreseen, outside of a unit, ends no writer: who waits hears of it, and the next have a new connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from typing import Any, TypeVar

from django.db import transaction

from openmid.instance.ecc.standing import Standing
from openmid.instance.records import sqlite
from openmid.instance.records.database import DATABASE_ERRORS, Connection, connect, database, shared
from openmid.instance.records.sqlite import SqliteConnection
from openmid.instance.records.wakeups import wakeups

log = logging.getLogger("openmid.instance")
T = TypeVar("T")
Unit = Callable[[Connection], Any]
Waiting = deque[tuple[Unit, Future[Any]]]
Outcome = tuple[Any, Exception | None]
MAX_UNITS_A_COMMIT = 50
MAX_BATCH_S = 0.01
"""A commit takes no more units after this time: the loop has others to serve."""
QUICK_S = 0.002
"""A commit that takes no longer is not worth a thread."""
FULL_S = 0.05
"""A full disk stays full for a while."""


class Writer:
    """Who writes `ecc_queue`, executions, and heartbeats: a thread."""

    def __init__(self, database: str) -> None:
        self.database = database
        self.standing = Standing()
        self._units: queue.SimpleQueue[tuple[Unit, Future[Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="openmid-writer", daemon=True)
        self._thread.start()

    def submit(self, unit: Callable[[Connection], T]) -> Future[T]:
        """Run `unit` in a transaction; the future is done when it is committed, or holds the unit's error."""
        future: Future[T] = Future()
        self._units.put((unit, future))
        return future

    async def done(self, unit: Callable[[Connection], T]) -> T:
        """The same, for a coroutine."""
        return await asyncio.wrap_future(self.submit(unit))

    def run(self, unit: Callable[[Connection], T]) -> T:
        """The same, for a thread that waits.

        Raises:
            RuntimeError: called inside an ORM transaction, which would wait for itself.
        """
        if transaction.get_connection().in_atomic_block:
            raise RuntimeError("the queue's writer cannot be waited for inside transaction.atomic()")
        return self.submit(unit).result(timeout=60)

    def close(self) -> None:
        """Finish what is waiting, then end the thread."""
        self._units.put(None)
        self._thread.join(timeout=30)

    async def stop(self) -> None:
        """`close`, for a coroutine."""
        await asyncio.to_thread(self.close)

    def _work(self) -> None:
        connection: Any = None
        open_ = True
        while open_:
            units, open_ = self._taken()
            every = list(units)
            try:
                connection = connection or connect(self.database)
                self._commit(connection, units)
            except Exception as error:
                unforeseen(error, every)
                discard(connection)
                connection = None
        discard(connection)

    def _commit(self, connection: SqliteConnection, units: Waiting) -> None:
        batch = Batch(connection, units, self.standing)
        try:
            connection.begin()
            try:
                batch.run()
            except Spoilt:
                connection.rollback()
                connection.begin()
                batch.run_again()
            connection.commit()
            batch.succeed()
        except Exception as error:
            batch.fail(error)
            if not isinstance(error, DATABASE_ERRORS):
                raise
            time.sleep(FULL_S)

    def _taken(self) -> tuple[Waiting, bool]:
        units: Waiting = deque()
        unit = self._units.get()
        while unit is not None:
            units.append(unit)
            if len(units) == MAX_UNITS_A_COMMIT or self._units.empty():
                return units, True
            unit = self._units.get()
        return units, False


class LoopWriter(Writer):
    """The same on an event loop: of the loop that makes it, and until `stop`."""

    def __init__(self, database: str) -> None:
        self.database = database
        self.standing = Standing()
        self._waiting: Waiting = deque()
        self._loop = asyncio.get_running_loop()
        self._there = asyncio.Event()
        self._waits = ThreadPoolExecutor(1, "openmid-writer")
        self._open = True
        self._quick = False
        self._task = asyncio.create_task(self._drive())

    def submit(self, unit: Callable[[Connection], T]) -> Future[T]:
        future: Future[T] = Future()
        self._waiting.append((unit, future))
        self._loop.call_soon_threadsafe(self._there.set)
        return future

    async def done(self, unit: Callable[[Connection], T]) -> T:
        future: asyncio.Future[T] = self._loop.create_future()
        self._waiting.append((unit, future))  # type: ignore[arg-type]  # of the two futures only what both have is used
        self._there.set()
        return await future

    async def stop(self) -> None:
        """Finish what is waiting."""
        self._open = False
        self._there.set()
        await self._task

    def close(self) -> None:
        """Nothing: `stop` does it, on the loop."""

    async def _drive(self) -> None:
        connection: SqliteConnection | None = None
        while self._waiting or self._open:
            if not self._waiting:
                self._there.clear()
                await self._there.wait()
                continue
            try:
                connection = connection or sqlite.connect(self.database, waits=False)
                await self._commit_here(connection)
            except Exception as error:
                unforeseen(error, self._waiting)
                self._waiting.clear()
                discard(connection)
                connection = None
                await asyncio.sleep(FULL_S)
        await self._in_thread(discard, connection)
        self._waits.shutdown()

    async def _commit_here(self, connection: SqliteConnection) -> None:
        batch = Batch(connection, self._waiting, self.standing)
        try:
            await self._begin(connection)
            before = connection.total_changes
            try:
                batch.run(MAX_BATCH_S)
            except Spoilt:
                connection.rollback()
                await self._begin(connection)
                batch.run_again()
            if connection.total_changes == before:  # claims that found nothing: the disk is not waited for
                connection.commit()
            elif self._quick:
                self._commit_now(connection)
            else:
                await self._in_thread(self._commit_now, connection)
            batch.succeed()
        except Exception as error:
            batch.fail(error)
            if not isinstance(error, DATABASE_ERRORS):
                raise
            await asyncio.sleep(FULL_S)

    def _commit_now(self, connection: SqliteConnection) -> None:
        began = time.monotonic()
        connection.commit()
        self._quick = time.monotonic() - began < QUICK_S

    async def _begin(self, connection: SqliteConnection) -> None:
        if not connection.begin_if_free():  # it is free nearly always
            await self._in_thread(connection.begin_patiently)

    async def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> None:
        await self._loop.run_in_executor(self._waits, function, *arguments)


class Spoilt(Exception):
    """Raised when a unit has failed after it had written something."""


class Batch:
    """Units that share a commit: `run` inside a transaction, then `succeed` or `fail`."""

    def __init__(self, connection: SqliteConnection, units: Waiting, standing: Standing) -> None:
        self._connection = connection
        self._waiting = units
        self._standing = standing
        self._taken: list[tuple[Unit, Future[Any]]] = []
        self._outcomes: list[Outcome] = []

    def run(self, seconds: float = float("inf")) -> None:
        """Run the units that wait, none of them after `seconds`; then the claims that wait for what they did.

        Raises:
            Spoilt: roll back, begin again, and `run_again`.
        """
        self._forget()
        until = time.monotonic() + seconds
        while self._waiting and len(self._taken) < MAX_UNITS_A_COMMIT:
            each = self._waiting.popleft()
            if _wanted(each[1]):
                self._taken.append(each)
                self._outcomes.append(_plainly(self._connection, each[0]))
            if time.monotonic() >= until:
                break
        try:
            self._connection.flush()
        except DATABASE_ERRORS as error:
            raise Spoilt from error
        self._run_claims()

    def run_again(self) -> None:
        """The same units, each in a savepoint."""
        self._forget()
        self._outcomes = [_carefully(self._connection, unit) for unit, _ in self._taken]
        self._run_claims()

    def _forget(self) -> None:
        self._connection.deferred.take()
        self._connection.wakes.clear()
        self._connection.known.clear()

    def _run_claims(self) -> None:
        claims = self._standing.take(self._connection.wakes)
        self._taken += [(claim.unit, claim.future) for claim in claims]  # all, lest one be lost where another fails
        self._outcomes += [_carefully(self._connection, claim.unit) for claim in claims]

    def succeed(self) -> None:
        """Everything is on the disk: say so."""
        for (_, future), (result, failure) in zip(self._taken, self._outcomes, strict=True):
            if future.done():  # cancelled
                continue
            if failure is None:
                future.set_result(result)
            else:
                future.set_exception(failure)
        wakeups.wake(*self._connection.wakes)

    def fail(self, error: Exception) -> None:
        """Nothing of it is, and the database being as it is, nothing of what waits would be."""
        try:
            self._connection.rollback()
        finally:
            refuse([*self._taken, *self._waiting], error)
            self._waiting.clear()


def refuse(units: Iterable[tuple[Unit, Future[Any]]], error: Exception) -> None:
    """Tell those who still wait."""
    for _, future in units:
        with contextlib.suppress(InvalidStateError, asyncio.InvalidStateError):  # it has gone, or knows already
            future.set_exception(error)


def unforeseen(error: Exception, units: Iterable[tuple[Unit, Future[Any]]]) -> None:
    """An error that ends a transaction, and is neither a unit's nor the database's: the log has it, and who waits."""
    log.error("the queue's writer stumbled, and goes on with a new connection", exc_info=error)
    refuse(units, error)


def discard(connection: Connection | None) -> None:
    """Give a connection back, whatever state it is in; what it had begun is undone."""
    for last in (connection.rollback, connection.close) if connection else ():
        with contextlib.suppress(Exception):
            last()


def _wanted(future: Future[Any] | asyncio.Future[Any]) -> bool:
    """Whether somebody still waits for it."""
    if isinstance(future, Future):
        return future.set_running_or_notify_cancel()
    return not future.cancelled()


def _plainly(connection: SqliteConnection, unit: Unit) -> Outcome:
    """A unit's outcome; Spoilt where it has failed and left something."""
    before, said = connection.total_changes, connection.deferred.rows
    try:
        return unit(connection), None
    except DATABASE_ERRORS as error:
        raise Spoilt from error
    except Exception as error:
        connection.known.clear()
        if connection.total_changes != before or connection.deferred.rows != said:
            raise Spoilt from error
        return None, error


def _carefully(connection: SqliteConnection, unit: Unit) -> Outcome:
    connection.change("SAVEPOINT unit")
    try:
        result = unit(connection)
        connection.flush()
    except Exception as error:
        connection.deferred.take()
        connection.change("ROLLBACK TO unit")
        connection.change("RELEASE unit")
        connection.known.clear()
        return None, error
    connection.change("RELEASE unit")
    return result, None


_lock = threading.Lock()
_writers: dict[str, Writer] = {}


def writer() -> Writer:
    """This process's writer of the instance's database: a loop (`drive`), else a thread that starts with the first call."""
    path = database()
    found = _writers.get(path)
    if found is None:
        with _lock:
            found = _writers.setdefault(path, _writers.get(path) or _made(path))
    return found


def drive() -> Writer:
    """Let the running event loop be this process's writer; whoever calls it also calls `release`. Where nodes share a
    database their writers wait for its server, so a thread it is."""
    close_writer()
    path = database()
    made = _made(path) if shared() else LoopWriter(path)
    with _lock:
        _writers[path] = made
    return made


async def release(driven: Writer) -> None:
    """End what `drive` began, when it has finished."""
    with _lock:
        if _writers.get(driven.database) is driven:
            del _writers[driven.database]
    await driven.stop()


def _made(path: str) -> Writer:
    if not shared():
        return Writer(path)
    from openmid.instance.ecc.shared_writer import SharedWriter  # loads libpq: not where SQLite is used

    return SharedWriter(path)


def close_writer() -> None:
    """End this process's writer, if there is one, when it has finished."""
    with _lock:
        found = _writers.pop(database(), None)
    if found is not None:
        found.close()
