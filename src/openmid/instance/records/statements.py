"""Files of named SQL statements: `-- name: claim`, a comment that says what for, the statement.

A statement is written once, as SQLite runs it; where PostgreSQL's must differ it follows as `-- name: claim (postgresql)`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.resources import files

import msgspec

_NAME = re.compile(r"^-- name: (\w+)(?: \((postgresql)\))?$", re.MULTILINE)
_WHAT_FOR = re.compile(r"\A(?:\s*--[^\n]*\n)*\s*")


class Statement(str):
    """A statement as SQLite runs it, and as PostgreSQL does."""

    postgresql: str

    def __new__(cls, text: str, postgresql: str = "") -> Statement:
        made = super().__new__(cls, text)
        made.postgresql = postgresql or text
        return made


def statements(package: str, file: str) -> dict[str, Statement]:
    """The statements of one file by name, in the file's order; each begins with its verb, which `Deferred` looks at."""
    parts = _NAME.split((files(package) / file).read_text())[1:]
    found: dict[str, Statement] = {}
    for name, dialect, body in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        text = _WHAT_FOR.sub("", body).rstrip().rstrip(";")
        found[name] = Statement(found[name], text) if dialect else Statement(text)
    return found


def listed(values: Iterable[str]) -> str:
    """Texts as a statement takes them in `SELECT value FROM json_each(:name)`."""
    return msgspec.json.encode(list(values)).decode()
