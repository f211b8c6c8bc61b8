"""Instance, MID Server and partner as processes of their own, with a proxy before each of the two that are called."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from openmid.demo import partner, processes, walk
from openmid.demo.stage import Stage
from openmid.demo.walk import Walk
from openmid.midserver.config import Config
from tests.chaos.client import Client
from tests.chaos.proxy import Proxy

NAMES = ("instance", "mid", "partner")
MOST_SECONDS = 90


@dataclass
class World:
    """What runs. `log` tells each fault as it happens."""

    walk: Walk
    rng: random.Random
    to_instance: Proxy
    to_partner: Proxy
    client: Client
    commands: dict[str, list[str]]
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    environment: dict[str, dict[str, str]] = field(default_factory=dict)
    kills: int = 0

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
        """Whatever ended runs again; the world is whole."""
        self.to_instance.heal()
        self.to_partner.heal()
        for name in NAMES:
            self.signal(name, signal.SIGCONT) if self.running[name].poll() is None else self.start(name)

    def settled(self) -> bool:
        """Whether the instance answers and the MID Server is Up."""
        with contextlib.suppress(Exception):
            assert self.walk.api
            mid = self.walk.api.find("ecc_agent", name=walk.MID_NAME)
            return bool(mid and mid["status"] == "Up")
        return False


@contextlib.contextmanager
def world(folder: Path, seed: int, *, fips: bool) -> Iterator[World]:
    """The demo's walk, its processes then ours to kill."""
    rng = random.Random(seed)
    with contextlib.ExitStack() as stack:
        this = Walk(folder, Stage(to_stderr=True, without_fips=not fips), fips=fips, stack=stack)
        walk.start_instance(this)
        walk.install_mid(this)
        if fips:
            walk.enforce_fips(this)
        walk.convert_keystore(this)
        walk.stop_mid(this)
        found = _world(this, rng)
        stack.callback(lambda: [found.end(name) for name in ("mid", "instance", "partner")])
        found.start("partner")
        found.start("mid")
        walk.make_records(this)
        _take_over(this, found)
        yield found


def _world(this: Walk, rng: random.Random) -> World:
    assert this.certificates
    made, port = this.certificates, partner.free_port()
    instance = urlsplit(this.url).port or 443
    to_instance, to_partner = Proxy(instance, rng), Proxy(port, rng)
    this.partner_port = to_partner.port
    _configure(this, to_instance.port, to_partner.port)
    token = processes.openmid("instance", "token", "create", "chaos", "--dir", str(this.instance), "--user", walk.ADMIN)
    files = [str(each) for each in (made.server, made.server_key, made.ca, this.folder / "counts")]
    commands = {
        "instance": [*processes.OPENMID, "instance", "run", str(this.instance)],
        "mid": [*processes.OPENMID, "mid", "run", "--dir", str(this.agent)],
        "partner": [sys.executable, "-m", "tests.chaos.partner", str(port), *files],
    }
    client = Client(instance, this.instance / "tls/ca.pem", token, rng)
    return World(this, rng, to_instance, to_partner, client, commands)


def _configure(this: Walk, instance: int, called: int) -> None:
    path = this.agent / "config.xml"
    rule = f'<allow host="127.0.0.1" port="{called}"/>'
    path.write_text(path.read_text().replace("</egress>", f"  {rule}\n  </egress>", 1))
    config = Config.read(this.agent)
    config.set_parameter("url", f"https://localhost:{instance}")
    config.save()


def _take_over(this: Walk, found: World) -> None:
    """The walk's instance ends; from now on it is the world's."""
    for pid in (int(each.name) for each in Path("/proc").iterdir() if each.name.isdecimal()):
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if words[-4:-1] == [b"instance", b"run", str(this.instance).encode()]:
                os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + MOST_SECONDS
    time.sleep(3)
    found.start("instance")
    while not found.settled() and time.monotonic() < deadline:
        time.sleep(0.2)
