"""An answer as a result holds it: its headers, its text, where its time went."""

from __future__ import annotations

import time

from openmid.midserver.connector import Attempt
from openmid.midserver.exchange import Answer
from openmid.wire import charsets
from openmid.wire.probes import Timing

_DROPPED = 64 * 1024
"""What is read of a body that nobody wants, so that its connection can be used again."""


def headers(answer: Answer) -> list[tuple[str, str]]:
    """In order, with duplicates."""
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.raw_headers]


async def drop(answer: Answer) -> None:
    """Read a body that nobody wants, up to a point; a longer one costs its connection."""
    size = 0
    while chunk := await answer.read():
        size += len(chunk)
        if size > _DROPPED:
            answer.close()
            return


def read(answer: Answer, body: bytes) -> str | None:
    """The body as text (`text`). Where Content-Type names no charset, XML says it itself."""
    kind = answer.headers.get("Content-Type", "")
    declared = None if answer.charset else charsets.declared(kind, body[:1024].decode("latin-1"))
    found = text(body, declared) if declared else None
    return text(body, answer.charset) if found is None else found


def text(body: bytes, charset: str | None) -> str | None:
    """The body as text: in the charset that the partner names, else UTF-8; None for what is neither.

    Half of a surrogate pair (utf-7 can say one) is no text: no message can carry it.
    """
    try:
        if charset is None:
            return body.decode()
        if not charsets.known(charset):
            return None
        found = body.decode(charset)
        found.encode()
    except (ValueError, LookupError):
        return None
    return found


def timing(attempt: Attempt, began: int) -> Timing:
    """Of a call that began at `began` (`time.monotonic_ns()`) and ends now."""
    now = time.monotonic_ns()
    return Timing(
        dns=attempt.dns // 1000 if attempt.dns >= 0 else -1,
        connect=_span(attempt.began, attempt.connected),
        tls=_span(attempt.connected, attempt.secured),
        first_byte=_span(attempt.ready, attempt.head),
        transfer=_span(attempt.head, now),
        total=_span(began, now),
    )


def _span(first: int, last: int) -> int:
    return (last - first) // 1000 if first and last >= first else -1
