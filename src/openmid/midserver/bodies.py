"""Bodies both ways: what a request carries, whole or as a stream of known length, and an answer as it is read, bounded.

Content codings (RFC 9110, 8.4.1) are taken off here: never more than a chunk is decompressed at once, so that a bomb ends
where the limit is, and a stream that ends early is noticed.
"""

from __future__ import annotations

import base64
import binascii
import ssl
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from openmid.midserver.attachments import AttachmentClient
from openmid.midserver.call_error import CallError
from openmid.midserver.exchange import Answer
from openmid.wire import charsets
from openmid.wire.probes import Attachment, HttpProbe, Part

CHUNK = 64 * 1024
MOST_MEMBERS = 1000  # each costs a copy of what follows it
Header = tuple[str, str]


class TooLarge(Exception):
    """Raised when an answer exceeds the probe's limit."""


class BadCoding(Exception):
    """Raised when an answer is not what its Content-Encoding says."""


@dataclass(frozen=True)
class Streamed:
    """A body in pieces, some of which lie at the instance."""

    pieces: tuple[bytes | Attachment, ...]

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return sum(len(piece) if isinstance(piece, bytes) else piece.size_bytes for piece in self.pieces)

    async def chunks(self, attachments: AttachmentClient | None) -> AsyncGenerator[bytes, None]:
        """The bytes.

        Raises:
            CallError: attachment_unavailable.
        """
        for piece in self.pieces:
            if isinstance(piece, bytes):
                yield piece
                continue
            if attachments is None:
                raise CallError("attachment_unavailable", f"{piece.sys_id} cannot be fetched by this MID Server")
            left = piece.size_bytes
            async with aclosing(attachments.open(piece.sys_id)) as source:
                async for chunk in source:
                    left -= len(chunk)
                    if left < 0:
                        break
                    yield chunk
            if left:
                name = piece.file_name or piece.sys_id
                raise CallError(
                    "attachment_unavailable", f"{name} has not the size that it had ({piece.size_bytes} bytes)"
                )


def of(probe: HttpProbe) -> tuple[Streamed, list[Header]]:
    """The streamed body of a probe's request, and the headers that belong to it.

    Raises:
        ValueError: there are several bodies, or a part cannot be written down.
    """
    if bool(probe.body) + bool(probe.attachment) + bool(probe.parts) > 1:
        raise ValueError("it has more than one body")
    if probe.attachment is not None:
        return Streamed((probe.attachment,)), [("Content-Type", one_line(probe.attachment.content_type))]
    return form_data(probe.parts)


def inline(probe: HttpProbe) -> bytes | None:
    """`body` as bytes: in the charset of the user's Content-Type, if that counts."""
    if not probe.body:
        return None
    if not probe.body_is_base64:
        return probe.body.encode() if probe.parts else charsets.written(probe.headers, probe.body)
    try:
        return base64.b64decode(probe.body, validate=True)
    except binascii.Error as error:
        raise ValueError("its body is not base64") from error


def form_data(parts: list[Part]) -> tuple[Streamed, list[Header]]:
    """multipart/form-data (RFC 7578)."""
    boundary = new_boundary()
    pieces: list[bytes | Attachment] = []
    for part in parts:
        pieces += [_form_head(boundary, part), content(part), b"\r\n"]
    pieces.append(f"--{boundary}--\r\n".encode())
    return Streamed(tuple(pieces)), [("Content-Type", f"multipart/form-data; boundary={boundary}")]


def new_boundary() -> str:
    """What stands in no body, but by a chance of 2^-128."""
    return f"openmid-{ssl.RAND_bytes(16).hex()}"


def content(part: Part) -> bytes | Attachment:
    """What a part holds."""
    return part.attachment or part.value.encode()


def _form_head(boundary: str, part: Part) -> bytes:
    attachment = part.attachment
    file_name = part.file_name or (attachment.file_name if attachment else "")
    kind = part.content_type or (attachment.content_type if attachment else "")
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(part.name)}"'
    head += f'; filename="{_quoted(file_name)}"' if file_name else ""
    head += f"\r\nContent-Type: {one_line(kind)}" if kind else ""
    return f"{head}\r\n\r\n".encode()


def _quoted(name: str) -> str:
    """As browsers do (the HTML standard's multipart/form-data encoding algorithm)."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def one_line(value: str) -> str:
    """The value; ValueError for what would end a header early."""
    if any(character in value for character in "\r\n\0"):
        raise ValueError("a content type or action holds a line break or a zero byte")
    return value


class _Decoder(Protocol):
    def feed(self, data: bytes) -> Iterator[bytes]: ...

    def finished(self) -> bool: ...


class _Zlib:
    """gzip (RFC 1952, any number of members) and deflate (RFC 1950, or bare RFC 1951 as some send it)."""

    def __init__(self, *, gzip: bool) -> None:
        self._gzip = gzip
        self._inner = zlib.decompressobj(31 if gzip else 15)
        self._begun = False
        self._members = 1

    def feed(self, data: bytes) -> Iterator[bytes]:
        if data and not self._begun:
            self._begun = True
            if not self._gzip and data[0] & 0x0F != 8:
                self._inner = zlib.decompressobj(-15)
        while True:
            if self._inner.eof and not self._next_member(data):
                return
            out = self._inner.decompress(data, CHUNK)
            yield out
            data = self._inner.unused_data if self._inner.eof else self._inner.unconsumed_tail
            if not data and (self._inner.eof or len(out) < CHUNK):
                return

    def _next_member(self, data: bytes) -> bool:
        """Whether another member follows; what is no gzip is padding."""
        self._members += 1
        if not self._gzip or not data.startswith(b"\x1f"):
            return False
        if self._members > MOST_MEMBERS:
            raise ValueError("too many gzip members")
        self._inner = zlib.decompressobj(31)
        return True

    def finished(self) -> bool:
        return self._inner.eof or not self._begun


class _Brotli:
    """br (RFC 7932)."""

    def __init__(self) -> None:
        import brotli

        self._inner = brotli.Decompressor()
        self._begun = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        self._begun = self._begun or bool(data)
        out = self._inner.process(data, output_buffer_limit=CHUNK)
        while out:
            yield out
            # There may be more inside, whatever can_accept_more_data says.
            out = b"" if self._inner.is_finished() else self._inner.process(b"", output_buffer_limit=CHUNK)

    def finished(self) -> bool:
        return self._inner.is_finished() or not self._begun


def _decoder(coding: str) -> _Decoder | None:
    match coding.strip().lower():
        case "gzip" | "x-gzip":
            return _Zlib(gzip=True)
        case "deflate":
            return _Zlib(gzip=False)
        case "br":
            return _Brotli()
    return None  # an unknown coding is the user's affair: the body comes as it is


async def chunks(answer: Answer, limit: int) -> AsyncIterator[bytes]:
    """An answer's body, its coding taken off.

    Raises:
        TooLarge: as soon as it is larger than `limit` bytes.
        BadCoding: it is not what its Content-Encoding says.
    """
    coding = answer.headers.get("Content-Encoding")
    decoder = _decoder(coding) if coding else None
    size = taken = 0
    while raw := await answer.read():
        taken += len(raw)
        for chunk in _decoded(decoder, raw, coding) if decoder else (raw,):
            size += len(chunk)
            if max(size, taken) > limit:
                answer.close()
                raise TooLarge(limit)
            yield chunk
    if decoder is not None and not decoder.finished():
        raise BadCoding(f"its {coding} data ends early")


def _decoded(decoder: _Decoder, raw: bytes, coding: str | None) -> Iterator[bytes]:
    try:
        yield from decoder.feed(raw)
    except Exception as error:  # brotli and zlib have classes of their own
        raise BadCoding(f"it is not {coding} data, as its Content-Encoding says") from error


async def whole(answer: Answer, limit: int) -> bytes:
    """The body in memory.

    Raises:
        TooLarge, BadCoding: as `chunks`.
    """
    if "Content-Encoding" in answer.headers:
        return b"".join([chunk async for chunk in chunks(answer, limit)])
    body = bytearray()
    while raw := await answer.read():
        body += raw
        if len(body) > limit:
            answer.close()
            raise TooLarge(limit)
    return bytes(body)
