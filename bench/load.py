"""A load generator as a process of its own: `execute URL CA TOKEN` or `direct URL CA CERT KEY`, then rounds on stdin.

`execute` starts an action with Prefer: wait and demands that it completes; `direct` makes the call itself, by aiohttp.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
import time
from pathlib import Path

import aiohttp

sys.path.insert(0, str(Path(__file__).parent / "peers"))
from rounds import serve


async def _session(words: list[str]) -> tuple[aiohttp.ClientSession, str]:
    context = ssl.create_default_context(cafile=words[2])
    headers = {}
    if words[0] == "direct":
        context.load_cert_chain(words[3], words[4])
    else:
        headers = {"Authorization": f"Bearer {words[3]}", "Prefer": "wait=60"}
    connector = aiohttp.TCPConnector(ssl=context, limit=0)
    return aiohttp.ClientSession(connector=connector, headers=headers), "GET" if words[0] == "direct" else "POST"


async def _one(session: aiohttp.ClientSession, method: str, url: str) -> None:
    async with session.request(method, url) as answer:
        body = await answer.read()
        if answer.status != 200 or (method == "POST" and b'"state":"Completed"' not in body.replace(b": ", b":")):
            sys.exit(f"{answer.status} {body[:1500]!r}")


async def _all(session: aiohttp.ClientSession, method: str, url: str, count: int, at_a_time: int) -> list[float]:
    latencies: list[float] = []
    left = iter(range(count))

    async def some() -> None:
        for _ in left:
            began = time.perf_counter()
            await _one(session, method, url)
            latencies.append(time.perf_counter() - began)

    await asyncio.gather(*(some() for _ in range(at_a_time)))
    return latencies


def main() -> None:
    words = sys.argv[1:]
    with asyncio.Runner() as runner:
        session, method = runner.run(_session(words))
        serve(lambda count, at_a_time: runner.run(_all(session, method, words[1], count, at_a_time)))
        runner.run(session.close())


if __name__ == "__main__":
    main()
