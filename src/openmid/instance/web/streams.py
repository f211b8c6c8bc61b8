"""Long answers of pages, a piece at a time: Django would gather an ordinary iterator whole before the first byte goes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from itertools import islice

from asgiref.sync import sync_to_async
from django.http import StreamingHttpResponse

LINES = 1000


def download(chunks: Iterator[bytes], content_type: str, disposition: str) -> StreamingHttpResponse:
    """A file that no browser shows."""
    answer = StreamingHttpResponse(_pieces(chunks), content_type=content_type)
    answer["Content-Disposition"] = disposition
    answer["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return answer


def csv(lines: Iterable[str], name: str) -> StreamingHttpResponse:
    """Lines as a CSV file, a thousand at a time."""
    return download(_joined(iter(lines)), "text/csv; charset=utf-8", f'attachment; filename="{name}"')


def _joined(lines: Iterator[str]) -> Iterator[bytes]:
    while some := list(islice(lines, LINES)):
        yield "".join(some).encode()


async def _pieces(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Each piece is made in Django's thread, when the one before it has gone."""
    step = sync_to_async(lambda: next(chunks, None))
    while (piece := await step()) is not None:
        yield piece
