"""Claims that wait inside the writer: a job is put, and given to the MID Server that waits for it, in one commit.

A claim that found nothing stands here under the key by which it would be woken. When a transaction's units are to wake that
key, the claim's unit runs at the end of the same transaction: one wait for the disk less for each call.
"""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from openmid.instance.records.database import Connection


class Claim:
    """A unit that stands, and what it brought."""

    def __init__(self, unit: Callable[[Connection], Any]) -> None:
        self.unit = unit
        self.future: Future[Any] = Future()

    @property
    def taken(self) -> bool:
        """Whether a transaction has run it: what it brings will come."""
        return self.future.running() or (self.future.done() and not self.future.cancelled())


class Standing:
    """The claims that stand, by key; any thread may take them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._claims: defaultdict[str, deque[Claim]] = defaultdict(deque)

    @contextmanager
    def of(self, key: str, unit: Callable[[Connection], Any], when_done: Callable[[], None]) -> Iterator[Claim]:
        """A claim that stands until it is taken, or until the end of the context. `when_done` is called, in whatever
        thread, when it has brought something."""
        claim = Claim(unit)
        claim.future.add_done_callback(lambda _: when_done())
        with self._lock:
            self._claims[key].append(claim)
        try:
            yield claim
        finally:
            claim.future.cancel()  # unless it was taken
            with self._lock:
                if claim in self._claims[key]:
                    self._claims[key].remove(claim)
                if not self._claims[key]:
                    del self._claims[key]

    def take(self, keys: Iterable[str]) -> list[Claim]:
        """One claim of each key, if there is one, whose unit the caller now runs."""
        with self._lock:
            found = [self._claims[key].popleft() for key in dict.fromkeys(keys) if self._claims.get(key)]
        return [claim for claim in found if claim.future.set_running_or_notify_cancel()]
