"""JSON in and out, bounded and typed."""

from __future__ import annotations

from typing import TypeVar

import msgspec

T = TypeVar("T")


class WireError(Exception):
    """A message does not have the shape that its version of the protocol says."""


def encode(message: object) -> bytes:
    """One message as UTF-8 JSON."""
    return msgspec.json.encode(message)


def decode(raw: bytes, kind: type[T]) -> T:
    """The message in `raw`.

    Raises:
        WireError: not JSON, or not a `kind`; says which field.
    """
    try:
        message = msgspec.json.decode(raw, type=kind)
        if rb"\ud" in raw or rb"\uD" in raw:
            encode(message)  # half of a surrogate pair is no text: neither a database nor a message takes it
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        name = getattr(kind, "__name__", "message")
        raise WireError(f"not a valid {name}: {error}") from error
    return message
