"""Run a probe: HTTP over (mutual) TLS, answered with a result in every case.

A call is one attempt, or several where the probe's retry policy says so; an attempt is one exchange, or several where the
partner redirects or wants a new token. Each exchange has its own connection facts; the last ones are the result's.
"""

from __future__ import annotations

import asyncio
import base64
import time
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from msgspec.structs import replace as restruct

from openmid.diagnosis import Evidence, diagnose
from openmid.midserver import bodies, call_retry, incoming, outgoing, proxy, redact, redirects, soap
from openmid.midserver.attachments import AttachmentClient
from openmid.midserver.bodies import BadCoding, Streamed, TooLarge
from openmid.midserver.call_error import CallError
from openmid.midserver.call_retry import Outcome
from openmid.midserver.client_identity import ProfileError
from openmid.midserver.connector import CURRENT, Attempt, Connector, PhaseTimeout
from openmid.midserver.credentials import Credentials, Shown
from openmid.midserver.evidence import gather
from openmid.midserver.exchange import Answer, Chunks, Destination, exchange, head
from openmid.midserver.outgoing import Request
from openmid.midserver.protocol_registry import NotRegistered, ProtocolRegistry
from openmid.wire import charsets
from openmid.wire.messages import Job
from openmid.wire.probes import (
    MAX_ATTACHMENT_BYTES,
    MAX_BODY_BYTES,
    EarlierAttempt,
    Failure,
    HttpProbe,
    ProbeResult,
    SoapFault,
    SoapProbe,
    TlsFacts,
)

_LARGE = 256 * 1024
EXPECTED = (
    aiohttp.ClientError,
    HttpProcessingError,
    OSError,
    ValueError,
    NotRegistered,
    ProfileError,
    TooLarge,
    BadCoding,
    CallError,
)


@dataclass(frozen=True)
class Host:
    """Who runs the probe, for the words of a failure."""

    mid: str
    config: Path
    enforced: bool


@dataclass(slots=True)
class _Trip:
    """One attempt on its way. `last`: nothing will be tried after it."""

    probe: HttpProbe
    job: Job | None
    last: bool
    started: int = 0
    began: int = 0
    """`time.monotonic_ns()`; 0 while the profile loads."""
    attempt: Attempt = field(default_factory=lambda: Attempt(""))
    sent: bool = False
    """Whether an exchange before the one under way may have reached a partner: what comes after it cannot undo that."""
    trusted_by: str = ""
    """The truststore that counts where the probe brings no CA certificates; empty: the system's authorities."""
    request: Request | None = None
    shown: Shown | None = None
    refreshed: bool = False
    redirects: list[str] = field(default_factory=list)
    seen: set[tuple[str, str]] = field(default_factory=set)

    def left(self) -> float:
        """Seconds until the attempt's time is over."""
        return max(0.001, self.probe.timeout_ms / 1000 - (time.monotonic_ns() - self.began) / 1e9)


class RestRunner:
    """Runs probes through the registry's clients."""

    def __init__(
        self,
        registry: ProtocolRegistry,
        host: Host,
        *,
        through: proxy.Proxy = proxy.NONE,
        credentials: Credentials | None = None,
        attachments: AttachmentClient | None = None,
    ) -> None:
        self._registry = registry
        self._host = host
        self._proxy = through
        self._credentials = credentials or Credentials()
        self._attachments = attachments

    async def run(self, probe: HttpProbe, job: Job | None = None) -> ProbeResult:
        """The partner's answer, or why there is none. Raises nothing that a user can cause.

        `job` is needed to save an answer as an attachment, and for its lease: no attempt begins that could outlast it.
        """
        began = time.monotonic_ns()
        outcome = await self._attempt(probe, job, last=not probe.retry.count)
        if not probe.retry.count or not call_retry.wanted(probe, outcome):
            return outcome.result
        return await self._again(probe, job, outcome, began)

    async def _again(self, probe: HttpProbe, job: Job | None, outcome: Outcome, began: int) -> ProbeResult:
        earlier: list[EarlierAttempt] = []
        while len(earlier) < probe.retry.count and call_retry.wanted(probe, outcome):
            result = outcome.result
            wait = call_retry.wait_ms(probe, len(earlier) + 1, result)
            if not call_retry.fits(probe, job, (time.monotonic_ns() - began) // 1_000_000, wait):
                break
            earlier.append(EarlierAttempt(result.started, result.status_code, result.failure, wait))
            await asyncio.sleep(wait / 1000)
            outcome = await self._attempt(probe, job, last=len(earlier) == probe.retry.count)
        return restruct(outcome.result, attempts=earlier)

    async def _attempt(self, probe: HttpProbe, job: Job | None, *, last: bool) -> Outcome:
        trip = _Trip(probe, job, last, time.time_ns() // 1000)
        try:
            result = await self._travel(trip)
        except EXPECTED as error:
            result = self._failed(error, trip)
        return Outcome(result, trip.sent or trip.attempt.sent)

    async def _travel(self, trip: _Trip) -> ProbeResult:
        probe = trip.probe
        if probe.require_fips and not self._host.enforced:
            raise CallError("fips_required")
        parts = outgoing.split(probe.url)
        trip.attempt.host = parts.hostname or ""
        await self._registry.ready(parts.scheme, probe.timeout_ms / 1000)
        _, default_port = self._registry.client(parts.scheme)
        trip.attempt.port = parts.port or default_port
        trip.request = outgoing.of(probe, parts, default_port)
        while True:
            if probe.credential and trip.shown is None:
                trip.began = trip.began or time.monotonic_ns()
                trip.shown = await self._credentials.show(probe.credential, self._fetch_for(trip), trip.left())
            result = await self._exchange(trip, trip.request)
            if result is not None:
                return result

    def _fetch_for(self, trip: _Trip) -> Any:
        """How a token is fetched: by this runner, under the limits of the call that needs it."""

        async def fetch(probe: HttpProbe) -> ProbeResult:
            limited = restruct(probe, timeout_ms=int(trip.left() * 1000) + 1, require_fips=trip.probe.require_fips)
            return (await self._attempt(limited, None, last=True)).result

        return fetch

    async def _exchange(self, trip: _Trip, request: Request) -> ProbeResult | None:
        """One request and its answer; None when `trip.request` is to be made next."""
        client, _ = self._registry.client(request.protocol)
        trip.trusted_by = client.trusted_by
        target = request.target
        destination = client.destination(target, trip.probe.ca_certificates, self._proxy)
        attempt = trip.attempt
        if attempt.sent or attempt.fresh:
            trip.sent = trip.sent or attempt.sent
            attempt = trip.attempt = Attempt("")
        attempt.host, attempt.port = target.host or "", target.port or 443
        attempt.client, attempt.timeouts = client.facts, trip.probe.timeouts
        trip.began = trip.began or time.monotonic_ns()
        connector = client.acquire()
        token = CURRENT.set(attempt)
        try:
            async with asyncio.timeout(trip.left()) as due:
                answer = await self._sent(trip, request, connector, destination)
                answer.due = due
                try:
                    attempt.head = time.monotonic_ns()
                    return await self._received(trip, request, answer)
                finally:
                    await answer.finish()
        finally:
            CURRENT.reset(token)
            await client.release()

    async def _sent(self, trip: _Trip, request: Request, connector: Connector, destination: Destination) -> Answer:
        attempt = trip.attempt
        if trip.shown is not None and request.authorised:
            request = outgoing.carrying(request, trip.shown)
        body, size = self._body(request, attempt)
        asking = exchange(
            connector, destination, request.method, head(request.method, request.target, request.headers, size), body
        )
        if not attempt.timeouts.first_byte_ms:
            return await asking
        due = asyncio.timeout(None)
        try:
            async with due:
                attempt.due = due
                return await asking
        except TimeoutError as error:
            if due.expired():
                raise PhaseTimeout(attempt.limit_ms) from error
            raise
        finally:
            attempt.due = None  # a body that is still under way arms nothing any more

    def _body(self, request: Request, attempt: Attempt) -> tuple[bytes | Chunks | None, int | None]:
        """The body, and its length."""
        body = request.body
        if not isinstance(body, Streamed):
            return body, None if body is None else len(body)
        attempt.uploading = True
        return self._upload(body, attempt), body.size

    async def _upload(self, body: Streamed, attempt: Attempt) -> Chunks:
        """The body, chunk by chunk. The wait for the answer begins behind it."""
        async with aclosing(body.chunks(self._attachments)) as chunks:
            async for chunk in chunks:
                yield chunk
        attempt.uploading = False
        attempt.arm(attempt.timeouts.first_byte_ms)

    async def _received(self, trip: _Trip, request: Request, answer: Answer) -> ProbeResult | None:
        probe, status = trip.probe, answer.status
        if probe.max_redirects and redirects.follows(status, answer.headers):
            trip.request = self._onward(trip, request, answer)
            await incoming.drop(answer)
            return None
        if status == 401 and self._may_refresh(trip, request):
            trip.shown, trip.refreshed = None, True
            await incoming.drop(answer)
            return None
        return await self._answered(trip, answer)

    def _may_refresh(self, trip: _Trip, request: Request) -> bool:
        if trip.shown is None or trip.refreshed or not request.authorised:
            return False
        return self._credentials.refuse(trip.probe.credential, trip.shown)

    @staticmethod
    def _onward(trip: _Trip, request: Request, answer: Answer) -> Request:
        trip.seen.add((request.method, str(request.target)))
        onward = redirects.onward(request, answer.status, answer.headers["Location"])
        shown = redact.clean(str(onward.target))
        if (onward.method, str(onward.target)) in trip.seen:
            raise CallError("redirect_loop", shown.partition("?")[0])
        if len(trip.redirects) == trip.probe.max_redirects:
            raise CallError("too_many_redirects", f"{trip.probe.max_redirects} redirects were followed")
        trip.redirects.append(shown)
        return onward

    async def _answered(self, trip: _Trip, answer: Answer) -> ProbeResult:
        probe, attempt = trip.probe, trip.attempt
        if _is_kept(trip, answer.status):
            return await self._saved(trip, answer)
        body = await bodies.whole(answer, min(probe.max_body_bytes, MAX_BODY_BYTES))
        text = incoming.read(answer, body)
        return ProbeResult(
            started=trip.started,
            status_code=answer.status,
            headers=incoming.headers(answer),
            body=base64.b64encode(body).decode() if text is None else text,
            body_is_base64=text is None,
            fault=await _fault(answer, body, text) if isinstance(probe, SoapProbe) else None,
            tls=attempt.tls,
            timing=incoming.timing(attempt, trip.began),
            fips_enforced=self._host.enforced,
            redirects=trip.redirects,
        )

    async def _saved(self, trip: _Trip, answer: Answer) -> ProbeResult:
        probe, job = trip.probe, trip.job
        if self._attachments is None or job is None:
            raise CallError("attachment_not_stored", "this MID Server has no way to attachments")
        # The default is for what is not saved; a smaller or larger limit was meant.
        limit = MAX_ATTACHMENT_BYTES if probe.max_body_bytes == MAX_BODY_BYTES else probe.max_body_bytes
        chunks = bodies.chunks(answer, min(limit, MAX_ATTACHMENT_BYTES))
        kind = answer.headers.get("Content-Type", "application/octet-stream")[:200].encode("ascii", "replace").decode()
        stored = await self._attachments.store(job.sys_id, job.lease, probe.save_as, kind, chunks)
        return ProbeResult(
            started=trip.started,
            status_code=answer.status,
            headers=incoming.headers(answer),
            attachment=stored,
            tls=trip.attempt.tls,
            timing=incoming.timing(trip.attempt, trip.began),
            fips_enforced=self._host.enforced,
            redirects=trip.redirects,
        )

    def _failed(self, error: Exception, trip: _Trip) -> ProbeResult:
        attempt = trip.attempt
        cause = diagnose(_evidence(error, attempt, self._base(trip)))
        return ProbeResult(
            started=trip.started,
            failure=Failure(cause.code, redact.clean(cause.message), cause.remedy),
            tls=attempt.tls if attempt.tls.peer else TlsFacts(peer=attempt.peer, client_subject=attempt.client.subject),
            timing=incoming.timing(attempt, trip.began),
            fips_enforced=self._host.enforced,
            redirects=trip.redirects,
        )

    def _base(self, trip: _Trip) -> Evidence:
        probe, attempt = trip.probe, trip.attempt
        return Evidence(
            phase="request",
            host=attempt.host,
            port=attempt.port,
            timeout_ms=probe.timeout_ms,
            trust="connection" if probe.ca_certificates else "truststore" if trip.trusted_by else "system",
            truststore=trip.trusted_by,
            config_path=str(self._host.config),
            mid=self._host.mid,
            protocol=probe.url.partition(":")[0],
            registered=self._registry.names(),
            proxy_user=self._proxy.user,
        )


def _is_kept(trip: _Trip, status: int) -> bool:
    """Whether an answer becomes the attachment that the step asks for. A refusal does not: its page or SOAP fault says why,
    and is not what the next step means to send on. Nor does what calls for another attempt."""
    if not trip.probe.save_as or status >= 400:
        return False
    return trip.last or not call_retry.repeats(trip.probe, status)


def _evidence(error: Exception, attempt: Attempt, base: Evidence) -> Evidence:
    match error:
        case NotRegistered():
            return replace(base, phase="registry")
        case ProfileError():
            return replace(
                base, phase="registry", profile_code=error.code, profile_message=str(error), profile_remedy=error.remedy
            )
        case TooLarge():
            return replace(base, phase="answer", limit=error.args[0])
        case BadCoding():
            return replace(base, phase="answer", bytes_received=True, detail=str(error))
    return gather(error, attempt, base)


async def _fault(answer: Answer, body: bytes, text: str | None) -> SoapFault | None:
    """A long document is read beside the loop: other calls go on. What Content-Type says of its encoding counts before
    what it says itself (RFC 7303, 3)."""
    body = body if text is None else charsets.undeclared(text).encode()
    kind = answer.headers.get("Content-Type", "")
    return soap.fault(kind, body) if len(body) < _LARGE else await asyncio.to_thread(soap.fault, kind, body)
