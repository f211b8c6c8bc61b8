"""The MID Servers' endpoints, in the order of `wire.messages`."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import msgspec
from django.db import DataError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from openmid.instance.actions import job_secrets, runner
from openmid.instance.channel.http import RESULTS, Json, Refused, address, body, in_thread
from openmid.instance.connections import candidates, distribution
from openmid.instance.ecc import queue
from openmid.instance.ecc.writer import writer
from openmid.instance.errors import InstanceError
from openmid.instance.mid import copies, enrolment, issues, proofs
from openmid.instance.mid.models import HEARTBEAT_MS, Validated
from openmid.instance.records import clock
from openmid.instance.records.database import DATABASE_ERRORS, Connection, new_id, reader
from openmid.instance.records.secrets import digest
from openmid.instance.records.statements import statements
from openmid.instance.records.wakeups import wakeups
from openmid.wire.codec import decode
from openmid.wire.messages import (
    MAX_HEARTBEAT_BYTES,
    MAX_LOG_LINES,
    ClaimAnswer,
    ClaimRequest,
    EnrolRequest,
    Heartbeat,
    HeartbeatAnswer,
    RekeyRequest,
    ResultsAnswer,
    ResultsRequest,
)

SQL = statements("openmid.instance.mid", "mid.sql")
MAX_WAIT_MS = 30_000
MAX_JOBS = 64
FIPS = "FIPS Enforced Mode"
"""The source of an issue."""
LINE, MANY = 1000, 200
"""Characters of a text in a heartbeat; members of a list."""
SQL_MOMENT = "%Y-%m-%d %H:%M:%S.%f"
STATUSES = frozenset({"Up", "Paused", "Upgrading", "Upgrade Failed", "Degraded", "Draining", "Drained"})
_reads = ThreadPoolExecutor(1, "openmid-outputs")
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
    paused: bool = False
    restart_asked: int = 0


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
        bool(row["paused"]),
        row["restart_asked"],
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
    answer = await in_thread(enrolment.enrol, message, address(request))
    log.info("MID Server %s enrolled from %r, key %s", message.name, message.host_name, answer.fingerprint)
    return Json(answer)


async def rekey(request: Request) -> Response:
    found = caller(request, ("credential_hash", "previous_credential_hash"))
    message = decode(await body(request), RekeyRequest)
    answer = await in_thread(enrolment.rekey, found.sys_id, message, address(request))
    log.info("MID Server %s has a new key, %s", found.name, answer.fingerprint)
    return Json(answer)


async def heartbeat(request: Request) -> Response:
    found = caller(request)
    message = bounded(decode(await body(request, MAX_HEARTBEAT_BYTES), Heartbeat))
    fips = proofs.standing(found.sys_id, found.public_key, message.fips_enforced, message.proof)
    if found.fips_enforced and not fips.enforced:
        log.error("MID Server %s is not in FIPS Enforced Mode any more: %s", found.name, fips.reason)
    await writer().done(_note(found, message, fips))
    answer = HeartbeatAnswer(found.validated, found.configuration, HEARTBEAT_MS, found.proof_asked)
    desired = {"paused": found.paused, "restart": found.restart_asked, "now": clock.now()}
    return Json(msgspec.structs.replace(answer, **desired))


def bounded(message: Heartbeat) -> Heartbeat:
    """The heartbeat with every list and every text of it cut to what a record holds."""
    cut = msgspec.structs.replace
    return cut(
        message,
        profiles=[
            cut(
                each, **{name: _line(value) for name, value in msgspec.structs.asdict(each).items() if name != "loaded"}
            )
            for each in message.profiles[:MANY]
        ],
        egress=[_line(each) for each in message.egress[:MANY]],
        capabilities=[_line(each)[:80] for each in message.capabilities[:MANY]],
        log_tail=[_line(each) for each in message.log_tail[-MAX_LOG_LINES:]],
        version=_line(message.version)[:80],
        host_name=_line(message.host_name)[:255],
        host_os_distribution=_line(message.host_os_distribution)[:255],
    )


def _line(text: str) -> str:
    """As much of it as is kept; without zero bytes, which one of the databases does not take."""
    return text.replace("\0", "")[:LINE]


def _note(found: Caller, message: Heartbeat, fips: proofs.Standing) -> Callable[[Connection], int]:
    """The unit of work that notes a heartbeat."""
    values: dict[str, object] = {
        "version": message.version,
        "host_name": message.host_name,
        "host_os_distribution": message.host_os_distribution,
        "started": message.started,
        "status": message.status if message.status in STATUSES else "Up",
        "fips_enforced": int(fips.enforced),
        "proof": None,
        "profile_statuses": _text(message.profiles),
        "profiles_not_loaded": _not_loaded(found, message),
        "egress": _text(message.egress),
        "load": _text(message.load or {}),
        "log_tail": _text(message.log_tail),
        "capabilities": _text(message.capabilities),
    }

    def note(connection: Connection) -> int:
        row = connection.first(SQL["processes"], sys_id=found.sys_id)
        if row is None:
            return 0  # deleted while this was on its way: an issue of nobody would spoil the whole commit
        if fips.signed:
            values["proof"] = digest(found.fingerprint + fips.signed.text)[:32]
            kept = {"proof": fips.signed.text, "signature": fips.signed.signature, "fingerprint": found.fingerprint}
            connection.change(SQL["note_proof"], sys_id=values["proof"], **kept)
        _note_issue(connection, found, fips, lost=message.proof is not None)
        processes = copies.heard(msgspec.json.decode(row["processes"], type=list[copies.Process]), message)
        values["processes"] = _text(processes)
        _note_problems(connection, found, message, processes)
        candidates.forget(connection)
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


def _note_problems(connection: Connection, found: Caller, message: Heartbeat, processes: list[copies.Process]) -> None:
    """Open an issue for each problem that is new or says something else by now; resolve those that are gone."""
    now = clock.now()
    problems = issues.problems(found.name, message, now, processes)
    what = {"mid_server": found.sys_id, "now": now, "moment": clock.moment(now).strftime(SQL_MOMENT)}
    rows = connection.run(SQL["open_issues"], mid_server=found.sys_id)
    known = {row["source"]: row["short_description"] for row in rows if row["source"] != FIPS}
    for source, sentence in problems.items():
        if known.get(source) != sentence and not (source == issues.CLOCK and source in known):
            connection.change(SQL["note_issue"], sys_id=new_id(), source=source, short_description=sentence, **what)
    for source in known.keys() - problems.keys():
        connection.change(SQL["resolve_issue"], source=source, **what)


def _not_loaded(found: Caller, message: Heartbeat) -> str:
    """The profiles that no call should go to. What is said of an earlier configuration may have been mended by this one;
    one that is neither loaded nor has failed is being loaded, and its calls wait for it there."""
    if message.configuration not in ("", found.configuration):
        return ""
    return " ".join(each.sys_id[:32] for each in message.profiles if not each.loaded and each.error)


def _text(data: object) -> str:
    return msgspec.json.encode(data).decode()


async def configuration(request: Request) -> Response:
    found = validated_caller(request)
    return Json(await in_thread(distribution.configuration, found.sys_id))


async def claim(request: Request) -> Response:
    """Jobs, or an empty answer after `wait_ms`, a change of the configuration, or when the instance stops."""
    first = validated_caller(request)
    message = decode(await body(request), ClaimRequest)
    key, unit = f"mid:{first.sys_id}", claims(first.sys_id, min(message.limit, MAX_JOBS), message.room)
    loop = asyncio.get_running_loop()
    until = loop.time() + min(message.wait_ms, MAX_WAIT_MS) / 1000
    gone = loop.create_task(_gone(request))
    try:
        with wakeups.waiting(key) as woken:
            gone.add_done_callback(lambda _: woken.set())
            while True:
                woken.clear()
                now = validated_caller(request)
                if now.configuration != first.configuration or wakeups.stopping or gone.done():
                    return Json(ClaimAnswer(now.configuration))
                answer = await _jobs(key, unit, woken, max(0.0, until - loop.time()))
                if answer.jobs or answer.cancel or (answer.configuration and loop.time() >= until):
                    return Json(await _opened(answer))
    finally:
        gone.cancel()


async def _opened(answer: ClaimAnswer) -> ClaimAnswer:
    """The answer with the secrets of its jobs' headers; a job whose secrets do not open ends here."""
    jobs, lost = job_secrets.opened(answer.jobs)
    if lost:
        await writer().done(lambda connection: runner.unreadable(connection, lost))
    return answer if jobs is answer.jobs else msgspec.structs.replace(answer, jobs=jobs)


async def _gone(request: Request) -> None:
    """Ends when the MID Server has gone: what would be claimed for it now would be lost."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def claims(mid: str, limit: int, room: tuple[int, int, int]) -> Callable[[Connection], ClaimAnswer]:
    """The unit of work that claims for a MID Server, as it stands when it runs."""

    def unit(connection: Connection) -> ClaimAnswer:
        row = connection.first(SQL["may_claim"], sys_id=mid)
        if row is None:
            return ClaimAnswer("")
        jobs = [] if row["paused"] else queue.claim(connection, mid, limit, room)
        return ClaimAnswer(str(row["configuration"]), jobs, queue.cancelled(connection, mid))

    return unit


async def _jobs(
    key: str, unit: Callable[[Connection], ClaimAnswer], woken: asyncio.Event, seconds: float
) -> ClaimAnswer:
    """What is there, or comes until somebody wakes this request."""
    found = await writer().done(unit)
    if found.jobs or found.cancel or woken.is_set():
        return found
    loop, thread = asyncio.get_running_loop(), threading.get_ident()

    def wake() -> None:
        woken.set() if threading.get_ident() == thread else loop.call_soon_threadsafe(woken.set)

    with writer().standing.of(key, unit, wake) as standing:
        await _woken(woken, seconds)
    return await asyncio.wrap_future(standing.future) if standing.taken else found


async def _woken(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


async def results(request: Request) -> Response:
    found = validated_caller(request)
    message = decode(await body(request, RESULTS), ResultsRequest)
    answer = await _taken(found, message)
    for late in answer.late:
        log.warning("MID Server %s delivered a late result for job %s: recorded, nothing changed", found.name, late)
    return Json(answer)


async def _read_ahead(message: ResultsRequest) -> runner.Read:
    """One after the other, in a thread beside the loop: two would leave it a third of the time."""
    large = runner.large(message.results)
    if not large:
        return {}
    return await asyncio.get_running_loop().run_in_executor(_reads, runner.read_ahead, large)


async def _taken(found: Caller, message: ResultsRequest) -> ResultsAnswer:
    """What became of results. One that stumbles over a defect of ours will do so for ever, and the MID Server must not
    wait for that: refused, it parts those that it sent together, and ends the one that is left with the reason."""
    try:
        read = await _read_ahead(message)
        return await writer().done(
            lambda connection: runner.take(connection, found.sys_id, message.results, message.released, read)
        )
    except Exception as error:
        if isinstance(error, (*DATABASE_ERRORS, InstanceError)) and not isinstance(error, DataError):
            raise  # it may go better later
        log.exception("results of MID Server %s cannot be taken", found.name)
        raise Refused(400, "bad_message", "the instance cannot take this result", "look into its log") from None


ROUTES = [
    Route(f"/{each.__name__}", each, methods=["POST"])
    for each in (enrol, rekey, heartbeat, configuration, claim, results)
]
