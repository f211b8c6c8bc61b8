"""A load generator as a process of its own: `execute URL CA TOKEN`, `batch …` or `direct URL CA CERT KEY`, then rounds on
stdin.

`execute` starts an action with Prefer: wait, return=minimal (the peers' clients get no more than status and body, either)
and demands that it completes; it costs as little as can be, as the peers'
clients (a Redis connection) do. `batch` does so for `BATCH` executions in each request. `direct` makes the call itself, by
aiohttp.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import httptools
import uvloop

sys.path.insert(0, str(Path(__file__).parent / "peers"))
from rounds import serve

Call = Callable[[], Awaitable[None]]
BATCH = 8
COMPLETED = b'"state":"Completed","outputs":{},"steps"'


class Connection(asyncio.Protocol):
    """One kept connection that asks the same again and again."""

    def __init__(self, request: bytes, jobs: int = 1) -> None:
        self._request = request
        self.jobs = jobs
        self._transport: asyncio.Transport
        self._answer: asyncio.Future[None] | None = None
        self.open = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False  # between two rounds it may
        if self._answer is not None:
            sys.exit(f"the instance has closed the connection: {exc}")

    async def call(self) -> None:
        answer = self._answer = asyncio.get_running_loop().create_future()
        self._parser, self._body = httptools.HttpResponseParser(self), bytearray()
        self._transport.write(self._request)
        await answer

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status != 200 or self._body.count(COMPLETED) != self.jobs:
            sys.exit(f"{status} {bytes(self._body[:1500])!r}")
        assert self._answer
        self._answer.set_result(None)
        self._answer = None


def _request(words: list[str], jobs: int) -> bytes:
    url = urlsplit(words[1])
    path, body = url.path, b""
    if words[0] == "batch":
        path, body = f"{path}-batch", json.dumps({"executions": [{}] * jobs}).encode()
    return (
        f"POST {path} HTTP/1.1\r\nHost: {url.netloc}\r\nAuthorization: Bearer {words[3]}\r\n"
        f"Prefer: wait=60, return=minimal\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


async def _connections(words: list[str], kept: list[Connection], count: int, jobs: int) -> list[Connection]:
    """`count` connections, those that were kept and are open first, each for `jobs` jobs a request."""
    await asyncio.sleep(0.01)  # hear of those that were closed
    url, context = urlsplit(words[1]), ssl.create_default_context(cafile=words[2])
    loop, request = asyncio.get_running_loop(), _request(words, jobs)

    async def one() -> Connection:
        made = await loop.create_connection(lambda: Connection(request, jobs), url.hostname, url.port, ssl=context)
        return made[1]

    found = [each for each in kept if each.open and each.jobs == jobs]
    return found + [await one() for _ in range(count - len(found))]


async def _session(words: list[str]) -> Call:
    context = ssl.create_default_context(cafile=words[2])
    context.load_cert_chain(words[3], words[4])
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context, limit=0))

    async def one() -> None:
        async with session.get(words[1]) as answer:
            body = await answer.read()
            if answer.status != 200:
                sys.exit(f"{answer.status} {body[:1500]!r}")

    return one


async def _all(calls: list[Call], count: int, jobs: int = 1) -> list[float]:
    """Seconds of each of `count` jobs, of which a call makes so many."""
    latencies: list[float] = []
    left = iter(range(0, count, jobs))

    async def some(call: Call) -> None:
        for _ in left:
            began = time.perf_counter()
            await call()
            latencies.extend([time.perf_counter() - began] * jobs)

    await asyncio.gather(*(some(call) for call in calls))
    return latencies


def main() -> None:
    words = sys.argv[1:]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop if words[0] != "direct" else None) as runner:
        kept: list[Connection] = []
        direct = runner.run(_session(words)) if words[0] == "direct" else None

        def work(count: int, at_a_time: int) -> list[float]:
            if direct:
                return runner.run(_all([direct] * at_a_time, count))
            jobs = min(BATCH, at_a_time) if words[0] == "batch" else 1
            kept[:] = runner.run(_connections(words, kept, at_a_time // jobs, jobs))
            return runner.run(_all([each.call for each in kept[: at_a_time // jobs]], count, jobs))

        serve(work)


if __name__ == "__main__":
    main()
