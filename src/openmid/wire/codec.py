"""JSON in and out, bounded and typed."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")
NO_MESSAGE = (msgspec.MsgspecError, UnicodeError, RecursionError)
"""What msgspec raises for bytes that are no such message."""


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
        message: T = _decoder(kind).decode(raw)  # type: ignore[arg-type]  # a type is hashable
        if rb"\u" in raw and (rb"\ud" in raw or rb"\uD" in raw):
            encode(message)  # half of a surrogate pair is no text: neither a database nor a message takes it
    except NO_MESSAGE as error:
        name = getattr(kind, "__name__", "message")
        raise WireError(f"not a valid {name}: {error}") from error
    return message


@lru_cache(maxsize=256)
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    """Made once: for a union that takes longer than what it decodes."""
    return msgspec.json.Decoder(kind)
