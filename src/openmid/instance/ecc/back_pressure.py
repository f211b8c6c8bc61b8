"""Back-pressure: a call is refused at once when so many wait that nobody would make it in time.

`max_ready_per_mid` and `max_ready` of instance.json say how many ready jobs one MID Server, and all together, may have.
Counting is dear and puts are many: between two counts each put adds one to an upper bound, and only a bound that has
reached its limit is counted anew, at most once a second; the sooner the lower the limit is, since what was claimed
meanwhile is in the bound and a count is cheap. Where several nodes put jobs, each counts anew every
`SHARED_RECOUNT_S`, so what the others put in the meantime may come on top.
"""

from __future__ import annotations

import math
import time

from django.conf import settings

from openmid.instance.ecc.queue import INTERACTIVE, SQL
from openmid.instance.errors import InstanceError
from openmid.instance.folder import Folder
from openmid.instance.records.database import Connection, Ready

PER_MID, IN_ALL = "max_ready_per_mid", "max_ready"
LIMITS = {PER_MID: 100_000, IN_ALL: 500_000}
"""Unless instance.json says otherwise: about what a MID Server can do before a job has waited too long (`MAX_READY_US`)."""

RESERVED = 1_000
"""So many more places for interactive work: a screen is not shut out by a backlog."""

RECOUNT_S, SHARED_RECOUNT_S = 1.0, 5.0
RETRY_AFTER_S = 5


class QueueFullError(InstanceError):
    """Raised when too many jobs are ready: nothing was stored. `seconds`: try again after."""

    seconds = RETRY_AFTER_S


def admit(connection: Connection, mid: str, mid_name: str, priority: int) -> None:
    """Is there a place for one more call through the MID Server `mid`?

    Raises:
        QueueFullError: no.
    """
    whose = {mid: (PER_MID, f"MID Server {mid_name}"), "": (IN_ALL, "the ECC queue")}
    for key, (setting, holder) in whose.items():
        ready = _ready(connection, key, setting, priority)
        if ready.jobs >= _places(ready, priority):
            raise QueueFullError(
                f"{holder} has {ready.jobs:,} calls waiting already: this one was not accepted",
                f"try again in {RETRY_AFTER_S} seconds; the limit is {setting} of instance.json ({ready.limit:,})",
            )


def _places(ready: Ready, priority: int) -> int:
    return ready.limit + (RESERVED if priority == INTERACTIVE else 0)


def _ready(connection: Connection, key: str, setting: str, priority: int) -> Ready:
    """The upper bound, counted anew where it matters and the last count is not from just now."""
    known = connection.ready.get(key)
    now = time.monotonic()
    if known is not None:
        room = known.jobs < _places(known, priority)
        good_for = (SHARED_RECOUNT_S if connection.shared else math.inf) if room else _recount_s(known.limit)
        if now - known.counted < good_for:
            return known
    limit = _limit(setting)
    row = connection.first(SQL["ready_of" if key else "ready"], mid_server=key, limit=limit + RESERVED)
    connection.ready[key] = Ready(row["jobs"] if row else 0, limit, now)
    return connection.ready[key]


def _recount_s(limit: int) -> float:
    """So that counting takes the same part of the time whatever the limit is."""
    return RECOUNT_S * min(1.0, (limit + RESERVED) / LIMITS[PER_MID])


def _limit(setting: str) -> int:
    folder = settings.OPENMID_FOLDER
    return LIMITS[setting] if folder is None else Folder(folder).number(setting, LIMITS[setting], smallest=1)
