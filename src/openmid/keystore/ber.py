"""BER into DER (X.690, 8 and 10): what PKCS#12 files in the wild are written in.

Indefinite lengths and lengths that are longer than needed become definite and minimal, OCTET STRINGs in segments become
one. Sorted sets, default values and the like are left as they are: nothing here depends on them. After this the strict
reader of `der` does the rest. Depth and number of elements are bounded; each byte is copied once per level.
"""

from __future__ import annotations

from openmid.keystore.der import OCTET_STRING, DerError

MAX_DEPTH = 32
MAX_ELEMENTS = 1 << 20  # a store of 16 MB full of certificates has a third of that
_CONSTRUCTED = 0x20


def normal(data: bytes, what: str) -> bytes:
    """The one element that `data` is, as DER. Raises DerError."""
    converter = _Converter(data, what)
    end = converter.element(0, len(data), 0, out := bytearray())
    if end != len(data):
        raise DerError(f"{what} is followed by {len(data) - end} bytes that do not belong there")
    return data if out == data else bytes(out)


class _Converter:
    def __init__(self, data: bytes, what: str) -> None:
        self.view = memoryview(data)
        self.what = what
        self.left = MAX_ELEMENTS

    def _cut(self) -> DerError:
        return DerError(f"{self.what} is cut short")

    def _header(self, at: int, end: int) -> tuple[int, int, int]:
        """(tag, start of the content, its end or -1 where the length is indefinite)."""
        self.left -= 1
        if self.left < 0:
            raise DerError(f"{self.what} has more than {MAX_ELEMENTS} elements")
        if at + 2 > end:
            raise self._cut()
        tag, length = self.view[at], self.view[at + 1]
        if tag & 0x1F == 0x1F:
            raise DerError(f"{self.what} has a tag that no keystore uses")
        at += 2
        if length == 0x80:
            if not tag & _CONSTRUCTED:
                raise DerError(f"{self.what} has an indefinite length where there can be none")
            return tag, at, -1
        if length > 0x80:
            count = length & 0x7F
            if at + count > end:
                raise self._cut()
            if count > 8:
                raise DerError(f"{self.what} has a length of {count} bytes")
            length = int.from_bytes(self.view[at : at + count], "big")
            at += count
        if at + length > end:
            raise self._cut()
        return tag, at, at + length

    def element(self, at: int, limit: int, depth: int, out: bytearray) -> int:
        """Append the element at `at` to `out`; the position after it."""
        tag, start, end = self._header(at, limit)
        if not tag & _CONSTRUCTED:
            _append(out, tag, self.view[start:end])
            return end
        if depth == MAX_DEPTH:
            raise DerError(f"{self.what} is nested more than {MAX_DEPTH} deep")
        content = bytearray()
        segments = tag == OCTET_STRING | _CONSTRUCTED
        after = self._content(start, limit if end < 0 else end, end < 0, depth, content, segments)
        _append(out, OCTET_STRING if segments else tag, content)
        return after

    def _content(self, at: int, end: int, indefinite: bool, depth: int, out: bytearray, segments: bool) -> int:
        """Everything up to `end`, or up to the end-of-contents mark; the position after it."""
        while indefinite or at < end:
            if indefinite and at + 2 <= end and not self.view[at] and not self.view[at + 1]:
                return at + 2
            inner = self._segment if segments else self.element
            at = inner(at, end, depth + 1, out)
        return at

    def _segment(self, at: int, limit: int, depth: int, out: bytearray) -> int:
        """A piece of an OCTET STRING, itself perhaps in pieces."""
        tag, start, end = self._header(at, limit)
        if tag == OCTET_STRING:
            out += self.view[start:end]
            return end
        if tag != OCTET_STRING | _CONSTRUCTED or depth >= MAX_DEPTH:
            raise DerError(f"{self.what} has an octet string of strange pieces")
        return self._content(start, limit if end < 0 else end, end < 0, depth, out, True)


def _append(out: bytearray, tag: int, content: memoryview | bytearray) -> None:
    size = len(content)
    out.append(tag)
    if size < 0x80:
        out.append(size)
    else:
        length = size.to_bytes((size.bit_length() + 7) // 8, "big")
        out.append(0x80 | len(length))
        out += length
    out += content
