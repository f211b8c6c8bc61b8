"""Jobs that wait for a MID Server which went Down, was paused, or lost its trust: another one is chosen, where the
connection leaves it open. A specific MID Server never fails over."""

from __future__ import annotations

import msgspec

from openmid.instance.actions.planner import Plan
from openmid.instance.connections import candidates
from openmid.instance.ecc import queue
from openmid.instance.mid.models import DOWN_AFTER
from openmid.instance.records import clock
from openmid.instance.records.database import Connection
from openmid.instance.records.statements import statements
from openmid.wire.probes import Failure

SQL = statements("openmid.instance.actions", "execution.sql")
PAGES = 10
_after = [0]
"""Where the next round goes on: jobs that stay where they are do not hide those behind them."""


def choose_anew(connection: Connection) -> int:
    """Move such jobs; a part of a unit of work. Returns how many were moved."""
    moved = 0
    for _ in range(PAGES):
        jobs = queue.unattended(connection, _after[0], clock.now() - DOWN_AFTER)
        moved += sum(_moved(connection, sys_id, mid) for sys_id, _, mid in jobs)
        _after[0] = jobs[-1][1] if len(jobs) == queue.AT_ONCE else 0
        if not _after[0]:
            break
    return moved


def _moved(connection: Connection, item: str, mid: str) -> bool:
    step = connection.first(SQL["wants"], item=item)
    if step is None:
        return False
    wanted = msgspec.json.decode(step["plan"], type=Plan).requirement
    found = None if wanted.mid else candidates.chosen(connection, wanted)
    if found is None or isinstance(found, Failure) or found.sys_id == mid:
        return False
    queue.move(connection, item, found.sys_id, found.name)
    connection.change(SQL["move_step"], sys_id=step["sys_id"], mid_server=found.name)
    return True
