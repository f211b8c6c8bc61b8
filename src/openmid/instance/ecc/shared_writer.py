"""The queue's writer of one node among several, on PostgreSQL.

Every node has one. Transactions are READ COMMITTED; what keeps the units of two nodes apart are row locks (`queue.sql`):
whoever moves a job on has locked its row first, and with the job the step and the execution that wait for it.

A batch is tried without savepoints first, which halves what the server is asked. When a unit fails, or another node was
in the way, everything is rolled back and run again, then with a savepoint around each unit, and after a collision one node
after the other (an advisory lock): **a unit may run more than
once, and keeps nothing outside of its connection** that a second run would spoil.

When the server goes away, nothing of the batch was done, and it is run again as soon as the server is back; after
`AWAY_S` without it units fail, and their callers hear so. When it goes away *during the commit*, the batch was done or
was not: the connection's mark tells which (`records.postgresql`), and until it has told, no caller hears anything. So no
unit is done twice, and none is called failed that was done. Where the server stays away for `UNKNOWN_S` the caller hears
that the outcome is not known.
"""

from __future__ import annotations

import time
from typing import Any

from openmid.instance.ecc.writer import Unit, Waiting, Writer, refuse
from openmid.instance.errors import InstanceError, OutcomeUnknownError
from openmid.instance.records.database import DATABASE_ERRORS, Connection
from openmid.instance.records.failures import Collision, CommitUnknown, DatabaseAway, Duplicate
from openmid.instance.records.postgresql import PostgresqlConnection
from openmid.instance.records.wakeups import wakeups

Outcome = tuple[Any, BaseException | None]
AWAY_S, UNKNOWN_S, AGAIN_S = 15.0, 60.0, 0.2
MOST_FAILURES = 10
ALONE = "SELECT pg_advisory_xact_lock(31367303361554788)"  # "openmid", as a number


class SharedWriter(Writer):
    """A writer beside others."""

    def __init__(self, database: str) -> None:
        self._careful = False  # a unit of the last batch failed: the next one has savepoints from the start
        self._away_since: float | None = None
        super().__init__(database)

    def _commit(self, connection: Connection, units: Waiting) -> None:
        assert isinstance(connection, PostgresqlConnection)
        batch = [each for each in units if each[1].set_running_or_notify_cancel()]
        try:
            outcomes = self._outcomes(connection, [unit for unit, _ in batch]) if batch else []
        except (*DATABASE_ERRORS, InstanceError) as error:
            connection.ready.clear()
            refuse(batch, error)
            return
        self._careful = any(failure is not None for _, failure in outcomes)
        for (_, future), (result, failure) in zip(batch, outcomes, strict=True):
            if failure is None:
                future.set_result(result)
            else:
                future.set_exception(failure)
        wakeups.wake(*connection.wakes)

    def _outcomes(self, connection: PostgresqlConnection, units: list[Unit]) -> list[Outcome]:
        careful, failures, alone = self._careful, 0, False
        while True:
            outcomes: list[Outcome] = []
            try:
                _transaction(connection, units, outcomes, careful=careful, alone=alone)
            except CommitUnknown as error:
                if self._committed(connection, error.mark):
                    return outcomes
            except DatabaseAway as error:
                self._wait(error, AWAY_S)
            except Exception as error:  # of a unit, or of the commit: now one by one
                connection.rollback()
                failures += 1
                if failures > MOST_FAILURES:
                    raise
                careful, alone = True, alone or isinstance(error, Collision)
            else:
                self._away_since = None
                return outcomes

    def _committed(self, connection: PostgresqlConnection, mark: str) -> bool:
        """Raises OutcomeUnknownError when the server does not come back to tell."""
        while True:
            try:
                known = connection.committed(mark)
            except DatabaseAway as away:
                try:
                    self._wait(away, UNKNOWN_S)
                except DatabaseAway:
                    raise OutcomeUnknownError(
                        "the database server went away while this was stored: whether it was is not known",
                        "look when the server is back; a call with an Idempotency-Key can simply be made again",
                    ) from None
            else:
                self._away_since = None
                return known

    def _wait(self, error: DatabaseAway, seconds: float) -> None:
        """A moment; raises `error` when the server is away for so many seconds already."""
        now = time.monotonic()
        self._away_since = self._away_since or now
        if now - self._away_since > seconds:
            raise error
        time.sleep(AGAIN_S)


def _transaction(
    connection: PostgresqlConnection,
    units: list[Unit],
    outcomes: list[Outcome],
    *,
    careful: bool,
    alone: bool,
) -> None:
    connection.wakes.clear()
    connection.known.clear()
    connection.begin()
    if alone:
        connection.run(ALONE)
    if careful:
        connection.change(
            "SET CONSTRAINTS ALL IMMEDIATE"
        )  # so that a unit fails by itself, not with everybody's commit
    for unit in units:
        outcomes.append(_carefully(connection, unit) if careful else (unit(connection), None))
    connection.commit()


def _carefully(connection: PostgresqlConnection, unit: Unit) -> Outcome:
    """A unit within a savepoint. One that met another node's row is run once more: now it finds that row."""
    for last in (False, True):
        connection.change("SAVEPOINT unit")
        try:
            result = unit(connection)
            connection.flush()
        except (DatabaseAway, Collision):
            raise
        except Exception as error:
            connection.deferred.take()
            connection.change("ROLLBACK TO unit")
            connection.change("RELEASE unit")
            connection.known.clear()
            if last or not isinstance(error, Duplicate):
                return None, error
        else:
            connection.change("RELEASE unit")
            return result, None
    raise AssertionError
