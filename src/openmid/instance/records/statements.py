"""Files of named SQL statements: `-- name: claim`, a comment that says what for, the statement."""

from __future__ import annotations

import re
from importlib.resources import files

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def statements(package: str, file: str) -> dict[str, str]:
    """The statements of one file by name, in the file's order."""
    parts = _NAME.split((files(package) / file).read_text())[1:]
    return {name: body.strip().rstrip(";") for name, body in zip(parts[::2], parts[1::2], strict=True)}
