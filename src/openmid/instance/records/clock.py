"""Time: integer microseconds UTC since 1970 in the tables that are written often, datetimes elsewhere.

Within a process time never jumps: it is the monotonic clock's, put beside the wall clock once. When somebody moves the wall
clock, `jump` says by how much; whoever keeps times that were promised (`ecc.clock_jump`) moves them along and calls
`follow`. So a lease lasts as long as was said, whatever happens to the machine's clock.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import lru_cache

_offset_ns = time.time_ns() - time.monotonic_ns()


def now() -> int:
    """Now, in microseconds."""
    return (time.monotonic_ns() + _offset_ns) // 1000


def jump() -> int:
    """How far the wall clock has moved away from `now` since it was last followed, in microseconds; negative: back."""
    return time.time_ns() // 1000 - now()


def follow(microseconds: int) -> None:
    """Go with the wall clock."""
    global _offset_ns
    _offset_ns += microseconds * 1000


def moment(microseconds: int) -> datetime:
    """The datetime (UTC) of a time in microseconds."""
    return datetime.fromtimestamp(microseconds / 1_000_000, UTC)


def iso(microseconds: int | None) -> str | None:
    """ISO 8601 with milliseconds and `Z`, as the API writes times."""
    if microseconds is None:
        return None
    second, rest = divmod(microseconds, 1_000_000)
    return f"{_second(second)}.{rest // 1000:03}Z"


@lru_cache(256)
def _second(second: int) -> str:
    """Most times that are written belong to the same few seconds."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
