"""1,000 MID Servers waiting on one instance: `python bench/waiting.py [--json] [--mids 1000] [--jobs 300]`.

How long from a job's commit to its MID Server's having it: `wake`. `specific` are connections to one MID Server each,
`auto` is one connection that leaves the choice to the instance, so that all of them are candidates for every job. The
MID Servers are simulated in one process over loopback: each with a credential of its own, TLS, a held claim, a heartbeat
every five seconds on a second connection, and a result for each job. The time of the commit is taken as the job's
`sys_created_on`, which is just before it: what is printed is a little too long, never too short.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import sqlite3
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import common
import msgspec

from openmid.demo import partner, processes, walk
from openmid.demo.instance_api import InstanceApi
from openmid.wire.codec import decode, encode
from openmid.wire.messages import (
    ClaimAnswer,
    ClaimRequest,
    Heartbeat,
    HeartbeatAnswer,
    JobResult,
    ResultsAnswer,
    ResultsRequest,
)
from openmid.wire.probes import ProbeResult
from openmid.wire.version import CHANNEL

AIM_MS = 100
HELD_MS = 20_000
ALIASES = 50
"""So many connections to one MID Server each."""
AT_ONCE = 20
"""TLS handshakes at once while they come."""

MAKE = """
import secrets, sys
from pathlib import Path
from openmid.instance import setup
setup.use(Path(sys.argv[1]))
from openmid.instance.mid.models import MidServer, Validated
from openmid.instance.records.secrets import digest
made = []
for number in range(int(sys.argv[2])):
    credential = secrets.token_urlsafe(32)
    mid = MidServer(name=f"mid-{number:04d}", validated=Validated.TRUE, credential_hash=digest(credential))
    made.append(mid)
    print(mid.sys_id, credential)
MidServer.objects.bulk_create(made)
"""


class Http:
    """One kept TLS connection that posts messages, one after the other."""

    def __init__(self, port: int, context: ssl.SSLContext, authorization: str) -> None:
        self._port, self._context, self._authorization = port, context, authorization
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._turn = asyncio.Lock()

    async def open(self) -> None:
        self._streams = await asyncio.open_connection("localhost", self._port, ssl=self._context)

    async def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        async with self._turn:
            return await self._post(path, body)

    async def _post(self, path: str, body: bytes) -> tuple[int, bytes]:
        if self._streams is None:
            await self.open()
        assert self._streams
        reader, writer = self._streams
        head = (
            f"POST {path} HTTP/1.1\r\nHost: localhost:{self._port}\r\nAuthorization: Bearer {self._authorization}\r\n"
        )
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        lines = (await reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
        length = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
        return int(lines[0].split()[1]), await reader.readexactly(length)


class Mid:
    """A MID Server that waits: `received` gets each job's time of arrival."""

    def __init__(self, port: int, context: ssl.SSLContext, authorization: str, received: dict[str, int]) -> None:
        self._claims, self._rest = (Http(port, context, authorization) for _ in range(2))
        self._received = received
        self.beaten = 0

    async def call(self, http: Http, path: str, message: object) -> bytes:
        status, body = await http.post(CHANNEL + path, encode(message))
        if status != 200:
            sys.exit(f"{path} was answered {status}: {body[:500]!r}")
        return body

    async def come(self, gate: asyncio.Semaphore) -> list[asyncio.Task[None]]:
        """The instance does not wait for whoever connects and says nothing: it claims at once."""
        async with gate:
            await self._beat()
            await self._claims.open()
            return [asyncio.create_task(self.claim()), asyncio.create_task(self.beat())]

    async def beat(self) -> None:
        await asyncio.sleep(random.random() * 5)
        while True:
            await asyncio.sleep(await self._beat() / 1000)

    async def _beat(self) -> int:
        message = Heartbeat(version="bench", host_name="bench", started=1, now=time.time_ns() // 1000)
        self.beaten += 1
        return decode(await self.call(self._rest, "/heartbeat", message), HeartbeatAnswer).interval_ms

    async def claim(self) -> None:
        while True:
            body = await self.call(self._claims, "/claim", ClaimRequest(25, HELD_MS, (25, 25, 25)))
            now = time.time_ns() // 1000
            jobs = decode(body, ClaimAnswer).jobs
            self._received |= {job.sys_id: now for job in jobs}
            if jobs:
                results = [JobResult(job.sys_id, job.lease, ProbeResult(now, status_code=200)) for job in jobs]
                decode(await self.call(self._rest, "/results", ResultsRequest(results)), ResultsAnswer)


def main() -> None:
    given = common.arguments(__doc__, mids=1000, jobs=300, a_second=10)
    with common.folder() as folder, instance(folder, given.mids) as (pid, port, credentials, token):
        aliases = _aliases(folder, port, token, given.mids)
        found = asyncio.run(_measure(folder, pid, port, credentials, token, aliases, given))
    rows = [
        f"{name}: p50 {found['wake_ms'][name]['p50']} ms, p99 {found['wake_ms'][name]['p99']} ms"
        for name in found["wake_ms"]
    ]
    rows.append(
        f"while they only wait the instance takes {found['waiting_cpu']:.0%} of a core, {found['memory_mb']} MB"
    )
    common.report(found, rows, as_json=given.json)


@contextlib.contextmanager
def instance(folder: Path, mids: int) -> Iterator[tuple[int, int, list[str], str]]:
    """An instance with so many validated MID Servers: its pid, its port, their credentials, and a token."""
    port, where = partner.free_port(), str(folder / "instance")
    processes.openmid("instance", "init", where, "--port", str(port), "--public-name", "localhost", "--json")
    words = [sys.executable, "-c", MAKE, where, str(mids)]
    made = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout.split("\n")[:mids]
    token = processes.openmid("instance", "token", "create", "bench", "--dir", where, "--user", walk.ADMIN)
    log = folder / "instance.log"
    with common.process([*processes.OPENMID, "instance", "run", where], log) as running:
        common.wait_until(lambda: "listens on" in log.read_text(), "the instance")
        yield running.pid, port, [line.replace(" ", ".") for line in made], token


def _aliases(folder: Path, port: int, token: str, mids: int) -> dict[str, list[str]]:
    """Names of aliases: each of the first to one MID Server, the other to any."""
    api = InstanceApi(f"https://localhost:{port}", folder / "instance/tls/ca.pem", token)
    columns = {"url_builder": "true", "use_mid": "true", "host": "partner.example"}
    specific = []
    for number in range(min(ALIASES, mids)):
        mid = api.find("ecc_agent", name=f"mid-{number * (mids // min(ALIASES, mids)):04d}")
        assert mid
        alias = api.create("sys_alias", name=f"specific_{number}", connection_type="http_connection")
        chosen = {"mid_selection": "specific_mid_server", "mid_server": mid["sys_id"]}
        api.create("http_connection", name=f"c{number}", connection_alias=alias["sys_id"], **columns, **chosen)
        specific.append(alias["name"])
    alias = api.create("sys_alias", name="auto", connection_type="http_connection")
    api.create("http_connection", name="auto", connection_alias=alias["sys_id"], **columns, mid_selection="auto_select")
    return {"specific": specific, "auto": ["auto"]}


async def _measure(
    folder: Path,
    pid: int,
    port: int,
    credentials: list[str],
    token: str,
    aliases: dict[str, list[str]],
    given: object,
) -> common.Figures:
    context = ssl.create_default_context(cafile=str(folder / "instance/tls/ca.pem"))
    received: dict[str, int] = {}
    mids = [Mid(port, context, each, received) for each in credentials]
    gate = asyncio.Semaphore(AT_ONCE)
    tasks = [task for both in await asyncio.gather(*(mid.come(gate) for mid in mids)) for task in both]
    await asyncio.sleep(5)
    waiting = await _cpu(pid, mids, 15)
    asked, ways = {}, {}
    for name, names in aliases.items():
        before = set(received)
        began = common.cpu_seconds(pid)
        asked[name] = await _ask(Http(port, context, token), names, given.jobs, given.a_second)  # type: ignore[attr-defined]
        await _all(tasks, received, len(before) + given.jobs)  # type: ignore[attr-defined]
        spent = (common.cpu_seconds(pid) - began) / (given.jobs / given.a_second)  # type: ignore[attr-defined]
        ways[name] = {job: at for job, at in received.items() if job not in before}, spent
    memory = round(common.memory_mb(pid), 1)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    created = _created(folder)
    wake = {name: [(at - created[job]) / 1000 for job, at in jobs.items()] for name, (jobs, _) in ways.items()}
    return {
        "ratios": {
            f"{name}_p99_by_aim": round(common.percentile(each, 0.99) / AIM_MS, 2) for name, each in wake.items()
        },
        "wake_ms": {name: _shown(each) for name, each in wake.items()},
        "asked_ms": {name: _shown(each) for name, each in asked.items()},
        "cpu": {name: round(spent, 2) for name, (_, spent) in ways.items()},
        "waiting_cpu": round(waiting[0], 2),
        "heartbeats_a_second": round(waiting[1]),
        "memory_mb": memory,
        "mids": len(mids),
    }


def _shown(values: list[float]) -> dict[str, float]:
    return {"p50": round(common.percentile(values, 0.5), 1), "p99": round(common.percentile(values, 0.99), 1)}


async def _cpu(pid: int, mids: list[Mid], seconds: float) -> tuple[float, float]:
    """What part of a core the instance takes, and heartbeats a second, while nothing is asked."""
    before, beaten = common.cpu_seconds(pid), sum(mid.beaten for mid in mids)
    began = time.monotonic()
    await asyncio.sleep(seconds)
    taken = time.monotonic() - began
    return (common.cpu_seconds(pid) - before) / taken, (sum(mid.beaten for mid in mids) - beaten) / taken


async def _ask(http: Http, aliases: list[str], jobs: int, a_second: int) -> list[float]:
    """So many calls, at even distances as far as the instance keeps up; how long each took to be accepted, in ms."""
    taken = []
    due = time.monotonic()
    for number in range(jobs):
        due += 1 / a_second
        await asyncio.sleep(max(0, due - time.monotonic()))
        began = time.monotonic()
        path = f"/api/v1/connections/{aliases[number % len(aliases)]}/request"
        status, body = await http.post(path, msgspec.json.encode({"path": f"/{number}"}))
        if status != 202:
            sys.exit(f"a call was answered {status}: {body[:500]!r}")
        taken.append((time.monotonic() - began) * 1000)
    return taken


async def _all(tasks: list[asyncio.Task[None]], received: dict[str, int], count: int) -> None:
    """Wait until every job has come."""
    until = time.monotonic() + 60
    while len(received) < count:
        for task in (each for each in tasks if each.done()):
            task.result()
        if time.monotonic() > until:
            sys.exit(f"{count - len(received)} jobs never came")
        await asyncio.sleep(0.05)


def _created(folder: Path) -> dict[str, int]:
    database = sqlite3.connect(f"file:{folder / 'instance/openmid.sqlite3'}?mode=ro", uri=True)
    try:
        return dict(database.execute("SELECT sys_id, sys_created_on FROM ecc_queue WHERE queue = 'output'"))
    finally:
        database.close()


if __name__ == "__main__":
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    main()
