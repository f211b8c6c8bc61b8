"""What goes wrong, each for a moment: one stroke. A stroke leaves the world as `World.up` makes it whole."""

from __future__ import annotations

import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.chaos.client import DRIPPING
from tests.chaos.disks import MEGABYTE, Disk
from tests.chaos.network import Network
from tests.chaos.world import NAMES, World

Fault = Callable[[World], None]
LIBFAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
POSTGRESQL = Path("/usr/lib/postgresql")


def kill(world: World) -> None:
    """One of the three ends by kill -9 and begins anew, a moment later."""
    name = world.rng.choice(NAMES)
    world.log(f"kill -9 {name}")
    world.kill(name)
    time.sleep(world.rng.random() * 0.5)
    world.start(name)


def freeze(world: World) -> None:
    """SIGSTOP for some seconds."""
    name, seconds = world.rng.choice(NAMES), world.rng.uniform(1, 6)
    world.log(f"freeze {name} for {seconds:.1f} s")
    world.signal(name, signal.SIGSTOP)
    time.sleep(seconds)


def slow(world: World) -> None:
    """A slow network."""
    for proxy in (world.to_instance, world.to_partner):
        proxy.delay, proxy.bandwidth = world.rng.uniform(0, 0.2), world.rng.choice((0, 20_000, 200_000))
    world.log("slow networks")
    time.sleep(4)


def lossy(world: World) -> None:
    """Connections end in the middle of a message."""
    for proxy in (world.to_instance, world.to_partner):
        proxy.loss = world.rng.choice((0.02, 0.2))
    world.log("connections end in the middle of a message")
    time.sleep(4)


def cut(world: World) -> None:
    """Nothing comes through, and nobody is told."""
    proxy = world.rng.choice((world.to_instance, world.to_partner))
    world.log("a network is cut in a proxy")
    proxy.cut = True
    time.sleep(world.rng.uniform(2, 8))


def network(world: World) -> None:
    """A link of the MID Server's network namespace: its cable is out, or what is sent is gone and nobody is told."""
    assert world.network
    which = world.rng.choice(("instance", "partner"))
    how = world.rng.choice((world.network.down, world.network.swallow))
    seconds = world.rng.choice((1, 4, 8, 20))
    world.log(f"the link to the {which} is cut ({how.__name__}) for {seconds} s")
    how(world.network.instance if which == "instance" else world.network.partner)
    time.sleep(seconds)


def drip(world: World) -> None:
    """A partner that answers byte by byte, and whoever waits for it is killed, or not, in the middle."""
    name = world.rng.choice((*NAMES, "nobody"))
    world.log(f"the partner answers byte by byte; {name} is killed")
    world.client.weights = DRIPPING
    time.sleep(world.rng.uniform(1, 3))
    if name in NAMES:
        world.kill(name)
        world.start(name)
    time.sleep(1)


def full(world: World) -> None:
    """A full disk, under the MID Server's work folder (1 MB) or under the instance's whole folder."""
    name, seconds = world.rng.choice(sorted(world.disks)), world.rng.uniform(3, 9)
    world.log(f"the disk of the {name} is full for {seconds:.1f} s")
    if name == "mid":
        world.disks[name].fill()
    else:
        world.disks[name].shrink()
    time.sleep(seconds)
    if world.rng.random() < 0.5:
        world.log(f"kill -9 {name}, its disk being full")
        world.kill(name)
        world.disks[name].heal()
        world.start(name)


def database(world: World) -> None:
    """PostgreSQL goes, as it is told to or by a crash, and comes back."""
    mode, seconds = world.rng.choice(("fast", "immediate")), world.rng.choice((0, 1, 5, 12))
    world.log(f"PostgreSQL is stopped ({mode}) and away for {seconds} s")
    world.cluster.stop(mode)
    time.sleep(seconds)
    world.cluster.start()
    time.sleep(1)


def clock(world: World) -> None:
    """The clock of the instance or the MID Server is off from its start, then jumps while it runs (libfaketime)."""
    name, hours = world.rng.choice(("instance", "mid")), world.rng.choice((-2, -1, 1, 2))
    world.log(f"the clock of the {name} is off by {hours} h, then by {-hours} h")
    said = world.walk.folder / "clock"
    said.write_text(f"{hours:+d}h\n")
    fake = {"LD_PRELOAD": str(LIBFAKETIME), "FAKETIME_TIMESTAMP_FILE": str(said), "FAKETIME_CACHE_DURATION": "1"}
    world.environment[name] = fake | {"FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_DISABLE_SHM": "1"}
    world.kill(name)
    world.start(name)
    time.sleep(6)
    said.write_text(f"{-hours:+d}h\n")
    time.sleep(6)
    world.environment.pop(name)
    world.kill(name)
    world.start(name)


FAULTS: dict[str, Fault] = {
    each.__name__: each for each in (kill, freeze, slow, lossy, cut, network, drip, full, clock, database)
}
KILLING = {"kill", "drip", "full", "clock", "mixed"}
"""After these a process need not be the one that it was."""


def unavailable(name: str) -> str:
    """Why a fault cannot be had on this machine; empty: it can."""
    if name == "database" and not list(POSTGRESQL.glob("*/bin/pg_ctl")):
        return "there is no PostgreSQL (Debian package postgresql)"
    if name == "clock" and not LIBFAKETIME.exists():
        return "there is no libfaketime (Debian package libfaketime)"
    try:
        with tempfile.TemporaryDirectory() as folder:
            if name == "network":
                Network(Path(folder)).close()
            elif name == "full":
                Disk(Path(folder) / "disk", MEGABYTE).close()
    except FileNotFoundError as error:
        return f"there is no {error.filename} (Debian package iproute2)"
    except subprocess.CalledProcessError as error:
        return f"{' '.join(error.cmd[:3])} is refused: {error.stderr.strip()}"
    return ""
