"""The machine's clock was moved, or the instance was away: leases, waiting times and heartbeats stay as long as they
were."""

from __future__ import annotations

import logging

from openmid.instance.ecc.queue import LEASE_US
from openmid.instance.records import clock
from openmid.instance.records.database import Connection, shared
from openmid.instance.records.statements import statements

SQL = statements("openmid.instance.ecc", "clock_jump.sql")
NOTICED_US = 2_000_000
"""A clock that is disciplined in small steps is let be."""
log = logging.getLogger("openmid.instance")


def moved() -> bool:
    """Whether there is something to follow."""
    return shared() or abs(clock.jump()) > NOTICED_US


class Following:
    """A unit of work: go with the wall clock, and take every promise along. Returns by how many microseconds.

    The writer may run it again, since all is rolled back when another unit fails: then the clock has moved already, and
    the promises go the same way once more. So it is one for each jump, until it is done.

    Where nodes share a database its server's clock is everybody's, and no promise is moved: a node whose own clock is
    moved, or which slept, hurts nobody else.
    """

    def __init__(self) -> None:
        self._followed = 0

    def __call__(self, connection: Connection) -> int:
        rest = connection.time() - clock.now()
        clock.follow(rest)
        self._followed += rest
        if not connection.shared:
            for name in ("leases", "ready", "heartbeats"):
                connection.change(SQL[name], jump=self._followed)
            seconds = self._followed / 1e6
            log.warning("this machine's clock was moved by %.1f seconds; leases and heartbeats went along", seconds)
        return self._followed


def at_start(connection: Connection) -> int:
    """No lease of an earlier process holds longer than a lease does, and none ends before its MID Server could deliver;
    nor has a job waited while nobody could take it. Returns how many leases were cut."""
    if connection.shared:
        Following()(connection)
    now = clock.now()
    connection.change(SQL["owed"], until=now + LEASE_US)
    connection.change(SQL["waited"], now=now)
    return connection.change(SQL["overlong"], now=now, lease_us=LEASE_US)
