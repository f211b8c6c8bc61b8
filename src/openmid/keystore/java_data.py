"""java.io.DataInput, as far as keystores need it: big-endian numbers, counted bytes, and modified UTF-8."""

from __future__ import annotations

from datetime import UTC, datetime

from openmid.keystore.errors import Damaged


class DataReader:
    """A cursor on bytes. Every length is checked before anything is copied. Raises Damaged."""

    def __init__(self, data: bytes, name: str) -> None:
        self.data = data
        self.name = name
        self.position = 0

    def left(self) -> int:
        return len(self.data) - self.position

    def take(self, count: int) -> bytes:
        if count > self.left():
            raise Damaged(f"{self.name} is cut short, or damaged")
        self.position += count
        return self.data[self.position - count : self.position]

    def number(self, size: int) -> int:
        """An unsigned number of `size` bytes."""
        return int.from_bytes(self.take(size), "big")

    def block(self) -> bytes:
        """Bytes after their count (4 bytes)."""
        return self.take(self.number(4))

    def text(self) -> str:
        """Modified UTF-8 (java.io.DataInput): NUL has two bytes, what is beyond the BMP two surrogates of three."""
        raw = self.take(self.number(2))
        try:
            utf16 = (
                raw.replace(b"\xc0\x80", b"\0").decode("utf-8", "surrogatepass").encode("utf-16-be", "surrogatepass")
            )
            return utf16.decode("utf-16-be")
        except UnicodeDecodeError as error:
            raise Damaged(f"{self.name} is damaged: a name in it is not text") from error

    def moment(self) -> datetime:
        """Milliseconds since 1970. What no calendar holds becomes 1970."""
        try:
            return datetime.fromtimestamp(self.number(8) // 1000, UTC)
        except (OverflowError, ValueError, OSError):
            return datetime.fromtimestamp(0, UTC)

    def certificates(self, *, typed: bool = True) -> tuple[bytes, ...]:
        """A chain: its count, then each certificate after the name of its type."""
        found = []
        for _ in range(self.number(4)):
            found.append(self.certificate(typed=typed))
        return tuple(found)

    def certificate(self, *, typed: bool = True) -> bytes:
        kind = self.text() if typed else "X.509"
        if kind not in ("X.509", "X509"):
            raise Damaged(f"{self.name} holds a certificate of type {kind[:40]!r}, not X.509")
        return self.block()
