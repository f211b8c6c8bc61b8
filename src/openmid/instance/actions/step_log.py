"""What happened to a step, line by line: put on the queue, claimed, each attempt, the answer, the end.

Made of what was recorded, so it is there for executions of any age. Times are microseconds of the instance's clock; those
of the MID Server's clock are moved between the claim and the end, where they happened.
"""

from __future__ import annotations

import json

from openmid.instance.actions.planner import Plan
from openmid.instance.ecc.queue import LEASE_US
from openmid.instance.records.database import Row
from openmid.wire import charsets
from openmid.wire.probes import EarlierAttempt, ProbeResult

Line = tuple[int, str]
"""When, and what."""


def claimed_at(row: Row) -> int | None:
    """When the step's job was claimed (the last time): its lease says so. None: not yet, or the clock was moved since."""
    if row["lease_until"] is None or row["started"] is None:
        return None
    claimed = int(row["lease_until"] - row["timeout_us"] - LEASE_US)
    ends = row["finished"]
    return claimed if row["started"] <= claimed and (ends is None or claimed <= ends) else None


def lines(row: Row, planned: Plan, result: ProbeResult | None) -> list[Line]:
    """The log of one step: a row of the statement `step_details`."""
    if row["started"] is None:
        return []
    found: list[Line] = []
    claimed = claimed_at(row)
    if row["mid_server"]:
        found.append((row["started"], f"Put on the ECC queue for MID Server {row['mid_server']}"))
    if claimed is not None:
        again = f", claim {row['attempts']}" if row["attempts"] > 1 else ""
        found.append((claimed, f"Claimed by MID Server {row['mid_server']}{again}"))
    found += _within(_call(planned, result), claimed or row["started"], row["finished"])
    if row["finished"] is not None:
        found += [(row["finished"], said) for said in _end(row)]
    return found


def _within(said: list[Line], first: int, last: int | None) -> list[Line]:
    """The lines of another clock, in their order, between two moments of ours."""
    return [(min(max(at, first), last if last is not None else at), text) for at, text in said]


def _call(planned: Plan, result: ProbeResult | None) -> list[Line]:
    """What the MID Server did."""
    probe = planned.probe
    if probe is None or result is None or not result.started:
        return []
    found: list[Line] = []
    for number, each in enumerate(result.attempts, start=1):
        found.append((each.started, f"Attempt {number}: {_came(each)}; waited {each.waited_ms} ms"))
    at = result.started
    found.append((at, f"{probe.method} {probe.url}"))
    found += [(at, f"Followed to {url}") for url in result.redirects]
    if result.tls.version:
        client = f", client certificate {result.tls.client_subject}" if result.tls.client_subject else ""
        found.append((at, f"Connected to {result.tls.peer}: {result.tls.version} {result.tls.cipher}{client}"))
    if result.status_code is not None:
        ended = at + max(result.timing.total, 0)
        found.append((ended, f"Answer {result.status_code}, {payload_bytes(result)} bytes"))
    return found


def payload_bytes(result: ProbeResult) -> int:
    """How large an answer's body was, its content coding taken off."""
    if result.attachment is not None:
        return result.attachment.size_bytes
    if result.body_is_base64:
        return len(result.body) // 4 * 3 - result.body[-2:].count("=")
    return len(charsets.as_sent(result.headers, result.body))


def _came(attempt: EarlierAttempt) -> str:
    failure = attempt.failure
    return f"{failure.code}: {failure.message}" if failure else f"answer {attempt.status_code}"


def _end(row: Row) -> list[str]:
    outputs = json.loads(row["outputs"])
    said = [f"Outputs read: {', '.join(outputs)}"] if outputs else []
    if row["error"]:
        error = json.loads(row["error"])
        said.append(f"{error['code']}: {error['message']}")
    return [*said, str(row["state"])]
