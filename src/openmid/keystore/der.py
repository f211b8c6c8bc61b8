"""A small strict DER reader and writer (X.690): definite minimal lengths, low tag numbers, no trailing bytes.

Reading is driven by the caller's schema, so nesting is never deeper than the schema; every length is checked against
the enclosing element before a byte is copied. Errors are `DerError`, a sentence's middle ("the salt is cut short").
Declarative decoders exist (cryptography.hazmat.asn1); this one costs no import, which matters to a command's start.
"""

from __future__ import annotations

from datetime import UTC, datetime

BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, NULL, OID, UTF8_STRING = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0C
UTC_TIME, GENERALIZED_TIME, SEQUENCE, SET = 0x17, 0x18, 0x30, 0x31


class DerError(ValueError):
    """The bytes are not the DER that the schema demands."""


def context(number: int, *, constructed: bool = True) -> int:
    """The tag byte of `[number]`."""
    return (0xA0 if constructed else 0x80) | number


class Reader:
    """A window on DER bytes, consumed from left to right."""

    __slots__ = ("data", "end", "position")

    def __init__(self, data: bytes, start: int = 0, end: int | None = None) -> None:
        self.data = data
        self.position = start
        self.end = len(data) if end is None else end

    def peek(self) -> int:
        """The next tag, or -1 at the end."""
        return self.data[self.position] if self.position < self.end else -1

    def _header(self, what: str) -> tuple[int, int]:
        """(start, end) of the next element's content; the tag has been looked at by the caller."""
        at = self.position + 1
        if at >= self.end:
            raise DerError(f"{what} is cut short")
        length = self.data[at]
        at += 1
        if length >= 0x80:
            count = length & 0x7F
            if count == 0 or count > 4:
                raise DerError(f"{what} has a length that DER does not allow")
            if at + count > self.end:
                raise DerError(f"{what} is cut short")
            length = int.from_bytes(self.data[at : at + count], "big")
            at += count
            if length < 0x80 or length >> (8 * (count - 1)) == 0:
                raise DerError(f"{what} has a length that is not minimal")
        if at + length > self.end:
            raise DerError(f"{what} is cut short")
        return at, at + length

    def element(self, tag: int, what: str) -> Reader:
        """The content of the next element, which must have this tag."""
        found = self.peek()
        if found != tag:
            raise DerError(f"{what} is missing" if found < 0 else f"{what} has tag 0x{found:02x}, not 0x{tag:02x}")
        start, end = self._header(what)
        self.position = end
        return Reader(self.data, start, end)

    def any(self, what: str) -> bytes:
        """The next element whole, tag and length included."""
        tag, before = self.peek(), self.position
        if tag < 0:
            raise DerError(f"{what} is missing")
        if tag & 0x1F == 0x1F:
            raise DerError(f"{what} has a tag that no keystore uses")
        _, self.position = self._header(what)
        return self.data[before : self.position]

    def rest(self) -> bytes:
        """Every byte that has not been read."""
        return self.data[self.position : self.end]

    def done(self, what: str) -> None:
        """Nothing may follow."""
        if self.position != self.end:
            raise DerError(f"{what} is followed by {self.end - self.position} bytes that do not belong there")

    def sequence(self, what: str) -> Reader:
        return self.element(SEQUENCE, what)

    def octets(self, what: str) -> bytes:
        return self.element(OCTET_STRING, what).rest()

    def octets_view(self, what: str) -> memoryview:
        """As `octets`, without a copy."""
        inner = self.element(OCTET_STRING, what)
        return memoryview(self.data)[inner.position : inner.end]

    def integer(self, what: str) -> int:
        """A non-negative INTEGER below 2**63: counts, versions, sizes."""
        content = self.element(INTEGER, what).rest()
        if not content or (len(content) > 1 and content[0] == 0 and content[1] < 0x80):
            raise DerError(f"{what} is not a minimal integer")
        if content[0] >= 0x80 or len(content) > 8:
            raise DerError(f"{what} is negative or absurdly large")
        return int.from_bytes(content, "big")

    def oid(self, what: str) -> str:
        return dotted(self.element(OID, what).rest(), what)

    def utf8(self, what: str) -> str:
        try:
            return self.element(UTF8_STRING, what).rest().decode("utf-8")
        except UnicodeDecodeError as error:
            raise DerError(f"{what} is not UTF-8") from error

    def time(self, what: str) -> datetime:
        """GeneralizedTime as `YYYYMMDDHHMMSS[.f]Z`, UTC; a fraction is dropped."""
        text = self.element(GENERALIZED_TIME, what).rest().decode("latin-1")
        digits, dot, fraction = text.removesuffix("Z").partition(".")
        if len(digits) != 14 or not text.endswith("Z") or not (digits + fraction).isascii():
            raise DerError(f"{what} is not a time")
        if not digits.isdigit() or (dot and not fraction.isdigit()):
            raise DerError(f"{what} is not a time")
        parts = [int(digits[:4])] + [int(digits[i : i + 2]) for i in range(4, 14, 2)]
        try:
            return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]
        except ValueError as error:
            raise DerError(f"{what} is not a time") from error


def dotted(content: bytes, what: str) -> str:
    """The dotted form of an OBJECT IDENTIFIER's content. Arcs are bounded to 20 bytes (a UUID arc has 19)."""
    if not content or content[-1] >= 0x80 or len(content) > 128:
        raise DerError(f"{what} is not an object identifier")
    arcs: list[int] = []
    value = size = 0
    for byte in content:
        if (size == 0 and byte == 0x80) or size > 20:
            raise DerError(f"{what} is not an object identifier")
        value, size = (value << 7) | (byte & 0x7F), size + 1
        if byte < 0x80:
            arcs.append(value)
            value = size = 0
    first = min(arcs[0] // 40, 2)
    return ".".join(str(arc) for arc in [first, arcs[0] - 40 * first, *arcs[1:]])


def tlv(tag: int, content: bytes) -> bytes:
    """One element."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def sequence(*parts: bytes) -> bytes:
    return tlv(SEQUENCE, b"".join(parts))


def octets(value: bytes) -> bytes:
    return tlv(OCTET_STRING, value)


def utf8(value: str) -> bytes:
    return tlv(UTF8_STRING, value.encode("utf-8"))


def integer(value: int) -> bytes:
    """A non-negative INTEGER."""
    return tlv(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def null() -> bytes:
    return b"\x05\x00"


def time(value: datetime) -> bytes:
    """GeneralizedTime without a fraction, UTC."""
    return tlv(GENERALIZED_TIME, value.astimezone(UTC).strftime("%Y%m%d%H%M%SZ").rjust(15, "0").encode("ascii"))


def oid(value: str) -> bytes:
    arcs = [int(arc) for arc in value.split(".")]
    content = bytearray()
    for arc in [arcs[0] * 40 + arcs[1], *arcs[2:]]:
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(0x80 | (arc & 0x7F))
        content += bytes(reversed(groups))
    return tlv(OID, bytes(content))
