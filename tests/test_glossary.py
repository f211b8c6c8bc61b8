"""One word for one thing: what the glossary's `not` column forbids is the name of nothing in src."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def forbidden() -> list[str]:
    rows = re.findall(r"^\|([^|]+)\|([^|]+)\|[^|]+\|$", (ROOT / "docs" / "glossary.md").read_text(), re.MULTILINE)
    return sorted({word.strip() for _, words in rows[2:] for word in words.split(",")})


@cache
def names() -> list[tuple[str, Path]]:
    """What is defined in src, as the glossary spells it, and where."""
    return list(_names())


def _names() -> Iterator[tuple[str, Path]]:
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield spelled(node.name), path


def spelled(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def test_the_table_is_read() -> None:
    assert {"worker node", "passphrase", "job type"} <= set(forbidden())


@pytest.mark.parametrize("word", forbidden())
def test_nothing_is_called_by_another_word(word: str) -> None:
    pattern = re.compile(rf"(^|_){re.escape(word.lower().replace(' ', '_').replace('-', '_'))}(_|$)")
    assert [f"{path.relative_to(ROOT)}: {name}" for name, path in names() if pattern.search(name)] == []
