"""Time: integer microseconds UTC since 1970 in the tables that are written often, datetimes elsewhere."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now() -> int:
    """Now, in microseconds."""
    return time.time_ns() // 1000


def moment(microseconds: int) -> datetime:
    """The datetime (UTC) of a time in microseconds."""
    return datetime.fromtimestamp(microseconds / 1_000_000, UTC)


def iso(microseconds: int | None) -> str | None:
    """ISO 8601 with milliseconds and `Z`, as the API writes times."""
    if microseconds is None:
        return None
    return moment(microseconds).isoformat(timespec="milliseconds").replace("+00:00", "Z")
