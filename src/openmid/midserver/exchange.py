"""One HTTP/1.1 exchange over a connection of the pool: the request in one piece where it can be, the answer as it comes.

What knows the field stays aiohttp's: its connector (pool, names, addresses, proxies), its compiled parser, and its stream
of a body with its back-pressure. Its session, request and response are left out: they took half of a call's time, for
what no call here has (cookies, redirects, tracing, middleware). tests/midserver/test_connector.py holds what is expected.

Large bodies between this host and the instance (attachments.py) go through aiohttp's session: they are sent chunked and
may be silent for so long, which no call to a partner needs.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import Connection
from aiohttp.helpers import parse_content_type
from aiohttp.streams import StreamReader
from multidict import CIMultiDict
from yarl import URL

from openmid import __version__

LONGEST_HEADER = 32 * 1024  # of at most 128
DEFAULTS = (("User-Agent", f"openmid/{__version__}"), ("Accept", "*/*"))
REPEATED = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
"""Sent once more, by itself, where the connection turns out to be closed (RFC 9110, 9.2.2)."""
BODILESS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""Without a body they say nothing of its length (RFC 9110, 8.6)."""
LARGE, PIECE = 256 * 1024, 64 * 1024
"""A larger body is not encrypted in one go: other calls go on in between."""
_NO_LIMITS = aiohttp.ClientTimeout(total=None, sock_connect=None)

Chunks = AsyncGenerator[bytes | memoryview, None]


class Destination:
    """Where a request goes, with what aiohttp's connector asks a request for. One serves for many exchanges."""

    proxy_auth = None
    server_hostname = None

    def __init__(
        self, url: URL, context: Any, proxy: URL | None = None, proxy_headers: Mapping[str, str] | None = None
    ) -> None:
        self.url = url
        self.ssl = context
        self.proxy = proxy
        self.host, self.port = url.raw_host or "", url.port
        self.authority = url.host_port_subcomponent or ""
        self.headers = {"Host": self.authority}
        self.request_info = SimpleNamespace(url=url)
        self._proxy_headers = proxy_headers or {}
        secret = hash(tuple(self._proxy_headers.items())) if proxy else None
        self.connection_key = ConnectionKey(self.host, self.port, True, context, proxy, None, secret)

    @property
    def proxy_headers(self) -> CIMultiDict[str]:
        """Of the CONNECT request. The connector writes into them."""
        return CIMultiDict([*DEFAULTS, *self._proxy_headers.items()])

    def is_ssl(self) -> bool:
        """Always."""
        return True


class Answer:
    """An answer whose head has come. `finish` it, whatever happened."""

    __slots__ = ("_connection", "_content", "_upload", "due", "headers", "raw_headers", "status")

    def __init__(self, message: Any, content: StreamReader, connection: Connection, upload: Any) -> None:
        self.status: int = message.code
        self.headers: Mapping[str, str] = message.headers
        self.raw_headers: tuple[tuple[bytes, bytes], ...] = message.raw_headers
        self._content = content
        self._connection = connection
        self._upload: asyncio.Task[None] | None = upload
        self.due: asyncio.Timeout | None = None
        """What ends the reading; it is over with the last byte."""

    @property
    def charset(self) -> str | None:
        """What its Content-Type says."""
        kind = self.headers.get("Content-Type")
        return (_charset(kind) or None) if kind else None

    async def read(self) -> bytes:
        """What has come of the body; nothing at its end. Then another exchange may have the connection."""
        chunk = await self._content.readany()
        if not chunk:
            if self.due is not None:
                self.due.reschedule(None)
            if self._upload is None:
                self._connection.release()
        return chunk

    def close(self) -> None:
        """Nobody will use the connection again."""
        self._connection.close()

    async def finish(self) -> None:
        """A connection on which anything is left to read or write is closed."""
        if self._upload is not None:
            await _end(self._upload, self._connection)
        self._connection.release()


@lru_cache(64)
def _charset(kind: str) -> str | None:
    return parse_content_type(kind)[1].get("charset")


def head(method: str, target: URL, headers: Iterable[tuple[str, str]], length: int | None) -> bytes:
    """What stands before a body of `length` bytes (None: there is no body).

    Raises:
        ValueError: something in it would end a line early.
    """
    headers = list(headers)
    names = {name.lower() for name, _ in headers}
    rows = [f"{method} {target.raw_path_qs} HTTP/1.1"]
    if "host" not in names:
        rows.append(f"Host: {target.host_port_subcomponent}")
    rows += [f"{name}: {value}" for name, value in DEFAULTS if name.lower() not in names]
    rows += [f"{name}: {value}" for name, value in headers]
    if length is not None or method not in BODILESS:
        rows.append(f"Content-Length: {length or 0}")
    found = "\r\n".join(rows)
    if found.count("\n") >= len(rows) or found.count("\r") >= len(rows) or "\0" in found:
        raise ValueError("a header holds a line break or a zero byte")
    return f"{found}\r\n\r\n".encode()


async def exchange(
    connector: aiohttp.BaseConnector,
    destination: Destination,
    method: str,
    head: bytes,
    body: bytes | Chunks | None = None,
) -> Answer:
    """Send `head` and `body`, and wait for the answer's head.

    Raises:
        aiohttp.ClientError, HttpProcessingError, OSError: there is none; and whatever a streamed body raises.
    """
    again = method in REPEATED and not isinstance(body, AsyncGenerator)
    while True:
        connection = await connector.connect(destination, [], _NO_LIMITS)  # type: ignore[arg-type]
        try:
            return await _over(connection, method, head, body)
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
            connection.close()
            if not again:
                raise
            again = False
        except BaseException:
            connection.close()
            raise


async def _over(connection: Connection, method: str, head: bytes, body: bytes | Chunks | None) -> Answer:
    protocol, upload = connection.protocol, None
    assert protocol is not None
    assert protocol.transport is not None
    protocol.set_response_params(
        skip_payload=method == "HEAD", read_until_eof=True, auto_decompress=False, max_field_size=LONGEST_HEADER
    )
    if isinstance(body, bytes) and len(body) > LARGE:
        body = _pieces(body)
    if isinstance(body, AsyncGenerator):
        protocol.transport.write(head)
        upload = asyncio.create_task(_upload(protocol, body))
    else:
        protocol.transport.write(head + body if body else head)
    try:
        while True:
            message, content = await protocol.read()
            if message.code == 101 or not 100 <= message.code <= 199:
                return Answer(message, content, connection, upload)
    except BaseException:
        if upload is not None:
            await _end(upload, connection)
        raise


async def _pieces(body: bytes) -> Chunks:
    whole = memoryview(body)
    for start in range(0, len(body), PIECE):
        yield whole[start : start + PIECE]


async def _upload(protocol: ResponseHandler, body: Chunks) -> None:
    """The body, no faster than it is taken. What goes wrong with it ends the wait for the answer."""
    try:
        async with aclosing(body):
            async for chunk in body:
                await protocol._drain_helper()
                assert protocol.transport is not None
                protocol.transport.write(chunk)
    except Exception as error:
        protocol.set_exception(error)


async def _end(upload: asyncio.Task[None], connection: Connection) -> None:
    """A request that was not sent to its end leaves a connection that nothing can follow on."""
    if not upload.done():
        connection.close()
        upload.cancel()
        await asyncio.wait([upload])
