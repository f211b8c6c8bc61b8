"""Header fields that people write: RFC 9110, section 5."""

from __future__ import annotations

import re
from typing import Any

from django.core.exceptions import ValidationError

_TOKEN = re.compile(r"\A[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")  # RFC 9110, section 5.6.2
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # RFC 9110, section 5.5
# Those of the connection (RFC 9110, section 7.6.1), and one that makes both sides wait for each other.
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection", "keep-alive", "proxy-connection"})
_OURS |= {"te", "trailer", "upgrade", "expect"}


def pairs(value: Any) -> list[tuple[str, str]]:
    """`value` as a list of (name, value), in order, duplicates kept.

    Raises:
        ValidationError: another shape.
    """
    shape = isinstance(value, list) and all(
        isinstance(pair, list | tuple) and len(pair) == 2 and all(isinstance(part, str) for part in pair)
        for pair in value
    )
    if not shape:
        raise ValidationError('Write a list of [name, value] pairs, for example [["Accept", "application/json"]].')
    return [(name, text) for name, text in value]


def headers(value: Any) -> None:
    """Header fields as RFC 9110 has them; those that belong to the connection are the MID Server's."""
    for name, text in pairs(value):
        header_name(name)
        if _CONTROL.search(text):
            raise ValidationError(f"The value of header {name} has a line break or another control character in it.")


def header_name(name: str) -> None:
    """The name of a header that people may set."""
    if not _TOKEN.match(name):
        raise ValidationError(f"“{name}” cannot be a header's name (RFC 9110, section 5.1).")
    if name.lower() in _OURS:
        raise ValidationError(f"The MID Server sets {name} itself.")
