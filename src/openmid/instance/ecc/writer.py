"""The queue's one writer: a thread with a connection of its own.

A unit of work is `(connection) -> result`. Units that wait together share a commit; one that fails is rolled back to
its savepoint and takes no other with it. Each transaction is BEGIN IMMEDIATE under synchronous=FULL: what a unit's
future returns is on the disk.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from django.db import transaction

from openmid.instance.records.database import DATABASE_ERRORS, Connection, connect, database
from openmid.instance.records.wakeups import wakeups

T = TypeVar("T")
MAX_UNITS_A_COMMIT = 50


class Writer:
    """The thread that writes `ecc_queue`, executions, and heartbeats."""

    def __init__(self, database: str) -> None:
        self.database = database
        self._units: queue.SimpleQueue[tuple[Callable[[Connection], Any], Future[Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="openmid-writer", daemon=True)
        self._thread.start()

    def submit(self, unit: Callable[[Connection], T]) -> Future[T]:
        """Run `unit` in a transaction; the future is done when it is committed, or holds the unit's error."""
        future: Future[T] = Future()
        self._units.put((unit, future))
        return future

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

    def _work(self) -> None:
        connection = connect(self.database)
        open_ = True
        while open_:
            batch, open_ = self._batch()
            batch = [each for each in batch if each[1].set_running_or_notify_cancel()]
            if batch:
                self._commit(connection, batch)
        connection.close()

    def _batch(self) -> tuple[list[tuple[Callable[[Connection], Any], Future[Any]]], bool]:
        batch = []
        unit = self._units.get()
        while unit is not None:
            batch.append(unit)
            if len(batch) == MAX_UNITS_A_COMMIT or self._units.empty():
                return batch, True
            unit = self._units.get()
        return batch, False

    def _commit(self, connection: Connection, batch: list[tuple[Callable[[Connection], Any], Future[Any]]]) -> None:
        connection.wakes.clear()
        outcomes: list[tuple[Future[Any], Any, BaseException | None]] = []
        try:
            connection.begin()
            for unit, future in batch:
                outcomes.append((future, *_attempt(connection, unit)))
            connection.commit()
        except DATABASE_ERRORS as error:
            connection.rollback()
            for _, future in batch:
                future.set_exception(error)
            time.sleep(0.05)  # a full disk stays full for a while
            return
        for future, result, failure in outcomes:
            if failure is None:
                future.set_result(result)
            else:
                future.set_exception(failure)
        wakeups.wake(*connection.wakes)


def _attempt(connection: Connection, unit: Callable[[Connection], T]) -> tuple[T | None, Exception | None]:
    connection.change("SAVEPOINT unit")
    try:
        result = unit(connection)
    except Exception as error:
        connection.change("ROLLBACK TO unit")
        connection.change("RELEASE unit")
        return None, error
    connection.change("RELEASE unit")
    return result, None


_lock = threading.Lock()
_writers: dict[str, Writer] = {}


def writer() -> Writer:
    """This process's writer of the instance's database; its thread starts with the first call."""
    with _lock:
        path = database()
        if path not in _writers:
            _writers[path] = Writer(path)
        return _writers[path]


def close_writer() -> None:
    """End this process's writer, if there is one, when it has finished."""
    with _lock:
        found = _writers.pop(database(), None)
    if found is not None:
        found.close()
