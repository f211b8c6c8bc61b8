"""How often somebody may be wrong about a password: less and less often.

Failures are counted for the user name from one address, for the address, and for the user name from anywhere; each has
a number that costs nothing. After it every further failure doubles the time to wait, to `LONGEST_S` at most. A success
forgets what the name and the address had together. In memory, and bounded: a restart forgives.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from openmid.instance.errors import InstanceError

FREE_PAIR, FREE_ADDRESS, FREE_NAME = 5, 50, 100
FIRST_S, LONGEST_S = 2.0, 900.0
FORGET_S = 3600.0
MOST_KEYS = 20_000


class TooManyAttempts(InstanceError):
    """Raised instead of looking at a password; `seconds` from now it will be looked at."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"too many failed sign-ins: wait {seconds} seconds", "or ask an administrator for a password")
        self.seconds = seconds


@dataclass
class _Count:
    failures: int
    last: float
    until: float


class Throttle:
    """Counts failures. `clock` is in seconds and never goes back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: OrderedDict[tuple[str, str], _Count] = OrderedDict()

    def check(self, name: str, address: str, *, known: bool = False) -> None:
        """May this password be looked at now? `known`: it was right from this address a moment ago, so that wrong ones
        of others, or for other names, hold nobody up.

        Raises:
            TooManyAttempts: no.
        """
        now, keys = self._clock(), [(name[:150], address)] if known else _keys(name, address)
        with self._lock:
            until = max((self._counts[key].until for key in keys if key in self._counts), default=0.0)
        if until > now:
            raise TooManyAttempts(int(until - now) + 1)

    def failed(self, name: str, address: str) -> None:
        """The password was wrong."""
        now = self._clock()
        with self._lock:
            for key, free in _keys(name, address).items():
                self._count(key, free, now)
            while len(self._counts) > MOST_KEYS:
                self._counts.popitem(last=False)

    def passed(self, name: str, address: str) -> None:
        """The password was right."""
        with self._lock:
            self._counts.pop((name[:150], address), None)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._counts.clear()

    def _count(self, key: tuple[str, str], free: int, now: float) -> None:
        before = self._counts.pop(key, None)
        failures = before.failures + 1 if before and now - before.last < FORGET_S else 1
        over = failures - free
        wait = min(FIRST_S * 2.0 ** min(over - 1, 20), LONGEST_S) if over > 0 else 0.0
        self._counts[key] = _Count(failures, now, now + wait if wait else 0.0)


def _keys(name: str, address: str) -> dict[tuple[str, str], int]:
    """What a failure counts for, and how many failures of it are free."""
    name = name[:150]
    return {(name, address): FREE_PAIR, ("", address): FREE_ADDRESS, (name, ""): FREE_NAME}


throttle = Throttle()
"""This process's."""
