"""Instance, MID Server and partner as processes of their own, with a proxy before each of the two that are called.

Where it may, the MID Server has a network namespace of its own, and small disks that can be filled lie under the folders.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from openmid.demo import partner, processes, walk
from openmid.demo.stage import Stage
from openmid.demo.walk import Walk
from openmid.midserver.config import Config
from tests.chaos import database
from tests.chaos import partner as called
from tests.chaos.client import USUAL, Client
from tests.chaos.disks import MEGABYTE, Disk
from tests.chaos.measure import Held, held
from tests.chaos.network import Network
from tests.chaos.proxy import Proxy

NAMES = ("instance", "mid", "partner")
OURS = ("instance", "mid")
MOST_SECONDS = 90
FLOW = 100
"""Bytes of the partner's count: about five calls."""
INSTANCE_DISK, MID_DISK = 1024 * MEGABYTE, MEGABYTE


@dataclass(frozen=True)
class Wish:
    """What a world should have. `lease`: seconds instead of the product's; 0: the product's."""

    seed: int
    fips: bool = True
    namespace: bool = False
    small_disks: bool = False
    postgresql: bool = False
    lease: float = 0


@dataclass
class World:
    """What runs, and what was seen of it. `log` tells each fault as it happens."""

    walk: Walk
    rng: random.Random
    to_instance: Proxy
    to_partner: Proxy
    client: Client
    commands: dict[str, list[str]]
    rows: database.Rows
    damage: Callable[[], str]
    network: Network | None = None
    cluster: Any = None
    """PostgreSQL's, where the records are there (tests.postgresql.Cluster)."""
    disks: dict[str, Disk] = field(default_factory=dict)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    environment: dict[str, dict[str, str]] = field(default_factory=dict)
    kills: int = 0
    faults: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    """Ends that were nobody's stroke."""
    outcomes: dict[str, str] = field(default_factory=dict)
    before: dict[str, Held] = field(default_factory=dict)
    known_files: set[Path] = field(default_factory=set)

    @property
    def counts(self) -> Path:
        return self.walk.folder / "counts"

    def log(self, sentence: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {sentence}", file=sys.stderr, flush=True)

    def start(self, name: str) -> None:
        """The process, not waited for."""
        with (self.walk.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                self.commands[name],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.environment.get(name, {})},
            )

    def kill(self, name: str) -> None:
        """kill -9."""
        self.running[name].kill()
        self.running[name].wait()
        self.kills += 1

    def signal(self, name: str, number: signal.Signals) -> None:
        self.running[name].send_signal(number)

    def end(self, name: str) -> None:
        """SIGTERM, and its end."""
        if name in self.running:
            processes.stop(self.running.pop(name))

    def up(self) -> None:
        """The world is whole. Whatever ended runs again, and is a finding where it ended by itself."""
        for proxy in (self.to_instance, self.to_partner):
            proxy.heal()
        if self.network:
            self.network.heal()
        for disk in self.disks.values():
            disk.heal()
        self.client.weights = USUAL
        for name in NAMES:
            status = self.running[name].poll()
            if status is None:
                self.signal(name, signal.SIGCONT)
            else:
                self.ended.append(f"{name} ended by itself, status {status}: see {name}.log")
                self.start(name)

    def settled(self) -> bool:
        """Whether the instance answers and the MID Server is Up."""
        with contextlib.suppress(Exception):
            assert self.walk.api
            mid = self.walk.api.find("ecc_agent", name=walk.MID_NAME)
            return bool(mid and mid["status"] == "Up")
        return False

    def flowing(self, seconds: float) -> None:
        """Wait until calls reach the partner again: whoever is killed while it starts is killed in nothing."""
        before, until = self.counts.stat().st_size, time.monotonic() + seconds
        while self.counts.stat().st_size < before + FLOW and time.monotonic() < until:
            time.sleep(0.02)

    def settle(self) -> None:
        """Wait until it is."""
        deadline = time.monotonic() + MOST_SECONDS
        while not self.settled() and time.monotonic() < deadline:
            time.sleep(0.2)

    def held(self) -> dict[str, Held]:
        """What instance and MID Server hold now."""
        return {name: held(self.running[name].pid) for name in OURS}

    def files(self) -> set[Path]:
        """Every file of ours."""
        folders = (self.walk.instance, self.walk.agent)
        return {each for folder in folders for each in folder.rglob("*") if each.is_file() and not _meant(each)}


def _meant(path: Path) -> bool:
    """Log files that are turned over, and what a running process has."""
    return path.parent.name == "logs" or path.name in ("openmid.sqlite3-wal", "openmid.sqlite3-shm", "status.json")


@contextlib.contextmanager
def world(folder: Path, wish: Wish) -> Iterator[World]:
    """The demo's walk, its processes then ours to kill."""
    with contextlib.ExitStack() as stack:
        this = Walk(folder, Stage(to_stderr=True, without_fips=not wish.fips), fips=wish.fips, stack=stack)
        cluster = _cluster(this, stack) if wish.postgresql else None
        here = wish.small_disks and cluster is None
        disks = {"instance": _disk(stack, this.instance, INSTANCE_DISK)} if here else {}
        walk.start_instance(this)
        walk.install_mid(this)
        if wish.fips:
            walk.enforce_fips(this)
        walk.convert_keystore(this)
        walk.stop_mid(this)
        if wish.small_disks:
            disks["mid"] = _disk(stack, this.agent / "work", MID_DISK)
        network = Network(folder) if wish.namespace else None
        if network:
            stack.callback(network.close)
        found = _world(this, wish, network)
        found.disks = disks
        if cluster:
            found.cluster = cluster
            found.rows = lambda statement: cluster.sql(statement, database.NAME)
            found.damage = lambda: database.postgresql_damage(cluster)
        stack.callback(lambda: [found.end(name) for name in ("mid", "instance", "partner")])
        found.start("partner")
        _take_over(this, found)
        found.start("mid")
        walk.make_records(this)
        _with_password(this)
        found.settle()
        found.known_files = found.files()
        yield found


def _cluster(this: Walk, stack: contextlib.ExitStack) -> Any:
    """A PostgreSQL of the world's own."""
    from tests import postgresql  # psycopg is not everywhere

    cluster = stack.enter_context(postgresql.running(database.DURABLE))
    cluster.sql(f"CREATE DATABASE {database.NAME}")
    this.database = cluster.url(database.NAME)
    return cluster


def _disk(stack: contextlib.ExitStack, path: Path, size: int) -> Disk:
    made = Disk(path, size)
    stack.callback(made.close)
    return made


def _world(this: Walk, wish: Wish, network: Network | None) -> World:
    assert this.certificates
    rng = random.Random(wish.seed)
    made, port, instance = this.certificates, partner.free_port(), urlsplit(this.url).port or 443
    here = (network.instance.address, network.partner.address) if network else ("127.0.0.1", "127.0.0.1")
    to_instance, to_partner = Proxy(instance, rng, here[0]), Proxy(port, rng, here[1])
    this.partner_port = to_partner.port
    _configure(this, "instance.chaos" if network else "localhost", to_instance.port, here[1], to_partner.port)
    token = processes.openmid("instance", "token", "create", "chaos", "--dir", str(this.instance), "--user", walk.ADMIN)
    files = [str(each) for each in (made.server, made.server_key, made.ca, this.folder / "counts")]
    openmid = [sys.executable, "-m", "tests.chaos.instance", str(wish.lease)] if wish.lease else processes.OPENMID
    mid = [*processes.OPENMID, "mid", "run", "--dir", str(this.agent)]
    commands = {
        "instance": [*openmid, "instance", "run", str(this.instance)],
        "mid": network.command(mid) if network else mid,
        "partner": [sys.executable, "-m", "tests.chaos.partner", str(port), *files],
    }
    client = Client(instance, this.instance / "tls/ca.pem", token, rng)
    rows = database.sqlite_rows(this.instance / "openmid.sqlite3")
    damage = lambda: database.sqlite_damage(rows)  # noqa: E731
    return World(this, rng, to_instance, to_partner, client, commands, rows, damage, network)


def _configure(this: Walk, name: str, instance: int, address: str, called_at: int) -> None:
    """The instance's name for its certificate; in config.xml the way to the instance, and that the partner may be called."""
    settings: dict[str, Any] = json.loads((this.instance / "instance.json").read_text())
    settings["public_names"] = list(dict.fromkeys([*settings["public_names"], name]))
    (this.instance / "instance.json").write_text(json.dumps(settings))
    path = this.agent / "config.xml"
    rule = f'<allow host="{address}" port="{called_at}"/>'
    path.write_text(path.read_text().replace("</egress>", f"  {rule}\n  </egress>", 1))
    config = Config.read(this.agent)
    config.set_parameter("url", f"https://{name}:{instance}")
    config.save()


def _with_password(this: Walk) -> None:
    """The partner wants one besides the certificate; it is a canary."""
    api = walk.api(this)
    kept = api.create(
        "basic_auth_credentials", name="Partner", user_name=called.USER, password=called.PASSWORD, active="true"
    )
    connection = api.find("http_connection", name="Partner")
    assert connection
    api.change("http_connection", connection["sys_id"], credential=kept["sys_id"])


def _take_over(this: Walk, found: World) -> None:
    """The walk's instance ends; from now on it is the world's."""
    for pid in (int(each.name) for each in Path("/proc").iterdir() if each.name.isdecimal()):
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if words[-4:-1] == [b"instance", b"run", str(this.instance).encode()]:
                os.kill(pid, signal.SIGTERM)
                os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    found.start("instance")
    deadline = time.monotonic() + MOST_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(Exception):
            walk.api(this).call("GET", "/health")
            return
        time.sleep(0.1)
