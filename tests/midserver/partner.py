"""A partner: a real TLS server on loopback that answers with what it saw."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from types import TracebackType

from aiohttp import web

Serve = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Partner:
    """`async with Partner(context) as partner:`; `partner.port`, `partner.seen`."""

    def __init__(self, context: ssl.SSLContext | None, serve: Serve | None = None) -> None:
        self._context = context
        self._serve = serve
        self.requests: list[web.BaseRequest] = []
        self.bodies: list[str] = []
        self.peers: list[object] = []
        """The client certificate of each request; empty where none was sent."""
        self.connections: set[int] = set()
        self.port = 0
        self.hang = asyncio.Event()

    async def __aenter__(self) -> Partner:
        self._runner = web.ServerRunner(web.Server(self._handle), shutdown_timeout=0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._context)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.hang.set()
        await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests.append(request)
        self.bodies.append(await request.text())
        assert request.transport
        self.peers.append(request.transport.get_extra_info("peercert") or {})
        self.connections.add(request.transport.get_extra_info("peername")[1])
        if self._serve is not None:
            return await self._serve(request)
        if request.path == "/hang":
            await self.hang.wait()
        if request.path == "/drop":
            request.transport.abort()
        if request.path == "/big":
            return web.Response(body=b"x" * (6 * 1024 * 1024))
        if request.path == "/long":
            return web.Response(body=b"x" * 700_000)
        if request.path == "/longer":
            return web.Response(body=b"x" * 1_000_000)
        if request.path == "/bytes":
            return web.Response(body=bytes(range(256)), content_type="application/octet-stream")
        if request.path == "/moved":
            return web.Response(status=302, headers={"Location": "https://elsewhere.example/"})
        peer = request.transport.get_extra_info("peercert") or {}
        names = {key: value for part in peer.get("subject", ()) for key, value in part}
        response = web.json_response({"subject": names})
        response.headers.add("X-Twice", "one")
        response.headers.add("X-Twice", "two")
        return response


@contextlib.contextmanager
def closed_port() -> Iterator[int]:
    """A port of loopback on which nothing listens (bound, so that nobody else takes it meanwhile)."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@contextlib.asynccontextmanager
async def raw_server(answer: bytes | None, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A TCP server (TLS with a context) that says `answer` and closes, or accepts and says nothing."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if answer is None:
            await reader.read()
        else:
            if context is not None:
                await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@contextlib.asynccontextmanager
async def talking_server(talk: Talk, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server that says, byte by byte, what `talk` says."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, ssl.SSLError):
            await talk(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@contextlib.contextmanager
def strict_server(context: ssl.SSLContext) -> Iterator[int]:
    """A server on plain blocking sockets: unlike asyncio's, it sends its alert before it closes."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                plain, _ = listening.accept()
                with context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False) as secured:
                    with contextlib.suppress(OSError):
                        secured.do_handshake()
                    # Read what the client still sends: closing on unread bytes would reset the alert away.
                    with contextlib.suppress(OSError):
                        secured.shutdown(socket.SHUT_WR)
                        while os.read(secured.fileno(), 65536):
                            pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()
