"""aiohttp's connector, with the facts of each connection: addresses, times, TLS.

Everything here leans on one private method of aiohttp, `TCPConnector._wrap_create_connection`, because nothing public
parts connecting from TLS or survives a small answer (its connection is already gone when the headers arrive). aiohttp's
minor version is pinned for it, and tests/midserver/test_connector.py holds what is expected of it.

A call is followed by a context variable: the tasks and callbacks that asyncio makes for its connection inherit it.
"""

from __future__ import annotations

import errno
import socket
import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import aiohttp
from aiohttp.client_proto import ResponseHandler

from openmid.diagnosis.handshake import ALERTS, CERTIFICATE, CERTIFICATE_REQUEST, leaf
from openmid.midserver.certificate import CertificateFacts, describe
from openmid.midserver.egress import Egress, plain
from openmid.wire.probes import TlsFacts


@dataclass
class Attempt:
    """One call on its way. Times are `time.monotonic_ns()`, 0 where it did not come to that."""

    host: str
    client: CertificateFacts = field(default_factory=CertificateFacts)
    phase: str = "resolve"
    fresh: bool = False
    peer: str = ""
    denied: list[str] = field(default_factory=list)
    denied_by: str = ""
    began: int = 0
    connected: int = 0
    secured: int = 0
    certificate_requested: bool = False
    server_certificate: bytes = b""
    alert: str = ""
    tls: TlsFacts = field(default_factory=TlsFacts)


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


class EgressDenied(OSError):
    """Raised in place of a connection that the policy denies."""


class Connector(aiohttp.TCPConnector):
    """Connects where the policy allows, and tells the current `Attempt` how it went. One for each client identity."""

    def __init__(self, egress: Egress | None) -> None:
        """`egress` None is for the way to the instance, which config.xml itself names."""
        self._egress = egress
        self._facts: WeakKeyDictionary[ResponseHandler, TlsFacts] = WeakKeyDictionary()
        # The worker bounds how much runs at once, not the pool.
        super().__init__(limit=0, ttl_dns_cache=10, socket_factory=self._socket)

    async def connect(self, req: Any, traces: Any, timeout: Any) -> Any:
        """A connection from the pool or a new one; either way the attempt has its facts afterwards."""
        connection = await super().connect(req, traces, timeout)
        attempt = CURRENT.get()
        if attempt is not None and connection.protocol is not None:
            attempt.phase = "answer"
            attempt.tls = self._facts.get(connection.protocol, attempt.tls)
        return connection

    async def _wrap_create_connection(self, *args: Any, addr_infos: Any, req: Any, timeout: Any, **kwargs: Any) -> Any:
        attempt = CURRENT.get() or Attempt(req.host)
        attempt.phase, attempt.fresh, attempt.began = "connect", True, time.monotonic_ns()
        allowed = [info for info in addr_infos if self._allows(attempt, info)]

        def factory() -> ResponseHandler:
            # asyncio asks for the protocol once TCP is connected and before TLS begins.
            attempt.phase, attempt.connected = "tls", time.monotonic_ns()
            return self._factory()

        # With nothing allowed, the socket factory says so in the way of any other failure to connect.
        transport, protocol = await super()._wrap_create_connection(
            factory, *args[1:], addr_infos=allowed or addr_infos, req=req, timeout=timeout, **kwargs
        )
        attempt.secured, attempt.phase = time.monotonic_ns(), "answer"
        attempt.peer = _address(transport.get_extra_info("peername"))
        self._facts[protocol] = attempt.tls = _facts(transport, attempt)
        return transport, protocol

    def _allows(self, attempt: Attempt, info: Any) -> bool:
        """The policy's word on an address; a denial is noted."""
        if self._egress is None:
            return True
        verdict = self._egress.judge(attempt.host, info[4][0], info[4][1])
        address = str(plain(info[4][0]))
        if not verdict.allowed and address not in attempt.denied:
            attempt.denied.append(address)
            attempt.denied_by = verdict.rule
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
        peer=attempt.peer,
    )
