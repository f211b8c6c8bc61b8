"""Which processes speak as one MID Server. Pure: a heartbeat and what was known in, what is known out.

A restart brings a process that was not there before, and the one before it is silent from then on. Where copies of one agent
folder run, with one credential, an earlier process speaks again, and again. Told by `started`, which a process keeps for
its life, and by the order in which heartbeats arrive: no clock is compared with another, and none that jumps matters.
"""

from __future__ import annotations

import msgspec

from openmid.instance.records import clock
from openmid.wire.messages import Heartbeat

RETURNS = 3
"""A heartbeat that arrives late, after the first of the process that followed, makes two: there and back."""
GONE = 12
"""Heartbeats of the others after which a process counts as gone: about a minute."""
KEPT = 8
NAMED = 3


class Process(msgspec.Struct, frozen=True, array_like=True):
    """One that sent heartbeats: `silent` is how many others have sent since, `returns` how often it came back."""

    started: int
    host_name: str
    silent: int = 0
    returns: int = 0


def heard(known: list[Process], message: Heartbeat) -> list[Process]:
    """The processes that are there, the one that has sent `message` first."""
    before = next((each for each in known if each.started == message.started), None)
    others = [
        msgspec.structs.replace(each, silent=each.silent + 1)
        for each in known
        if each is not before and each.silent + 1 < GONE
    ]
    came_back = before is not None and before is not known[0]
    returns = (before.returns if before else 0) + came_back if others else 0  # alone: what was is over
    return [Process(message.started, message.host_name, 0, returns), *others][:KEPT]


def copies(known: list[Process]) -> list[Process]:
    """Those that take turns, in the order of their starts; empty where one process was followed by another for good."""
    if len(known) < 2 or sum(each.returns for each in known) < RETURNS:
        return []
    back = [each for each in known if each.returns]
    return sorted(back if len(back) > 1 else known[:2], key=lambda each: each.started)


def sentence(name: str, known: list[Process]) -> str:
    """What is wrong on the MID Server `name`, where, and what to do; empty: nothing."""
    found = copies(known)
    if not found:
        return ""
    where = " and ".join(f"{each.host_name[:40]} (since {_moment(each.started)})" for each in found[:NAMED])
    return f"{name}: copies of its agent folder run at once: stop all but one, install the others anew: {where}"


def _moment(microseconds: int) -> str:
    try:
        return f"{clock.moment(microseconds):%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError, OSError):
        return "an unknown time"  # no clock says this; the heartbeat does
