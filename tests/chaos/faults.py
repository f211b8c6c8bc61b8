"""What goes wrong, each for a moment. A fault leaves the world as `World.up` makes it whole."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

from tests.chaos.world import NAMES, World

Fault = Callable[[World], None]
LIBFAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")


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
    world.log("a network is cut")
    proxy.cut = True
    time.sleep(world.rng.uniform(2, 8))


def clock(world: World) -> None:
    """The instance or the MID Server begins anew with a clock that is off, for its process alone (libfaketime)."""
    name, hours = world.rng.choice(("instance", "mid")), world.rng.choice((-2, -1, 1, 2))
    world.log(f"the clock of the {name} is off by {hours} h")
    fake = {"LD_PRELOAD": str(LIBFAKETIME), "FAKETIME": f"{hours:+d}h", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    world.environment[name] = fake
    world.kill(name)
    world.start(name)
    time.sleep(8)
    world.environment.pop(name)
    world.kill(name)
    world.start(name)


FAULTS: dict[str, Fault] = {each.__name__: each for each in (kill, freeze, slow, lossy, cut, clock)}


def unavailable(name: str) -> str:
    """What is missing on this machine for a fault."""
    return "libfaketime (Debian package libfaketime)" if name == "clock" and not LIBFAKETIME.exists() else ""
