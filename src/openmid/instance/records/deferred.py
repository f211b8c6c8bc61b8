"""Changes that wait to be written together: rows of one statement go to the database in one go.

A connection's `later` keeps them; whatever reads or changes after it, and the commit, writes them first (`flush`), so
nobody sees that they waited. Between two reads an INSERT may go before what was said earlier, since nobody can have
changed its row; other statements stay behind every INSERT that was said before them.
"""

from __future__ import annotations

from typing import Any

Rows = list[dict[str, Any]]


class Deferred:
    """Statements, and the rows of each."""

    def __init__(self) -> None:
        self._groups: list[tuple[str, Rows]] = []
        self._open: dict[str, Rows] = {}
        self.rows = 0
        """How many there have been."""

    def __bool__(self) -> bool:
        return bool(self._groups)

    def add(self, statement: str, values: dict[str, Any]) -> None:
        """One more row of `statement`."""
        rows = self._open.get(statement)
        if rows is None:
            rows = self._begin(statement)
        rows.append(values)
        self.rows += 1

    def _begin(self, statement: str) -> Rows:
        if statement.startswith("INSERT"):
            self._open = {each: rows for each, rows in self._open.items() if each.startswith("INSERT")}
        rows = self._open[statement] = []
        self._groups.append((statement, rows))
        return rows

    def take(self) -> list[tuple[str, Rows]]:
        """All of them, in the order in which they have to be written; none is left."""
        found, self._groups, self._open = self._groups, [], {}
        return found
