"""What all tests share."""

from __future__ import annotations

LONGEST_ID = 100


def pytest_make_parametrize_id(val: object) -> str | None:
    """A text of 400,000 characters is a value, and no part of a name that every worker reports and is told again."""
    if isinstance(val, str | bytes) and len(val) > LONGEST_ID:
        return f"{len(val)} {'characters' if isinstance(val, str) else 'bytes'}"
    return None
