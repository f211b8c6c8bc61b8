"""The MID Servers' endpoints, in the order of `wire.messages`."""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from openmid.instance.actions import runner
from openmid.instance.channel.http import RESULTS, Json, Refused, body, in_thread
from openmid.instance.connections import distribution
from openmid.instance.ecc import queue
from openmid.instance.ecc.writer import writer
from openmid.instance.mid import enrolment, proofs
from openmid.instance.mid.models import HEARTBEAT_MS, Validated
from openmid.instance.records import clock
from openmid.instance.records.database import Connection, new_id, reader
from openmid.instance.records.secrets import digest
from openmid.instance.records.statements import statements
from openmid.instance.records.wakeups import wakeups
from openmid.wire.codec import decode
from openmid.wire.messages import (
    ClaimAnswer,
    ClaimRequest,
    EnrolRequest,
    Heartbeat,
    HeartbeatAnswer,
    Job,
    RekeyRequest,
    ResultsRequest,
)

SQL = statements("openmid.instance.mid", "mid.sql")
MAX_WAIT_MS = 30_000
MAX_JOBS = 32
FIPS = "FIPS Enforced Mode"
"""The source of an issue."""
SQL_MOMENT = "%Y-%m-%d %H:%M:%S.%f"
STATUSES = frozenset({"Up", "Paused", "Upgrading", "Upgrade Failed", "Degraded", "Draining", "Drained"})
log = logging.getLogger("openmid.channel")


@dataclass(frozen=True)
class Caller:
    """The MID Server whose credential a request carries."""

    sys_id: str
    name: str
    validated: bool
    configuration: str
    public_key: str = ""
    fingerprint: str = ""
    fips_enforced: bool = False
    proof_asked: int = 0


def caller(request: Request, credentials: tuple[str, ...] = ("credential_hash",)) -> Caller:
    """Who sent this request: the holder of one of these `credentials`.

    Raises:
        Refused: 401, the credential is not one of this instance's.
    """
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    sys_id, _, credential = value.strip().partition(".")
    row = reader().first(SQL["identify"], sys_id=sys_id) if scheme.lower() == "bearer" else None
    given = digest(credential)
    if row is None or not any(hmac.compare_digest(row[name], given) for name in credentials):
        raise Refused(
            401,
            "unknown_credential",
            "this credential is not one of this instance's MID Servers'",
            "enrol the MID Server again with a new token: openmid instance mid token NAME",
        )
    return Caller(
        row["sys_id"],
        row["name"],
        row["validated"] == Validated.TRUE,
        str(row["configuration"]),
        row["public_key"],
        row["fingerprint"],
        bool(row["fips_enforced"]),
        row["proof_asked"],
    )


def validated_caller(request: Request) -> Caller:
    """Who sent this request, an administrator having confirmed its key.

    Raises:
        Refused: 401, or 403 `not_validated`.
    """
    found = caller(request)
    if not found.validated:
        raise Refused(
            403,
            "not_validated",
            f"MID Server {found.name} is not validated: it gets no work and no secrets",
            f"compare the fingerprint, then: openmid instance mid validate {found.name} --fingerprint …",
        )
    return found


async def enrol(request: Request) -> Response:
    message = decode(await body(request), EnrolRequest)
    answer = await in_thread(enrolment.enrol, message)
    log.info("MID Server %s enrolled from %r, key %s", message.name, message.host_name, answer.fingerprint)
    return Json(answer)


async def rekey(request: Request) -> Response:
    found = caller(request, ("credential_hash", "previous_credential_hash"))
    message = decode(await body(request), RekeyRequest)
    answer = await in_thread(enrolment.rekey, found.sys_id, message)
    log.info("MID Server %s has a new key, %s", found.name, answer.fingerprint)
    return Json(answer)


async def heartbeat(request: Request) -> Response:
    found = caller(request)
    message = decode(await body(request), Heartbeat)
    fips = proofs.standing(found.sys_id, found.public_key, message.fips_enforced, message.proof)
    if found.fips_enforced and not fips.enforced:
        log.error("MID Server %s is not in FIPS Enforced Mode any more: %s", found.name, fips.reason)
    await asyncio.wrap_future(writer().submit(_note(found, message, fips)))
    return Json(HeartbeatAnswer(found.validated, found.configuration, HEARTBEAT_MS, found.proof_asked))


def _note(found: Caller, message: Heartbeat, fips: proofs.Standing) -> Callable[[Connection], int]:
    """The unit of work that notes a heartbeat."""
    values: dict[str, object] = {
        "version": message.version[:80],
        "host_name": message.host_name[:255],
        "host_os_distribution": message.host_os_distribution[:255],
        "started": message.started,
        "status": message.status if message.status in STATUSES else "Up",
        "fips_enforced": int(fips.enforced),
        "proof": None,
        "profile_statuses": _text(message.profiles),
        "egress": _text(message.egress),
    }

    def note(connection: Connection) -> int:
        if fips.signed:
            values["proof"] = digest(found.fingerprint + fips.signed.text)[:32]
            kept = {"proof": fips.signed.text, "signature": fips.signed.signature, "fingerprint": found.fingerprint}
            connection.change(SQL["note_proof"], sys_id=values["proof"], **kept)
        _note_issue(connection, found, fips, lost=message.proof is not None)
        return connection.change(SQL["heartbeat"], sys_id=found.sys_id, now=clock.now(), **values)

    return note


def _note_issue(connection: Connection, found: Caller, fips: proofs.Standing, *, lost: bool) -> None:
    """An issue from the heartbeat with which FIPS Enforced Mode is gone until the one with which it is back.

    `lost`: the MID Server should be enforced and is not; else it was switched off, which is said once.
    """
    now = clock.now()
    what = {"mid_server": found.sys_id, "source": FIPS, "now": now, "moment": clock.moment(now).strftime(SQL_MOMENT)}
    if fips.enforced:
        connection.change(SQL["resolve_issue"], **what)
    elif lost or found.fips_enforced:
        reason = f"{found.name}: {fips.reason}"[:255]
        connection.change(SQL["note_issue"], sys_id=new_id(), short_description=reason, **what)


def _text(data: object) -> str:
    return msgspec.json.encode(data).decode()


async def configuration(request: Request) -> Response:
    found = validated_caller(request)
    return Json(await in_thread(distribution.configuration, found.sys_id))


async def claim(request: Request) -> Response:
    """Jobs, or an empty answer after `wait_ms`, a change of the configuration, or when the instance stops."""
    first = validated_caller(request)
    message = decode(await body(request), ClaimRequest)
    limit = min(message.limit, MAX_JOBS)
    loop = asyncio.get_running_loop()
    until = loop.time() + min(message.wait_ms, MAX_WAIT_MS) / 1000
    with wakeups.waiting(f"mid:{first.sys_id}") as woken:
        while True:
            woken.clear()
            now = validated_caller(request)
            jobs, cancel = ([], []) if wakeups.stopping else await _claim(now.sys_id, limit, message.room)
            left = until - loop.time()
            if jobs or cancel or left <= 0 or now.configuration != first.configuration or wakeups.stopping:
                return Json(ClaimAnswer(now.configuration, jobs, cancel))
            if not await _woken(woken, left) or await request.is_disconnected():
                return Json(ClaimAnswer(now.configuration, []))


async def _claim(mid: str, limit: int, room: tuple[int, int, int]) -> tuple[list[Job], list[str]]:
    def unit(connection: Connection) -> tuple[list[Job], list[str]]:
        return queue.claim(connection, mid, limit, room), queue.cancelled(connection, mid)

    return await asyncio.wrap_future(writer().submit(unit))


async def _woken(event: asyncio.Event, seconds: float) -> bool:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True


async def results(request: Request) -> Response:
    found = validated_caller(request)
    message = decode(await body(request, RESULTS), ResultsRequest)
    answer = await asyncio.wrap_future(
        writer().submit(lambda connection: runner.take(connection, found.sys_id, message.results, message.released))
    )
    for late in answer.late:
        log.warning("MID Server %s delivered a late result for job %s: recorded, nothing changed", found.name, late)
    return Json(answer)


ROUTES = [
    Route(f"/{each.__name__}", each, methods=["POST"])
    for each in (enrol, rekey, heartbeat, configuration, claim, results)
]
