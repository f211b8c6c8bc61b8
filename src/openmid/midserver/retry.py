"""Waiting between attempts: longer each time, never all at the same moment."""

from __future__ import annotations

import random

FIRST, LONGEST = 1.0, 30.0


def chance() -> float:
    """From 0 to 1, by which those who failed together come back apart. Not for secrets."""
    return random.random()  # noqa: S311


class Backoff:
    """Exponential with full jitter above half of each step. Not for secrets: `random` is good enough."""

    def __init__(self, first: float = FIRST, longest: float = LONGEST) -> None:
        self._first = first
        self._longest = longest
        self._attempts = 0

    def reset(self) -> None:
        """It worked."""
        self._attempts = 0

    def next(self) -> float:
        """Seconds to wait before the next attempt."""
        step: float = min(self._longest, self._first * 2**self._attempts)
        self._attempts = min(self._attempts + 1, 10)
        return step * random.uniform(0.5, 1.0)  # noqa: S311
