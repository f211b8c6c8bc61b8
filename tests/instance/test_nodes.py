"""Two instance nodes, real processes, over one PostgreSQL database."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from openmid.demo import processes
from openmid.wire.messages import ClaimAnswer
from tests.instance.partners import Api, Mid, Reply
from tests.instance.test_walk import records
from tests.postgresql import Cluster, running

pytestmark = pytest.mark.xdist_group("nodes")  # one instance for all of them
OPENMID = [sys.executable, "-m", "openmid", "instance"]


class Proxied(Api):
    """What comes through a reverse proxy."""

    def request(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Reply:
        return super().request(method, path, body, X_Forwarded_Proto="https", **headers)


def openmid(*words: str | Path, expect: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*OPENMID, *map(str, words)], capture_output=True, text=True, env={**os.environ, **environment}, check=False
    )
    assert done.returncode == expect, done.stderr
    return done


class Node:
    """An instance's folder, and the process that serves it."""

    def __init__(self, folder: Path, database: str) -> None:
        self.folder, self.database = folder, database
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def init(self, expect: int = 0) -> subprocess.CompletedProcess[str]:
        words = ("--port", str(self.port), "--behind-proxy", "127.0.0.1", "--database", self.database)
        return openmid("init", self.folder, *words, "--json", expect=expect)

    def start(self) -> None:
        log = self.folder.with_suffix(".log")
        self.process = processes.start([*OPENMID, "run", str(self.folder)], log, self._ready)

    def _ready(self) -> bool:
        request = urllib.request.Request(f"{self.url}/health", headers={"X-Forwarded-Proto": "https"})
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    with running() as found:
        found.sql("CREATE DATABASE openmid")
        yield found


@pytest.fixture(scope="module")
def nodes(server: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Node, Node]]:
    """Two nodes that run; the second one has the keys of the first."""
    folder = tmp_path_factory.mktemp("nodes")
    first, second = (Node(folder / name, server.url("openmid")) for name in ("one", "two"))
    assert json.loads(first.init().stdout)["password"]
    refused = second.init(expect=1).stderr
    assert "has the records of an instance, whose keys are not in" in refused
    assert "hint: copy the folder secrets/ of another node" in refused
    shutil.copytree(first.folder / "secrets", second.folder / "secrets")
    assert json.loads(second.init().stdout)["password"] is None
    try:
        first.start()
        second.start()
        yield first, second
    finally:
        for each in (first, second):
            if hasattr(each, "process"):
                processes.stop(each.process)


@pytest.fixture(scope="module")
def apis(nodes: tuple[Node, Node]) -> tuple[Api, Api]:
    token = openmid("token", "create", "test", "--user", "admin", "--dir", nodes[0].folder).stdout.strip()
    first, second = (Proxied(each.url, f"Bearer {token}") for each in nodes)
    records(first)
    return first, second


@pytest.fixture(scope="module")
def mids(nodes: tuple[Node, Node], apis: tuple[Api, Api]) -> tuple[Mid, Mid]:
    """One MID Server, enrolled at the first node and validated at the second, as it talks to each."""
    token = openmid("mid", "token", "mid1", "--dir", nodes[1].folder).stdout.split()[-1]
    made = []
    for api in apis:
        mid = Mid(api.url, "mid1")
        mid._api = Proxied(api.url)
        made.append(mid)
    assert made[0].enrol(token).status == 200
    body = {"fingerprint": made[0].fingerprint}
    assert apis[1].post("/api/v1/mid-servers/mid1/validate", body).status == 200
    made[1].sys_id, made[1]._api.authorization = made[0].sys_id, made[0]._api.authorization
    assert made[1].heartbeat().status == 200
    return made[0], made[1]


def woken_across(apis: tuple[Api, Api], mids: tuple[Mid, Mid]) -> None:
    """A claim that waits at one node gets the job of the other, whose caller waits for the result from here."""
    assert mids[0].heartbeat().status == 200
    with ThreadPoolExecutor(2) as pool:
        waiting = pool.submit(mids[1].job, 25_000)
        calling = pool.submit(apis[0].execute, "call", 30)
        job = waiting.result(40)
        assert mids[1].deliver(job).status == 200
        answer = calling.result(40)
    assert (answer.status, answer.json["state"]) == (200, "Completed")


def work(apis: tuple[Api, Api], mids: tuple[Mid, Mid], count: int, disturb: threading.Event | None = None) -> None:
    """`count` executions at each node, claimed at both: each job comes once, and each execution completes."""
    keys = [f"{os.urandom(4).hex()}-{number}" for number in range(count)]
    over = threading.Event()
    seen: list[str] = []

    def accepted(api: Api, key: str) -> str:
        while True:
            reply = api.execute("call", Idempotency_Key=key)
            if reply.status == 202:
                return str(reply.json["sys_id"])
            assert reply.status == 503, reply.raw  # the server is away: as clients do, again under the same key

    def carry(mid: Mid) -> None:
        while not over.is_set():
            mid.heartbeat()
            claimed = mid.claim(500, limit=5)
            for job in claimed.message(ClaimAnswer).jobs if claimed.status == 200 else ():
                seen.append(job.sys_id)
                while mid.deliver(job).status != 200:
                    pass

    with ThreadPoolExecutor(8) as pool:
        carrying = [pool.submit(carry, mid) for mid in (*mids, *mids)]
        # the same keys at both nodes: whichever comes first, there is one execution
        calls = [pool.submit(accepted, api, key) for key in keys for api in apis]
        ids = {each.result(60) for each in calls}
        assert len(ids) == count
        pending = set(ids)
        while pending:
            assert not any(each.done() for each in carrying)
            pending = {each for each in pending if apis[0].details(each)["state"] == "In Progress"}
        over.set()
        for each in carrying:
            each.result(30)
    assert {apis[1].details(each)["state"] for each in ids} == {"Completed"}
    if disturb is None:
        assert len(seen) == len(set(seen)) == count


def test_a_job_of_one_node_wakes_a_claim_at_the_other_and_back(apis: tuple[Api, Api], mids: tuple[Mid, Mid]) -> None:
    woken_across(apis, mids)


def test_each_call_is_made_once_whichever_node_is_asked(apis: tuple[Api, Api], mids: tuple[Mid, Mid]) -> None:
    work(apis, mids, 30)


def test_changes_of_one_record_at_two_nodes_are_both_kept(apis: tuple[Api, Api]) -> None:
    profile = apis[0].create("mid_protocol_profile", protocol="both", keystore_path="/x", default_port="1", alias="0")
    path = f"/api/now/table/mid_protocol_profile/{profile['sys_id']}"

    def change(api: Api, column: str) -> None:
        for number in range(2, 22):
            reply = api.request("PATCH", path, json.dumps({column: str(number)}).encode())
            assert reply.status == 200, reply.raw

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(change, *each) for each in zip(apis, ("default_port", "alias"), strict=True)]:
            done.result(60)
    found = apis[1].get(path).json["result"]
    assert (found["default_port"], found["alias"], found["sys_mod_count"]) == ("21", "21", "40")


def test_a_crash_of_the_server_loses_nothing(apis: tuple[Api, Api], mids: tuple[Mid, Mid], server: Cluster) -> None:
    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(work, apis, mids, 40, threading.Event())
        server.restart("immediate")
        working.result(120)
    woken_across(apis, mids)  # both listen again
    assert server.sql("SELECT count(*) FROM execution WHERE state != 'Completed'", "openmid") == [(0,)]
    once = "SELECT count(*) FROM ecc_queue WHERE queue = 'input' AND state = 'processed' GROUP BY response_to"
    assert set(server.sql(once, "openmid")) == {(1,)}


def test_a_change_by_the_command_line_wakes_every_node(nodes: tuple[Node, Node], mids: tuple[Mid, Mid]) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(mids[1].claim, 25_000)
        openmid("mid", "invalidate", "mid1", "--dir", nodes[0].folder)
        assert waiting.result(40).code == "not_validated"


def test_a_backup_is_restored_into_another_database(nodes: tuple[Node, Node], server: Cluster, tmp_path: Path) -> None:
    file, again = tmp_path / "x.tar.gz", tmp_path / "again"
    programs = {"PATH": f"{server.programs}:{os.environ['PATH']}"}
    openmid("backup", file, "--with-secrets", "--dir", nodes[0].folder, **programs)
    said = openmid("restore", file, again).stderr
    assert f"pg_restore --no-owner --dbname URL {again}/openmid.pgdump" in said
    assert "is not told which database to use" in openmid("init", again, expect=1).stderr
    server.sql("CREATE DATABASE again")
    command = [server.programs / "pg_restore", "--no-owner", "--dbname", server.url("again"), again / "openmid.pgdump"]
    subprocess.run(command, check=True)
    openmid("init", again, "--database", server.url("again"))
    counts = [server.sql("SELECT count(*) FROM execution", name) for name in ("openmid", "again")]
    assert counts[0] == counts[1]
    no_dump = openmid("backup", tmp_path / "y.tar.gz", "--dir", nodes[0].folder, expect=1, PATH=str(tmp_path)).stderr
    assert "pg_dump is not on this machine\nhint: apt-get install postgresql-client" in no_dump
