"""A small instance for what the real one cannot be made to do: refuse, vanish, lose answers. Real wire, real TLS."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
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
    ResultsAnswer,
    ResultsRequest,
    rekey_statement,
)
from openmid.wire.probes import RestProbe
from openmid.wire.sealing import SealedFor, fingerprint, seal
from openmid.wire.version import CHANNEL

MID, CREDENTIAL, TOKEN = "0" * 32, "credential-of-the-mid", "token-of-the-mid"


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
        self.jobs: list[Job] = []
        self.heard = asyncio.Condition()

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    async def __aenter__(self) -> FakeInstance:
        await self.start()
        return self

    async def start(self, port: int = 0) -> None:
        self.stopping = False
        self._runner = web.ServerRunner(web.Server(self._handle), shutdown_timeout=0)
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

    async def give(self, *probes: RestProbe) -> None:
        """Put jobs into the queue."""
        start = len(self.jobs) + len(self.results)
        self.jobs += [
            Job(f"job{start + i}", f"lease{start + i}", 0, Raw(encode(probe))) for i, probe in enumerate(probes)
        ]
        await self.tell()

    async def set_profiles(self, *profiles: tuple[str, str, str]) -> None:
        """(protocol, keystore path, password)."""
        self.profiles, self.configuration = list(profiles), self.configuration + 1
        await self.tell()

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        path = request.path.removeprefix(CHANNEL)
        body = await request.read()
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
        return HeartbeatAnswer(self.validated, str(self.configuration), 200, self.prove)

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
        before = self.configuration
        with contextlib.suppress(TimeoutError):
            await self.until(
                lambda: bool(self.jobs) or self.stopping or self.configuration != before, request.wait_ms / 1000
            )
        given, self.jobs = self.jobs[: request.limit], self.jobs[request.limit :]
        return ClaimAnswer(str(self.configuration), given)

    async def _results(self, body: bytes) -> ResultsAnswer:
        request = decode(body, ResultsRequest)
        self.results += request.results
        return ResultsAnswer([one.sys_id for one in request.results])
