"""The queue's operations, each on a connection of the writer. Units of work are composed of them (`actions.runner`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import itemgetter
from typing import Literal

import msgspec

from openmid.instance.records import clock
from openmid.instance.records.database import Connection, Row, new_id
from openmid.instance.records.statements import listed, statements
from openmid.wire.messages import Job, JobResult, Released
from openmid.wire.probes import Probe, RestProbe

SQL = statements("openmid.instance.ecc", "queue.sql")
LEASE_US = 60 * 1_000_000
"""A MID Server has this long, and the probe's own timeout, to answer."""

MAX_READY_US = 10 * 60 * 1_000_000
"""Whoever asked for a call does not expect it hours later: a job that nobody has taken by then ends."""

MAX_ATTEMPTS = 3
MAX_RESULTS = 10
"""Of so many results of a job, the late ones among them, each is kept: more than its attempts can have are nobody's need."""

MAX_CLAIMED = 8 * 1024 * 1024
"""Characters of payload after which a claim brings no other job: its answer has to arrive before anybody gives up waiting,
and a job whose claim does not arrive may have been sent for all that the instance knows."""

AT_ONCE = 100
"""So many jobs at most end in one unit of work."""
IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})  # RFC 9110, section 9.2.2
INTERACTIVE, EXPEDITED, STANDARD = 0, 1, 2
"""Priorities: somebody looks at the screen; somebody waits for the answer; neither."""

EVERY_PRIORITY = (1000, 1000, 1000)
Outcome = Literal["accepted", "repeated", "late"]
Cancelling = Literal["unsent", "lost", "asked", "over"]


@dataclass(frozen=True)
class Lost:
    """A job that ended without a result, and why."""

    sys_id: str
    mid_server: str
    attempts: int
    error: str


@dataclass(frozen=True)
class Stranded:
    """A job that is ready and will not be run; its MID Server as it is now, `validated` None where it was deleted."""

    sys_id: str
    mid_server: str
    attempts: int
    validated: str | None
    reported_status: str | None
    last_refreshed: int | None


def put(
    connection: Connection,
    probe: Probe,
    mid: str,
    mid_name: str,
    correlator: str,
    source: str,
    priority: int = STANDARD,
    payload: str = "",
) -> str:
    """A job for the MID Server `mid`: its sys_id. `payload` is the probe as JSON, where somebody has it already."""
    sys_id = new_id()
    connection.later(
        SQL["insert_output"],
        sys_id=sys_id,
        now=clock.now(),
        agent=f"mid.server.{mid_name}",
        mid_server=mid,
        topic="RESTProbe" if isinstance(probe, RestProbe) else "SOAPProbe",
        name=f"{probe.method} {probe.url}"[:255],
        source=source[:255],
        priority=priority,
        sequence=connection.sequence(),
        payload=payload or msgspec.json.encode(probe).decode(),
        agent_correlator=correlator,
        idempotent=int(probe.method in IDEMPOTENT or probe.retry.any_method),
        timeout_us=(probe.timeout_ms + (probe.retry.max_elapsed_ms if probe.retry.count else 0)) * 1000,
    )
    for ready in (connection.ready.get(mid), connection.ready.get("")):
        if ready is not None:
            ready.jobs += 1
    connection.wakes.append(f"mid:{mid}")
    return sys_id


def claim(connection: Connection, mid: str, limit: int, room: Sequence[int] = EVERY_PRIORITY) -> list[Job]:
    """Up to `limit` jobs for the MID Server `mid`, of each priority at most its `room`, in the queue's order, under a
    lease."""
    free = [min(limit, each) for each in room]
    if min(free) == limit > 0:  # as a rule every priority has room for all of them
        return _claim(connection, mid, limit, 0, len(free) - 1)
    jobs: list[Job] = []
    for priority, most in enumerate(free):
        left = min(limit - len(jobs), most)
        jobs += _claim(connection, mid, left, priority, priority) if left > 0 else []
    return jobs


def _claim(connection: Connection, mid: str, limit: int, first: int, last: int) -> list[Job]:
    now = clock.now()
    values = {"mid_server": mid, "limit": limit, "first": first, "last": last, "lease": new_id()}
    times = {"now": now, "lease_us": LEASE_US, "before": now - MAX_READY_US}
    rows = sorted(connection.run(SQL["claim"], **values, **times), key=itemgetter("priority", "sequence"))
    sizes = accumulate(len(row["payload"]) for row in rows)
    many = 1 + sum(size < MAX_CLAIMED for size in sizes)
    for row in rows[many:]:
        connection.change(SQL["release"], sys_id=row["sys_id"], lease=row["lease"], now=now)
    return [_job(row, now) for row in rows[:many]]


def cancelled(connection: Connection, mid: str) -> list[str]:
    """The jobs that the MID Server `mid` runs and shall stop."""
    return [row["sys_id"] for row in connection.run(SQL["cancelled"], mid_server=mid)]


def cancel(connection: Connection, sys_id: str) -> Cancelling:
    """End a job that nobody has claimed (lost: an earlier attempt may have been sent); have its MID Server stop one that
    runs. Over: it ended by itself before."""
    item = connection.first(SQL["item"], sys_id=sys_id)
    if item is None or item["state"] not in ("ready", "processing"):
        return "over"
    if item["state"] == "ready":
        fail(connection, sys_id, "cancelled")
        return "lost" if item["attempts"] else "unsent"
    connection.change(SQL["cancel"], sys_id=sys_id, now=clock.now())
    connection.wakes.append(f"mid:{item['mid_server']}")
    return "asked"


def release(connection: Connection, mid: str, released: Released) -> Lost | None:
    """A job that its MID Server gives back: ready again where that does no harm, else lost. None also where the lease is
    not in force any more."""
    row = connection.first(SQL["in_force"], sys_id=released.sys_id, lease=released.lease, mid_server=mid)
    if row is None:
        return None
    if released.sent:
        return _again_or_lost(connection, row)
    if row["cancel"]:
        return _lost(connection, row, "cancelled")
    connection.change(SQL["release"], sys_id=released.sys_id, lease=released.lease, now=clock.now())
    connection.wakes.append(f"mid:{mid}")
    return None


def _job(row: Row, now: int) -> Job:
    return Job(
        sys_id=row["sys_id"],
        lease=row["lease"],
        lease_us=row["lease_until"] - now,
        probe=msgspec.Raw(row["payload"]),
        priority=row["priority"],
        attempts=row["attempts"],
        repeatable=bool(row["idempotent"]),
    )


def complete(connection: Connection, mid: str, outcomes: Sequence[JobResult]) -> list[tuple[Outcome, str]]:
    """Record results. Returns, for each, what became of it, and the sys_id of the input item that holds it.

    Late: the lease is not the one in force, or the job is not this MID Server's. It is recorded and changes nothing;
    not even that where the job has `MAX_RESULTS` already.
    """
    jobs, leases = listed(each.sys_id for each in outcomes), listed(f"{each.sys_id} {each.lease}" for each in outcomes)
    rows = connection.run(SQL["complete"], now=clock.now(), jobs=jobs, leases=leases, mid_server=mid)
    done = {(row["sys_id"], row["lease"]): row for row in rows}
    return [_recorded(connection, mid, each, done.pop((each.sys_id, each.lease), None)) for each in outcomes]


def _recorded(connection: Connection, mid: str, outcome: JobResult, done: Row | None) -> tuple[Outcome, str]:
    if done is not None:
        return "accepted", _insert_input(connection, done, outcome, "")
    item = connection.first(SQL["item"], sys_id=outcome.sys_id)
    if item is None or item["mid_server"] != mid:
        return "late", ""
    before = connection.first(SQL["answered"], sys_id=outcome.sys_id, lease=outcome.lease)
    if before is not None:
        return ("repeated" if before["state"] == "processed" else "late"), before["sys_id"]
    if item["lease"] != outcome.lease and len(connection.run(SQL["results"], sys_id=outcome.sys_id)) >= MAX_RESULTS:
        return "late", ""
    return "late", _insert_input(connection, item, outcome, "late: another attempt had taken the job over")


def lapse(connection: Connection) -> list[Lost]:
    """Jobs whose lease ran out: ready again where the request may be repeated, else an error. Returns those lost."""
    rows = connection.run(SQL["lapsed"], now=clock.now(), limit=AT_ONCE)
    return [lost for row in rows if (lost := _again_or_lost(connection, row)) is not None]


def _again_or_lost(connection: Connection, row: Row) -> Lost | None:
    if row["cancel"]:
        return _lost(connection, row, "cancelled")
    if not row["idempotent"] or row["attempts"] >= MAX_ATTEMPTS:
        return _lost(connection, row, "outcome_unknown")
    connection.change(SQL["requeue"], sys_id=row["sys_id"], now=clock.now())
    connection.wakes.append(f"mid:{row['mid_server']}")
    return None


def _lost(connection: Connection, row: Row, error: str) -> Lost:
    fail(connection, row["sys_id"], error)
    return Lost(row["sys_id"], row["agent"].removeprefix("mid.server."), row["attempts"], error)


def stranded(connection: Connection) -> list[Stranded]:
    """Jobs that nobody will take: `fail` ends them."""
    rows = connection.run(SQL["stranded"], before=clock.now() - MAX_READY_US, limit=AT_ONCE)
    return [
        Stranded(
            row["sys_id"],
            row["agent"].removeprefix("mid.server."),
            row["attempts"],
            row["validated"],
            row["reported_status"],
            row["last_refreshed"],
        )
        for row in rows
    ]


def unattended(connection: Connection, after: int, heard: int) -> list[tuple[str, int, str]]:
    """Ready jobs after the sequence `after` whose MID Server does not take them (its last heartbeat is before `heard`, or
    it may not): sys_id, sequence, MID Server."""
    rows = connection.run(SQL["unattended"], after=after, heard=heard, limit=AT_ONCE)
    return [(row["sys_id"], row["sequence"], row["mid_server"]) for row in rows]


def move(connection: Connection, sys_id: str, mid: str, mid_name: str) -> None:
    """Let another MID Server make a call that nobody has taken."""
    connection.change(SQL["move"], sys_id=sys_id, mid_server=mid, agent=f"mid.server.{mid_name}", now=clock.now())
    connection.wakes.append(f"mid:{mid}")


def fail(connection: Connection, sys_id: str, code: str) -> None:
    """End a job that has no result."""
    connection.change(SQL["fail"], sys_id=sys_id, error_string=code, now=clock.now())


def _insert_input(connection: Connection, item: Row, outcome: JobResult, error: str) -> str:
    sys_id = new_id()
    connection.later(
        SQL["insert_input"],
        sys_id=sys_id,
        now=clock.now(),
        agent=item["agent"],
        mid_server=item["mid_server"],
        topic=item["topic"],
        name=item["name"],
        source=item["source"],
        state="error" if error else "processed",
        sequence=connection.sequence(),
        payload=msgspec.json.encode(outcome.result).decode(),
        agent_correlator=item["agent_correlator"],
        response_to=item["sys_id"],
        error_string=error,
        lease=outcome.lease,
    )
    return sys_id
