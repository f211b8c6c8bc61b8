"""XPath 1.0 over a partner's XML, at a price that is asked before: a step's outputs are read beside everybody's calls."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property, lru_cache
from typing import Any

from lxml import etree

from openmid.instance.actions.looks import spend
from openmid.wire import charsets

QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_STRING = etree.XPath("string()", smart_strings=False)
_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
_NODE_TEST = re.compile(r"\b(text|node|comment)\s*\(\s*\)")
_COMPARED = re.compile(r"!=|<=|>=|=|<|>")
_ONE = r"(?:''|-?[\d.]+|\.|@[\w:.-]+)"
_CALL = r"\b(?!(?:or|and|div|mod|id)\s*\()[a-z-]+\("
_WITH_ONE = re.compile(
    rf"(?:(?<![\w/.*:-]){_ONE}|{_CALL}[^()]*\))\s*(?:!=|<=|>=|=|<|>)|(?:!=|<=|>=|=|<|>)\s*(?:{_ONE}(?![\w/*:(.])|{_CALL})"
)
_FROM_THE_ROOT = re.compile(r"[\[(,=<>+|\s-]/|[\w\])'.]\s*\*\s*/|\bid\s*\(")


@lru_cache(maxsize=256)
def price(expression: str) -> tuple[int, int]:
    """What an XPath costs: looks, times the number of elements to the power of the second: 1, and one more where sets of
    elements are compared with each other, and for each path from the root in a condition."""
    text = _NODE_TEST.sub(r"\1", QUOTED.sub("''", expression))
    sets = len(_COMPARED.findall(text)) > len(_WITH_ONE.findall(text))
    return 1 + len(text) // 16, 1 + sets + len(_FROM_THE_ROOT.findall(_conditions(text)))


def _conditions(text: str) -> str:
    """What stands in square brackets."""
    found, depth = [], 0
    for each in text:
        depth += each == "["
        found += [each] if depth else []
        depth -= each == "]"
    return "".join(found)


def _cost(expression: str, elements: int) -> int:
    looks, power = price(expression)
    return int(looks * elements**power)


class Document:
    """An answer's XML, parsed."""

    def __init__(self, text: str) -> None:
        """`text` is text already: what it says of its bytes does not count.

        Raises:
            etree.XMLSyntaxError, ValueError: no XML, or one with a DOCTYPE.
        """
        self._xml = _root(charsets.undeclared(text).encode())

    @cached_property
    def _names(self) -> tuple[int, dict[str, str]]:
        """How many elements there are, and their namespaces by prefix."""
        count, known = 0, dict[str, str]()
        for each in self._xml.iter():
            count += 1
            for prefix, uri in each.nsmap.items():
                if prefix:
                    known[prefix] = uri
        return count, known

    def find(self, expression: str) -> str | bool | int | float | Iterator[str | None]:
        """What the expression gives; of nodes their texts, one by one.

        Raises:
            etree.XPathError, TooManyLooks.
        """
        count, known = self._names
        spend(_cost(expression, count))
        root = self._xml.getroottree()
        evaluator: Any = etree.XPathEvaluator(root, namespaces=known, regexp=False, smart_strings=False)
        found = evaluator(expression)
        if isinstance(found, float) and found.is_integer():
            return int(found)  # its numbers are all floats, and one without decimals is written so (XPath 1.0, 4.2)
        if not isinstance(found, list):
            return found  # type: ignore[no-any-return]
        return (each if isinstance(each, str) else _string_value(each) for each in found)


def _root(raw: bytes) -> Any:
    """A document's root: no entity is expanded, nothing fetched.

    Raises:
        etree.XMLSyntaxError, ValueError: no XML, or one with a DOCTYPE.
    """
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    root = etree.fromstring(raw, parser)
    if root.getroottree().docinfo.doctype:
        raise ValueError("it has a DOCTYPE")
    return root


def _string_value(node: Any) -> str | None:
    """XPath 1.0, 5: of an element all text in it; a comment's and a processing instruction's own. An element that is nil
    (XML Schema part 1, 2.6.2) has no value."""
    is_element = isinstance(node.tag, str)
    if is_element and node.get(_NIL, "").strip() in ("true", "1"):
        return None
    text: str = _STRING(node) if is_element else node.text or ""  # lxml evaluates at elements only
    spend(1 + len(text) // 16)  # what stands within many elements is copied for each
    return text
