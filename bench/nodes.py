"""One instance node against two over one PostgreSQL database, and against SQLite: `python bench/nodes.py [--json]`.

Executions end to end (accepted, planned, claimed, answered, told), without a partner: one MID Server, which is part of
the load generator, answers at once through every node. PostgreSQL runs on this machine with fsync on. The sides take turns.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import common

sys.path.insert(0, str(common.HERE.parent))
from tests.postgresql import Cluster, running

from openmid.demo import processes

MID, CREDENTIAL = "m" * 32, "a credential of the bench"
SECURE = {"X-Forwarded-Proto": "https"}
RECORDS = f"""
import sys; from pathlib import Path
from openmid.instance import setup
setup.use(Path(sys.argv[1]))
from openmid.instance.connections.models import ConnectionAlias, HttpConnection
from openmid.instance.mid.models import MidServer
from openmid.instance.records import clock
from openmid.instance.records.secrets import digest
MidServer.objects.create(sys_id={MID!r}, name="mid", validated="true", credential_hash=digest({CREDENTIAL!r}),
    last_refreshed=clock.now())
alias = ConnectionAlias.objects.create(name="partner", connection_type="http_connection")
HttpConnection.objects.create(name="partner", connection_alias=alias, host="p.example",
    connection_url="https://p.example")
"""


class Node:
    """An instance node that runs."""

    def __init__(self, folder: Path, database: str, keys_of: Path | None = None) -> None:
        self.folder = folder
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        if keys_of:
            shutil.copytree(keys_of / "secrets", folder / "secrets")
            shutil.copy(keys_of / "instance.json", folder)
        words = ["init", str(folder), "--port", str(port), "--behind-proxy", "127.0.0.1", "--json"]
        processes.openmid("instance", *words, *(["--database", database] if database else []))

    @contextlib.contextmanager
    def running(self) -> Iterator[int]:
        """Its pid."""
        command = [*processes.OPENMID, "instance", "run", str(self.folder)]
        process = processes.start(command, self.folder.with_suffix(".log"), self._ready)
        try:
            yield process.pid
        finally:
            processes.stop(process)

    def _ready(self) -> bool:
        with contextlib.suppress(OSError):
            request = urllib.request.Request(f"{self.url}/health", headers=SECURE)
            return bool(urllib.request.urlopen(request, timeout=5).status == 200)
        return False


def _free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def main() -> None:
    given = common.arguments(__doc__, executions=400, rounds=3, at_a_time=32)
    with common.folder() as folder, running("fsync = on\n") as cluster, contextlib.ExitStack() as stack:
        cluster.sql("CREATE DATABASE openmid")
        sides, pids = _stand(folder, cluster, stack)
        rates: dict[str, list[float]] = {name: [] for name in sides}
        for number in range(given.rounds + 1):
            for name, (urls, token) in sides.items():
                rate = asyncio.run(_round(urls, token, given.executions, given.at_a_time))
                if number:  # the first one warms up
                    rates[name].append(rate)
        figures = _figures(rates, pids)
    rows = [f"{name}: {value} executions/s" for name, value in figures["executions_per_second"].items()]
    rows += [f"{name}: {value}" for name, value in figures["ratios"].items()]
    common.report(figures, rows, as_json=given.json)


def _stand(folder: Path, cluster: Cluster, stack: contextlib.ExitStack) -> tuple[dict[str, Any], dict[str, int]]:
    """The sides, each with its nodes' URLs and a token; the processes by name."""
    alone = Node(folder / "sqlite", "")
    one = Node(folder / "one", cluster.url("openmid"))
    two = Node(folder / "two", cluster.url("openmid"), keys_of=one.folder)
    tokens = {}
    for node in (alone, one):
        subprocess.run([sys.executable, "-c", RECORDS, node.folder], check=True)
        words = ("token", "create", "bench", "--dir", str(node.folder), "--user", "admin")
        tokens[node] = processes.openmid("instance", *words)
    pids = {each.folder.name: stack.enter_context(each.running()) for each in (alone, one, two)}
    pids["postgresql"] = int((cluster.folder / "data" / "postmaster.pid").read_text().split()[0])
    sides = {
        "sqlite": ([alone.url], tokens[alone]),
        "one node": ([one.url], tokens[one]),
        "two nodes": ([one.url, two.url], tokens[one]),
    }
    return sides, pids


async def _round(urls: list[str], token: str, count: int, at_a_time: int) -> float:
    """Executions a second, half of them at each node where there are two."""
    import aiohttp

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, headers=SECURE) as session:
        mids = [asyncio.create_task(_mid(session, url)) for url in urls]
        await _beat(session, urls[0])
        left = iter(range(count))
        began = time.perf_counter()
        await asyncio.gather(*(_calls(session, urls[each % len(urls)], token, left) for each in range(at_a_time)))
        seconds = time.perf_counter() - began
        for each in mids:
            each.cancel()
        await asyncio.gather(*mids, return_exceptions=True)
    return count / seconds


async def _calls(session: Any, url: str, token: str, left: Iterator[int]) -> None:
    headers = {"Authorization": f"Bearer {token}", "Prefer": "wait=60"}
    for _ in left:
        path = f"{url}/api/v1/connections/partner/request"
        async with session.post(path, json={"method": "GET", "path": "/"}, headers=headers) as answer:
            body = await answer.json()
            if answer.status != 200 or body["state"] != "Completed":
                sys.exit(f"{answer.status} {body}")


async def _beat(session: Any, url: str) -> None:
    from openmid.wire.messages import Heartbeat

    await _post(session, url, "/heartbeat", Heartbeat(version="bench", host_name="bench", started=1))


async def _mid(session: Any, url: str) -> None:
    """The MID Server as this node sees it: claims, and answers at once."""
    from openmid.wire.messages import ClaimRequest, JobResult, ResultsRequest
    from openmid.wire.probes import ProbeResult

    beaten = time.monotonic()
    result = ProbeResult(1, status_code=200, body=common.ANSWER)
    while True:
        claimed = await _post(session, url, "/claim", ClaimRequest(32, 2000))
        done = [JobResult(job["sys_id"], job["lease"], result) for job in claimed["jobs"]]
        if done:
            await _post(session, url, "/results", ResultsRequest(done))
        if time.monotonic() - beaten > 5:
            beaten = time.monotonic()
            await _beat(session, url)


async def _post(session: Any, url: str, path: str, message: object) -> Any:
    import msgspec

    from openmid.wire.version import CHANNEL

    headers = {"Authorization": f"Bearer {MID}.{CREDENTIAL}"}
    async with session.post(url + CHANNEL + path, data=msgspec.json.encode(message), headers=headers) as answer:
        body = await answer.read()
        if answer.status != 200:
            sys.exit(f"{path} {answer.status} {body[:500]!r}")
        return json.loads(body)


def _figures(rates: dict[str, list[float]], pids: dict[str, int]) -> common.Figures:
    each = {name: median(values) for name, values in rates.items()}
    return {
        "ratios": {
            "two_nodes": round(each["two nodes"] / each["one node"], 2),
            "postgresql": round(each["one node"] / each["sqlite"], 2),
        },
        "executions_per_second": {name: round(value) for name, value in each.items()},
        "rounds": {name: [round(value) for value in values] for name, values in rates.items()},
        "cpu_seconds_in_all": {name: round(common.cpu_seconds(pid), 1) for name, pid in pids.items()},
        "load_generator_cpu_seconds": round(sum(os.times()[:2]), 1),
    }


if __name__ == "__main__":
    main()
