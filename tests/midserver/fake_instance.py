"""A small instance for what the real one cannot be made to do: refuse, vanish, lose answers. Real wire, real TLS."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import ssl
import time
from collections.abc import Awaitable, Callable

import trustme
from aiohttp import web
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from msgspec import Raw

from openmid.wire.codec import decode, encode
from openmid.wire.messages import (
    ClaimAnswer,
    ClaimRequest,
    ConfigurationAnswer,
    EnrolAnswer,
    EnrolRequest,
    Heartbeat,
    HeartbeatAnswer,
    Job,
    JobResult,
    Profile,
    Refusal,
    RekeyRequest,
    Released,
    ResultsAnswer,
    ResultsRequest,
    rekey_statement,
)
from openmid.wire.probes import ProbeResult, RestProbe
from openmid.wire.sealing import SealedFor, fingerprint, seal
from openmid.wire.version import CHANNEL

MID, CREDENTIAL, TOKEN = "0" * 32, "credential-of-the-mid", "token-of-the-mid"
LONGEST_HOLD_S = 2.0
"""Shorter than the real one: a test waits for a claim to end more often than for a MID Server to be patient."""


class FakeInstance:
    """`async with FakeInstance(ca) as instance:`; change its attributes to change its mind."""

    def __init__(self, ca: trustme.CA) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ca.issue_cert("localhost").configure_cert(self._context)
        self.port = 0
        self.public_key = ""
        self.validated = True
        self.refuse: dict[str, tuple[int, Refusal]] = {}
        self.profiles: list[tuple[str, str, str]] = []
        self.configuration = 1
        self.prove = 0
        self.claims = 0
        self.heartbeats: list[Heartbeat] = []
        self.results: list[JobResult] = []
        self.numbers = itertools.count()
        self.jobs: list[Job] = []
        self.released: list[Released] = []
        self.cancel: list[str] = []
        self.rooms: list[tuple[int, int, int]] = []
        self.paused = False
        self.restart = 0
        self.clock_offset_us = 0
        self.largest = 64 << 20
        """Bytes that a proxy in front of it lets through."""
        self.heard = asyncio.Condition()

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    async def __aenter__(self) -> FakeInstance:
        await self.start()
        return self

    async def start(self, port: int = 0) -> None:
        self.stopping = False
        self._runner = web.ServerRunner(web.Server(self._handle, handler_cancellation=True), shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port, ssl_context=self._context).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        self.stopping = True  # lets held claims go
        await self.tell()
        await self._runner.cleanup()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def until(self, condition: Callable[[], bool], seconds: float = 30.0) -> None:
        """Wait until `condition` holds; it is looked at after each request."""
        async with self.heard:
            await asyncio.wait_for(self.heard.wait_for(condition), seconds)

    async def tell(self) -> None:
        async with self.heard:
            self.heard.notify_all()

    async def give(self, *probes: RestProbe, priority: int = 2) -> list[str]:
        """Put jobs into the queue. Returns their sys_ids."""
        names = [f"job{next(self.numbers)}" for _ in probes]
        self.jobs += [
            Job(name, f"lease-{name}", 0, Raw(encode(probe)), priority)
            for name, probe in zip(names, probes, strict=True)
        ]
        await self.tell()
        return names

    async def stop_calls(self, *sys_ids: str) -> None:
        """Cancel these jobs."""
        self.cancel += sys_ids
        await self.tell()

    def outcome(self, sys_id: str) -> ProbeResult | None:
        """What became of a job, if it is known."""
        return next((one.result for one in self.results if one.sys_id == sys_id), None)

    async def set_profiles(self, *profiles: tuple[str, str, str]) -> None:
        """(protocol, keystore path, password)."""
        self.profiles, self.configuration = list(profiles), self.configuration + 1
        await self.tell()

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        path = request.path.removeprefix(CHANNEL)
        body = await request.content.read()
        if len(body) > self.largest:
            return web.Response(status=413, text="<h1>413 Request Entity Too Large</h1>")
        if path in self.refuse:
            status, refusal = self.refuse[path]
            await self.tell()
            return self._json(refusal, status)
        if path != "/enrol" and request.headers.get("Authorization") != f"Bearer {MID}.{CREDENTIAL}":
            return self._json(Refusal("unknown_credential", "this credential is not known", "enrol again"), 401)
        handlers: dict[str, Callable[[bytes], Awaitable[object]]] = {
            "/enrol": self._enrol,
            "/rekey": self._rekey,
            "/heartbeat": self._heartbeat,
            "/configuration": self._configuration,
            "/claim": self._claim,
            "/results": self._results,
        }
        answer = await handlers[path](body)
        await self.tell()
        return self._json(answer)

    @staticmethod
    def _json(message: object, status: int = 200) -> web.Response:
        return web.Response(body=encode(message), status=status, content_type="application/json")

    def _answer(self) -> EnrolAnswer:
        sealed = seal(CREDENTIAL, self.public_key, SealedFor(MID, "ecc_agent", MID, "credential"))
        return EnrolAnswer(MID, fingerprint(self.public_key), sealed)

    async def _enrol(self, body: bytes) -> EnrolAnswer:
        request = decode(body, EnrolRequest)
        assert request.token == TOKEN
        self.public_key = request.public_key
        return self._answer()

    async def _rekey(self, body: bytes) -> EnrolAnswer:
        request = decode(body, RekeyRequest)
        old = serialization.load_pem_public_key(self.public_key.encode())
        assert isinstance(old, rsa.RSAPublicKey)
        pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
        statement = rekey_statement(MID, request.public_key)
        old.verify(base64.b64decode(request.signature), statement, pss, hashes.SHA256())
        self.public_key = request.public_key
        return self._answer()

    async def _heartbeat(self, body: bytes) -> HeartbeatAnswer:
        self.heartbeats.append(decode(body, Heartbeat))
        now = time.time_ns() // 1000 + self.clock_offset_us
        return HeartbeatAnswer(self.validated, str(self.configuration), 200, self.prove, self.paused, self.restart, now)

    async def _configuration(self, _: bytes) -> ConfigurationAnswer:
        sealed = [
            Profile(protocol, protocol, path, seal(password, self.public_key, self._bound(protocol)))
            for protocol, path, password in self.profiles
        ]
        return ConfigurationAnswer(str(self.configuration), sealed)

    @staticmethod
    def _bound(sys_id: str) -> SealedFor:
        return SealedFor(MID, "mid_protocol_profile", sys_id, "password")

    async def _claim(self, body: bytes) -> ClaimAnswer:
        request = decode(body, ClaimRequest)
        self.claims += 1
        self.rooms.append(request.room)
        before = self.configuration
        with contextlib.suppress(TimeoutError):
            await self.until(
                lambda: bool(self._for(request)) or bool(self.cancel) or self.stopping or self.configuration != before,
                min(request.wait_ms / 1000, LONGEST_HOLD_S),
            )
        given = self._for(request)
        self.jobs = [job for job in self.jobs if job not in given]
        return ClaimAnswer(str(self.configuration), given, list(self.cancel))

    def _for(self, request: ClaimRequest) -> list[Job]:
        """The jobs that a claim gets."""
        left, given = list(request.room), []
        for job in self.jobs:
            if left[job.priority] > 0 and len(given) < request.limit:
                left[job.priority] -= 1
                given.append(job)
        return given

    async def _results(self, body: bytes) -> ResultsAnswer:
        request = decode(body, ResultsRequest)
        self.results += request.results
        self.released += request.released
        ended = [one.sys_id for one in (*request.results, *request.released)]
        self.cancel = [each for each in self.cancel if each not in ended]
        return ResultsAnswer([one.sys_id for one in request.results])
