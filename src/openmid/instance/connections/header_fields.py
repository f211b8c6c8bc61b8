"""Header fields that people write: RFC 9110, section 5."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from django.core.exceptions import ValidationError

from openmid.instance.records import header_secrets

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


def stored(value: Any) -> None:
    """Header fields of a record: as `headers`, or sealed."""
    headers([(name, "" if header_secrets.is_sealed(text) else text) for name, text in pairs(value)])


def kept(value: Any, before: Iterable[Sequence[str]]) -> list[list[str]]:
    """What somebody wrote over the headers `before`: where a value is masked it is the stored one of that name, in order.

    Raises:
        ValidationError: no header fields, or nothing is stored under a masked one.
    """
    known = [(name.lower(), text) for name, text in before if header_secrets.is_sealed(text)]
    found = []
    for name, text in pairs(value or []):
        mine = [each for each in known if each[0] == name.lower() and text in (header_secrets.MASK, each[1])]
        if mine:
            known.remove(mine[0])
        elif text == header_secrets.MASK and header_secrets.is_secret(name):
            raise ValidationError(f"Enter the value of {name}: asterisks stand for a stored one, and there is none.")
        else:
            headers([(name, text)])
        found.append([name, mine[0][1] if mine else text])
    return found


def header_name(name: str) -> None:
    """The name of a header that people may set."""
    if not _TOKEN.match(name):
        raise ValidationError(f"“{name}” cannot be a header's name (RFC 9110, section 5.1).")
    if name.lower() in _OURS:
        raise ValidationError(f"The MID Server sets {name} itself.")
