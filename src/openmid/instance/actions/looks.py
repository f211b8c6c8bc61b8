"""How much of an answer the outputs of a step look at: so many values and elements, and no more (`json_paths`, `xpaths`)."""

from __future__ import annotations

import threading


class TooManyLooks(Exception):
    """Raised when an expression has looked at more than it may."""


class _Left(threading.local):
    def __init__(self) -> None:
        self.looks = [0]


_left = _Left()


def allow(looks: int) -> None:
    """So many looks, for all that this thread evaluates until the next `allow`."""
    _left.looks = [looks]


def left() -> list[int]:
    """What is left of them, for whoever counts down by himself."""
    return _left.looks


def spend(looks: int) -> None:
    """So many are about to be.

    Raises:
        TooManyLooks.
    """
    count = _left.looks
    count[0] -= looks
    if count[0] < 0:
        raise TooManyLooks
