"""Wake-ups: who waits for work, an execution's end, or a new configuration. Polling is the truth; these shorten the wait.

Keys are `mid:<sys_id>` and `execution:<sys_id>`. Any thread wakes; event loops wait.
"""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Waiting = tuple[asyncio.AbstractEventLoop, int, Callable[[], None]]
"""A loop, its thread, and what is called there."""


class Wakeups:
    """Events by key, across threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: defaultdict[str, set[Waiting]] = defaultdict(set)
        self.stopping = False

    @contextmanager
    def waiting(self, key: str) -> Iterator[asyncio.Event]:
        """An event that `wake(key)` sets. Look for what you wait for after entering, so that no wake-up is lost."""
        event = asyncio.Event()
        with self.telling(key, event.set):
            yield event

    @contextmanager
    def telling(self, key: str, tell: Callable[[], None]) -> Iterator[None]:
        """The same for a function, which is called in this loop."""
        entry = (asyncio.get_running_loop(), threading.get_ident(), tell)
        with self._lock:
            self._waiting[key].add(entry)
        try:
            yield
        finally:
            with self._lock:
                self._waiting[key].discard(entry)
                if not self._waiting[key]:
                    del self._waiting[key]

    def wake(self, *keys: str) -> None:
        """Wake those who wait for any of `keys`."""
        with self._lock:
            entries = [entry for key in keys for entry in self._waiting.get(key, ())]
        self._tell(entries)

    def wake_all(self) -> None:
        """Wake everyone: configurations have changed, or the instance stops."""
        with self._lock:
            entries = [entry for waiting in self._waiting.values() for entry in waiting]
        self._tell(entries)

    def stop(self) -> None:
        """The instance stops: held requests are answered now."""
        self.stopping = True
        self.wake_all()

    @staticmethod
    def _tell(entries: list[Waiting]) -> None:
        here = threading.get_ident()
        for loop, thread, tell in entries:
            if thread == here:
                tell()
            elif not loop.is_closed():
                loop.call_soon_threadsafe(tell)


wakeups = Wakeups()
