"""What slow and countless clients cannot do: hold connections for nothing.

uvicorn limits the time between two requests, not the time within one. Here a connection has `HEAD_S` for its TLS
handshake and for the header of each request; a body has to come at `SLOWEST` bytes a second, and an answer has to be
taken within `STALL_S`. The server looks every `SWEEP_S` seconds, so that a request costs no timer of its own. The parser
takes heads of any length, so that is bounded here, too.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol as Base
else:
    Base = object

HEAD_S = 20.0
BODY_S = 20.0
"""So long no body is judged by its speed."""
SLOWEST = 1024
MAX_HEAD = 64 * 1024
"""Bytes of a request before its body begins, or after it was answered."""
STALL_S = 60.0
LARGE = 16 * 1024
"""A longer piece of an answer goes at once."""
SWEEP_S = 5.0
HANDSHAKE_S = 60.0
"""asyncio's own limit: after it a connection without TLS is gone."""
SPARE_FILES = 128
"""For the database, logs and attachments."""


class TooManyConnections(ConnectionRefusedError):
    """Raised for a connection more than this process can hold; asyncio closes it without a word."""


class Door:
    """How many connections there may be, and those whose TLS handshake is not over."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._entering: dict[int, float] = {}

    def enter(self, protocol: object, open_: int) -> None:
        """A new connection, with `open_` others.

        Raises:
            TooManyConnections: one too many.
        """
        now = time.monotonic()
        if open_ + len(self._entering) >= self.most:
            self._entering = {each: until for each, until in self._entering.items() if until > now}
        if open_ + len(self._entering) >= self.most:
            raise TooManyConnections(f"{self.most} connections are open")
        self._entering[id(protocol)] = now + HANDSHAKE_S

    def inside(self, protocol: object) -> None:
        """Its handshake is over."""
        self._entering.pop(id(protocol), None)


def most_connections() -> int:
    """As many as this process may have files, less a few; the soft limit is raised as far as it goes."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return 10_000
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = min(hard, 65_536) if hard != resource.RLIM_INFINITY else 65_536
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return int(most) - SPARE_FILES


door = Door(1024 - SPARE_FILES)
"""`serve` sets how many it lets in."""


class Joined:
    """A transport that sends what is written in one turn of the loop in one piece: a small answer's head and body are one
    TLS record and one system call."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._parts: list[bytes] = []
        self._soon = asyncio.get_running_loop().call_soon

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        self._parts.append(data)
        if len(data) > LARGE:
            self._send()
        elif len(self._parts) == 1:
            self._soon(self._send)

    def close(self) -> None:
        self._send()
        self._transport.close()

    def _send(self) -> None:
        data = b"".join(self._parts)
        self._parts.clear()
        if data and not self._transport.is_closing():  # a client may have gone since it was written
            self._transport.write(data)


class Guard(Base):
    """Stands before one of uvicorn's protocols, and notes what `overdue` needs to know."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        door.enter(self, len(self.connections))
        self.since = time.monotonic()
        self.received = 0
        self.stalled = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        door.inside(self)
        self.since = time.monotonic()
        super().connection_made(Joined(transport))  # type: ignore[arg-type]

    def data_received(self, data: bytes) -> None:
        if self.timeout_keep_alive_task is not None:  # the first bytes of another request
            self.since, self.received = time.monotonic(), 0
        self.received += len(data)
        super().data_received(data)
        if self.received > MAX_HEAD and (self.cycle is None or self.cycle.response_complete):
            self.send_400_response("The head of the request is too large.")

    def pause_writing(self) -> None:
        self.stalled = time.monotonic()
        super().pause_writing()

    def resume_writing(self) -> None:
        self.stalled = 0.0
        super().resume_writing()

    def overdue(self, now: float) -> bool:
        """Whether the client has had its time."""
        if self.stalled:
            return now - self.stalled > STALL_S
        if self.timeout_keep_alive_task is not None:
            return False  # between two requests: uvicorn's own limit
        elapsed = now - self.since
        if self.cycle is None or self.cycle.response_complete:
            return elapsed > HEAD_S
        waits = self.cycle.more_body and not self.flow.read_paused
        return waits and elapsed > BODY_S and self.received / elapsed < SLOWEST


def sweep(connections: Iterable[Any], now: float) -> int:
    """End the connections that are overdue. Returns how many there were."""
    late = [each for each in connections if isinstance(each, Guard) and each.overdue(now)]
    for each in late:
        each.transport.abort()
    return len(late)
