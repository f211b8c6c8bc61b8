"""Selection's rows: what a connection demands, the MID Servers that it means, and which of them is chosen."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from openmid.instance.mid.addresses import address
from openmid.instance.mid.selection import MOST_COMPARED, Candidate, Requirement, fit, pick
from openmid.instance.records import clock
from openmid.instance.records.database import Connection, Row
from openmid.instance.records.statements import statements
from openmid.wire.probes import Failure, Timeouts

SQL = statements("openmid.instance.connections", "candidates.sql")
SAMPLE = 4 * MOST_COMPARED
"""So many of very many MID Servers are looked at."""
CLUSTER, SPECIFIC = "specific_mid_cluster", "specific_mid_server"


def complete(connection: Connection, row: Row) -> dict[str, Any]:
    """A row of the planner's, with the `demands` of its connection (`connection_sys_id`), if it has one."""
    known = row["connection_sys_id"]
    found = connection.first(SQL["demands"], sys_id=known) if known else None
    if found is None:
        return dict(row)
    names = connection.run(SQL["demanded_capabilities"], sys_id=known)
    return {**dict(row), **dict(found), "capabilities": tuple(each["name"] for each in names)}


def requirement(row: Row, base_url: str) -> Requirement:
    """What a call asks of its MID Server; `row` is complete."""
    selection = row.get("mid_selection")
    return Requirement(
        mid=(row["mid_server_id"] or "") if selection == SPECIFIC else "",
        profile=row["profile"] or "",
        protocol=row["protocol"] or "",
        require_fips=bool(row["require_fips"]),
        cluster=(row.get("mid_cluster_id") or "") if selection == CLUSTER else "",
        cluster_name=row.get("cluster_name") or "",
        application=row.get("application") or "",
        capabilities=row.get("capabilities") or (),
        address=address(urlsplit(base_url).hostname or ""),
    )


def timeouts(row: Row) -> Timeouts:
    """The limits of a call's phases."""
    names = ("connect_timeout", "tls_timeout", "first_byte_timeout")
    return Timeouts(*(row.get(name) or 0 for name in names))


def headers(row: Row, own: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The headers of the connection that the step does not set itself, and the step's `own`."""
    set_ = {name.lower() for name, _ in own}
    more = _json(row.get("additional_http_headers") or [])
    return [(name, value) for name, value in more if name.lower() not in set_] + own


def chosen(connection: Connection, wanted: Requirement) -> Candidate | Failure:
    """The MID Server that makes a call with this requirement, or why there is none."""

    def open_jobs(each: Candidate) -> int:
        row = connection.first(SQL["open_jobs"], mid=each.sys_id)
        return row["jobs"] if row else 0

    found = fitting(connection, wanted)
    return found if isinstance(found, Failure) else pick(found, open_jobs, connection.sequence())


def fitting(connection: Connection, wanted: Requirement) -> list[Candidate] | Failure:
    """Those who can make the call, or why nobody can; read once for all calls of a transaction (`forget`)."""
    found: list[Candidate] | Failure | None = connection.known.get(wanted)
    if found is None:
        found = _sample(connection, wanted) or fit(_all(connection, wanted), wanted, clock.now())
        connection.known[wanted] = found
    return found


def _sample(connection: Connection, wanted: Requirement) -> list[Candidate]:
    """Of very many MID Servers any of which will do, a few that fit, others each time; none where too few of them do, or
    where who fits is not a matter of any."""
    if wanted.mid or wanted.cluster:
        return []
    row = connection.first(SQL["agents"])
    count = row["agents"] if row else 0
    if count < 2 * SAMPLE:
        return []
    skipped = connection.sequence() % count
    values = {"limit": SAMPLE, "skipped": skipped, "more": max(0, skipped + SAMPLE - count)}
    rows = connection.run(SQL["some_candidates"], profile=wanted.profile, **values)
    found = fit(_made(connection, wanted, rows), wanted, clock.now())
    return found if isinstance(found, list) and len(found) >= MOST_COMPARED else []


def forget(connection: Connection) -> None:
    """What is known of the MID Servers is not true any more."""
    connection.known.clear()


def _all(connection: Connection, wanted: Requirement) -> list[Candidate]:
    values = {"profile": wanted.profile, "mid": wanted.mid, "cluster": wanted.cluster}
    return _made(connection, wanted, connection.run(SQL["candidates"], **values))


def _made(connection: Connection, wanted: Requirement, rows: Iterable[Row]) -> list[Candidate]:
    applications = _names(connection.run(SQL["applications"])) if wanted.application else {}
    capabilities = _capabilities(connection) if wanted.capabilities else {}
    ranges = _ranges(connection) if wanted.address else {}
    return [
        Candidate(
            row["sys_id"],
            row["name"],
            row["validated"],
            row["reported_status"],
            row["last_refreshed"],
            bool(row["fips_enforced"]),
            bool(row["profile_applies"]),
            bool(row["paused"]),
            row["place"],
            _trouble(connection, row, wanted.profile),
            frozenset(applications.get(row["sys_id"], ())),
            frozenset(capabilities.get(row["sys_id"], ())),
            tuple(ranges.get(row["sys_id"], ())),
        )
        for row in rows
    ]


def _trouble(connection: Connection, row: Row, profile: str) -> Failure | None:
    """Why the profile is not loaded there; its heartbeat's words are read only where they are needed."""
    if not profile or profile not in row["profiles_not_loaded"]:
        return None
    found = connection.first(SQL["statuses"], sys_id=row["sys_id"])
    for status in _json(found["profile_statuses"]) if found else ():
        if status.get("sys_id") == profile:
            return Failure(status.get("error_code", ""), status.get("error", ""), status.get("remedy", ""))
    return None


def _capabilities(connection: Connection) -> dict[str, set[str]]:
    found = _names(connection.run(SQL["capabilities"]))
    for row in connection.run(SQL["reported"]):
        found[row["mid"]].update(_json(row["reported_capabilities"]))
    return found


def _names(rows: Iterable[Row]) -> defaultdict[str, set[str]]:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for row in rows:
        found[row["mid"]].add(row["name"])
    return found


def _ranges(connection: Connection) -> dict[str, list[tuple[str, str]]]:
    found: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for row in connection.run(SQL["ranges"]):
        found[row["mid"]].append((row["type"], row["range"]))
    return found


def _json(value: Any) -> Any:
    """A JSON column: text in one database, read already in the other."""
    return json.loads(value) if isinstance(value, str) else value
