"""aiohttp's connector, with the facts of each connection: addresses, times, TLS.

Everything here leans on one private method of aiohttp, `TCPConnector._wrap_create_connection`, because nothing public
parts connecting from TLS or survives a small answer (its connection is already gone when the headers arrive). aiohttp's
minor version is pinned for it, and tests/midserver/test_connector.py holds what is expected of it.

A call is followed by a context variable: the tasks and callbacks that asyncio makes for its connection inherit it.

Through a proxy aiohttp connects to that (`_wrap_create_connection`, without TLS), says CONNECT, and begins TLS inside the
tunnel (`_start_tls_connection`). Until then everything that fails is the proxy's affair.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import time
from collections import OrderedDict
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import aiohttp
from aiohttp.client_proto import ResponseHandler

from openmid.diagnosis.handshake import ALERTS, CERTIFICATE, CERTIFICATE_REQUEST, leaf
from openmid.midserver.certificate import CertificateFacts, describe
from openmid.midserver.egress import Egress, plain
from openmid.wire.probes import Timeouts, TlsFacts

MOST_SESSIONS, MOST_SESSION_SECONDS = 64, 3600
NO_LIMITS = Timeouts()
NO_CERTIFICATE, NO_TLS = CertificateFacts(), TlsFacts()
IDLE_SECONDS = 45
"""How long a connection is kept for the next call: a handshake costs more than ten calls."""


@dataclass(init=False)
class Attempt:
    """One call on its way. Times are `time.monotonic_ns()`, 0 where it did not come to that. What is not set is the
    class's: there is one for each call."""

    host: str
    client: CertificateFacts = NO_CERTIFICATE
    port: int = 0
    timeouts: Timeouts = NO_LIMITS
    phase: str = "resolve"
    fresh: bool = False
    peer: str = ""
    denied: tuple[str, ...] = ()
    denied_by: str = ""
    denied_port: int = 0
    dns: int = -1
    """Nanoseconds that the name took; -1 where there was none to resolve."""
    began: int = 0
    connected: int = 0
    secured: int = 0
    certificate_requested: bool = False
    server_certificate: bytes = b""
    alert: str = ""
    tls: TlsFacts = NO_TLS
    proxy: str = ""
    """host:port of the proxy that the connection goes through."""
    tunnelled: bool = False
    """Whether the proxy has let it through."""
    limit_ms: int = 0
    """The phase's own limit that was exceeded."""
    sent: bool = False
    """Whether the request may have left this host."""
    ready: int = 0
    """When there was a connection to send it on."""
    head: int = 0
    """When the answer's headers had come."""
    uploading: bool = False
    due: asyncio.Timeout | None = None
    """What ends the phase that is under way."""

    def __init__(self, host: str, client: CertificateFacts = NO_CERTIFICATE, port: int = 0) -> None:
        self.host = host
        self.client = client
        self.port = port

    def arm(self, limit_ms: int) -> None:
        """The phase that begins now may take so long; 0: as long as it likes."""
        if self.due is not None:
            self.limit_ms = limit_ms
            when = asyncio.get_running_loop().time() + limit_ms / 1000 if limit_ms else None
            self.due.reschedule(when)


CURRENT: ContextVar[Attempt | None] = ContextVar("attempt", default=None)


def record(_: object, direction: str, version: int, content: int, kind: int, data: bytes) -> None:
    """OpenSSL's message callback: keeps what explains a handshake that fails. Python names it a debugging hook."""
    attempt = CURRENT.get()
    if attempt is None or direction != "read":
        return
    if content == 21 and len(data) == 2:
        attempt.alert = ALERTS.get(data[1], "")
    elif content == 22 and kind == CERTIFICATE_REQUEST:
        attempt.certificate_requested = True
    elif content == 22 and kind == CERTIFICATE:
        attempt.server_certificate = leaf(data, tls13=version >= 0x0304)


class PhaseTimeout(TimeoutError):
    """Raised when a phase has exceeded a limit of its own; `limit_ms` is that."""

    def __init__(self, limit_ms: int) -> None:
        super().__init__(f"{limit_ms} ms are over")
        self.limit_ms = limit_ms


class ResumingContext(ssl.SSLContext):
    """A client's context that offers each partner the session of the last connection to it (RFC 8446, 2.2): a handshake
    without signatures. A context belongs to one client identity and one trust, and so do its sessions.

    The certificates are not verified again when a session is resumed: sessions are offered for an hour at most.
    """

    _connections: OrderedDict[tuple[str, int], ssl.SSLObject]

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        """As `ssl` has it, with the session."""
        attempt = CURRENT.get()
        before = self._last().get((attempt.host, attempt.port)) if attempt is not None else None
        session = before.session if before is not None else None
        if session is not None and 0 <= time.time() - session.time < MOST_SESSION_SECONDS:
            kwargs["session"] = session
            # Should the handshake fail, the next one is a full one.
            self._last().pop((attempt.host, attempt.port), None)  # type: ignore[union-attr]
        return super().wrap_bio(*args, **kwargs)

    def remember(self, connection: ssl.SSLObject) -> None:
        """The handshake has ended well. The session may come later: it is looked for when it is needed."""
        attempt = CURRENT.get()
        if attempt is None:
            return
        connections = self._last()
        connections[attempt.host, attempt.port] = connection
        connections.move_to_end((attempt.host, attempt.port))
        if len(connections) > MOST_SESSIONS:
            connections.popitem(last=False)

    def _last(self) -> OrderedDict[tuple[str, int], ssl.SSLObject]:
        if not hasattr(self, "_connections"):
            self._connections = OrderedDict()
        return self._connections


class EgressDenied(OSError):
    """Raised in place of a connection that the policy denies."""


class Connector(aiohttp.TCPConnector):
    """Connects where the policy allows, and tells the current `Attempt` how it went. One for each client identity."""

    def __init__(self, egress: Egress | None) -> None:
        """`egress` None is for the way to the instance, which config.xml itself names."""
        self._egress = egress
        self._facts: WeakKeyDictionary[ResponseHandler, TlsFacts] = WeakKeyDictionary()
        # The worker bounds how much runs at once, not the pool.
        super().__init__(limit=0, ttl_dns_cache=10, keepalive_timeout=IDLE_SECONDS, socket_factory=self._socket)

    async def connect(self, req: Any, traces: Any, timeout: Any) -> Any:
        """A connection from the pool or a new one; either way the attempt has its facts afterwards."""
        attempt = CURRENT.get()
        began = attempt.began if attempt is not None else 0
        connection: Any = await super().connect(req, traces, timeout)
        # Bytes that nobody asked for lie in a kept connection: they must not answer this request. A partner that speaks
        # first on a new one would do so on every other, too.
        while connection.protocol.should_close and (attempt is None or attempt.began == began):
            connection.close()
            connection = await super().connect(req, traces, timeout)
        if not connection.protocol.is_connected():
            error = connection.protocol.exception() or aiohttp.ServerDisconnectedError()
            connection.close()
            raise error
        if attempt is not None:
            attempt.phase, attempt.sent, attempt.ready = "answer", True, time.monotonic_ns()
            attempt.tls = self._facts.get(connection.protocol, attempt.tls)
            if attempt.due is not None and not attempt.uploading:
                attempt.arm(attempt.timeouts.first_byte_ms)
        return connection

    async def _create_connection(self, req: Any, traces: Any, timeout: Any) -> Any:
        attempt = CURRENT.get()
        if attempt is not None and (attempt.timeouts.connect_ms or attempt.timeouts.tls_ms):
            return await self._create_in_time(attempt, req, traces, timeout)
        return await super()._create_connection(req, traces, timeout)

    async def _create_in_time(self, attempt: Attempt, req: Any, traces: Any, timeout: Any) -> Any:
        """With limits of its own for connecting and for TLS, over all addresses of the name."""
        later = attempt.due
        try:
            async with asyncio.timeout(None) as attempt.due:
                attempt.arm(attempt.timeouts.connect_ms)
                return await super()._create_connection(req, traces, timeout)
        except TimeoutError as error:
            raise PhaseTimeout(attempt.limit_ms) from error
        finally:
            attempt.due = later

    async def _resolve_host(self, host: str, port: int, traces: Any = None) -> Any:
        began = time.monotonic_ns()
        found = await super()._resolve_host(host, port, traces)
        attempt = CURRENT.get()
        if attempt is not None and found and found[0]["host"] != host:
            attempt.dns = time.monotonic_ns() - began
        return found

    async def _wrap_create_connection(self, *args: Any, addr_infos: Any, req: Any, timeout: Any, **kwargs: Any) -> Any:
        attempt = CURRENT.get() or Attempt(req.host)
        attempt.phase, attempt.fresh, attempt.began = "connect", True, time.monotonic_ns()
        allowed = [info for info in addr_infos if self._allows(attempt, info)]

        def factory() -> ResponseHandler:
            # asyncio asks for the protocol once TCP is connected and before TLS begins.
            self._connected(attempt)
            return self._factory()

        # With nothing allowed, the socket factory says so in the way of any other failure to connect.
        transport, protocol = await super()._wrap_create_connection(
            factory, *args[1:], addr_infos=allowed or addr_infos, req=req, timeout=timeout, **kwargs
        )
        attempt.peer = _address(transport.get_extra_info("peername"))
        if not attempt.proxy:
            self._secured(attempt, transport, protocol)
        return transport, protocol

    async def _create_proxy_connection(self, req: Any, traces: Any, timeout: Any) -> Any:
        attempt = CURRENT.get() or Attempt(req.host)
        attempt.proxy = f"{req.proxy.host}:{req.proxy.port}"
        if self._egress is not None:
            verdict = self._egress.judge_name(attempt.host, attempt.port)
            if not verdict.allowed:
                attempt.denied, attempt.denied_by, attempt.denied_port = (attempt.host,), verdict.rule, attempt.port
                raise EgressDenied(errno.EACCES, f"egress to {attempt.host} is denied")
        return await super()._create_proxy_connection(req, traces, timeout)

    async def _start_tls_connection(self, underlying_transport: Any, req: Any, timeout: Any, *args: Any) -> Any:
        attempt = CURRENT.get() or Attempt(req.host)
        attempt.tunnelled = True
        self._connected(attempt)
        transport, protocol = await super()._start_tls_connection(underlying_transport, req, timeout, *args)
        self._secured(attempt, transport, protocol)
        return transport, protocol

    @staticmethod
    def _connected(attempt: Attempt) -> None:
        if attempt.proxy and not attempt.tunnelled:
            attempt.phase = "tunnel"  # CONNECT comes first
            return
        attempt.phase, attempt.connected, attempt.secured = "tls", time.monotonic_ns(), 0  # perhaps not the first one
        attempt.arm(attempt.timeouts.tls_ms)

    def _secured(self, attempt: Attempt, transport: Any, protocol: ResponseHandler) -> None:
        attempt.secured, attempt.phase = time.monotonic_ns(), "answer"
        self._facts[protocol] = attempt.tls = _facts(transport, attempt)
        tls = transport.get_extra_info("ssl_object")
        if tls is not None and isinstance(tls.context, ResumingContext):
            tls.context.remember(tls)

    def _allows(self, attempt: Attempt, info: Any) -> bool:
        """The policy's word on an address; a denial is noted."""
        if self._egress is None:
            return True
        towards = attempt.proxy.rpartition(":")[0] or attempt.host
        verdict = self._egress.judge(towards, info[4][0], info[4][1])
        address = str(plain(info[4][0]))
        if not verdict.allowed and address not in attempt.denied:
            attempt.denied += (address,)
            attempt.denied_by, attempt.denied_port = verdict.rule, info[4][1]
        return verdict.allowed

    def _socket(self, info: Any) -> socket.socket:
        """Every socket of this connector is made here, for exactly this address: the fence itself."""
        attempt = CURRENT.get() or Attempt("")
        if not self._allows(attempt, info):
            raise EgressDenied(errno.EACCES, f"egress to {info[4][0]} is denied")
        attempt.peer = _address(info[4])
        made = socket.socket(info[0], info[1], info[2])
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made


def _address(name: Any) -> str:
    """`127.0.0.1:8443`, `[::1]:8443`."""
    if not name:
        return ""
    return f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"


def _facts(transport: Any, attempt: Attempt) -> TlsFacts:
    tls = transport.get_extra_info("ssl_object")
    if tls is None:
        return TlsFacts(peer=attempt.peer)
    server = describe(tls.getpeercert(True) or b"")
    return TlsFacts(
        version=tls.version() or "",
        cipher=(tls.cipher() or ("",))[0],
        server_subject=server.subject,
        server_issuer=server.issuer,
        server_not_after=server.not_after,
        client_subject=attempt.client.subject,
        client_serial=attempt.client.serial,
        client_expired_at=attempt.client.not_after if attempt.client.expired else "",
        peer=attempt.peer,
    )
