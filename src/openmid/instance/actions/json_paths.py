"""JSON paths (RFC 9535) that look at so many values and no more: a step's outputs are read beside everybody's calls.

The package evaluates a path by generators, one for each segment. Here a segment pays before it looks: one for each of its
selectors, and for those that go through all the children, one for each child (a condition costs as much as it is long).
A path without a choice is walked without generators.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from jsonpath_rfc9535 import JSONPathEnvironment, JSONPathNode
from jsonpath_rfc9535.exceptions import JSONPathRecursionError
from jsonpath_rfc9535.parse import Parser
from jsonpath_rfc9535.query import JSONPathQuery
from jsonpath_rfc9535.segments import JSONPathChildSegment, JSONPathRecursiveDescentSegment, JSONPathSegment
from jsonpath_rfc9535.selectors import FilterSelector, IndexSelector, JSONPathSelector, NameSelector
from jsonpath_rfc9535.tokens import TokenStream

from openmid.instance.actions import looks
from openmid.instance.actions.looks import TooManyLooks

MOST_DEEP = 100
OPERATION = 4
"""Characters of a condition that count as one look."""


def _a_child(selectors: Sequence[JSONPathSelector]) -> int:
    """What a segment pays for each child of a node."""
    return sum(
        1 + len(str(each.expression)) // OPERATION if isinstance(each, FilterSelector) else 1
        for each in selectors
        if not isinstance(each, NameSelector | IndexSelector)
    )


class _Child(JSONPathChildSegment):
    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.a_child = _a_child(self.selectors)

    def resolve(self, nodes: Iterable[JSONPathNode]) -> Iterator[JSONPathNode]:
        left, each, a_child = looks.left(), len(self.selectors), self.a_child
        for node in nodes:
            left[0] -= each + (a_child * len(node.value) if a_child and isinstance(node.value, dict | list) else 0)
            if left[0] < 0:
                raise TooManyLooks
            for selector in self.selectors:
                yield from selector.resolve(node)


class _Descent(JSONPathRecursiveDescentSegment):
    """By a stack of its own: the package's way hands each value on through as many generators as it is deep."""

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.a_child = 1 + _a_child(self.selectors)

    def resolve(self, nodes: Iterable[JSONPathNode]) -> Iterator[JSONPathNode]:
        left, each, a_child = looks.left(), len(self.selectors), self.a_child
        for top in nodes:
            waiting = [(top, 1)]
            while waiting:
                node, depth = waiting.pop()
                value: Any = node.value
                children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
                left[0] -= each + a_child * len(children)
                if left[0] < 0:
                    raise TooManyLooks
                if depth > MOST_DEEP:
                    raise JSONPathRecursionError("nested too deeply", token=self.token)
                for selector in self.selectors:
                    yield from selector.resolve(node)
                below = [
                    (JSONPathNode(value=child, location=(), parent=None, root=node.root), depth + 1)
                    for child in children
                    if isinstance(child, dict | list)
                ]
                below.reverse()
                waiting += below


class _Parser(Parser):
    def parse_query(self, stream: TokenStream, *, in_filter: bool = False) -> Iterator[JSONPathSegment]:
        for each in super().parse_query(stream, in_filter=in_filter):
            kind = _Descent if isinstance(each, JSONPathRecursiveDescentSegment) else _Child
            yield kind(env=each.env, token=each.token, selectors=each.selectors)


class _Paths(JSONPathEnvironment):
    parser_class = _Parser


_PATHS = _Paths()
for _name in ("match", "search"):  # a pattern may take longer than any answer is worth
    _PATHS.function_extensions.pop(_name)


class Path:
    """A path; `singular`: it leads to one value at most."""

    def __init__(self, query: JSONPathQuery) -> None:
        self._query = query
        self.singular = query.singular_query()
        self._way = [_key(each.selectors[0]) for each in query.segments] if self.singular else []

    def values(self, document: Any) -> Iterator[Any]:
        """The values that it leads to; after `looks.allow`.

        Raises:
            TooManyLooks, JSONPathError, RecursionError.
        """
        if not self.singular:
            return (node.value for node in self._query.finditer(document))
        for key in self._way:
            kind: type[Any] = dict if isinstance(key, str) else list
            if not isinstance(document, kind):
                return iter(())
            try:
                document = document[key]
            except LookupError:
                return iter(())
        return iter((document,))


def _key(selector: JSONPathSelector) -> str | int:
    assert isinstance(selector, NameSelector | IndexSelector)
    return selector.name if isinstance(selector, NameSelector) else selector.index


@lru_cache(maxsize=256)
def compiled(expression: str) -> Path:
    """A path, compiled.

    Raises:
        JSONPathError: it is none.
    """
    return Path(_PATHS.compile(expression))
