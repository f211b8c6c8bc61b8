"""work/journal: which jobs this MID Server has taken, which it began, and every outcome until the instance has it.

One file, only ever appended to; nothing in it is forgotten by a kill at any moment, since what write(2) has taken is the
kernel's. A record is its length (4 bytes), its kind (1), its content, and the CRC-32 of both (4), big-endian; one that is
cut off at the end was being written when the process ended. Results are partners' words and lie encrypted: AES-256-GCM
(SP 800-38D) with a nonce of 12 bytes, under a key that HKDF (SP 800-56C) derives from the MID Server's secret.

The disk is waited for (fsync) only when results have to wait too: that they outlast a loss of power is worth it then, and
would cost more than the call itself where the instance takes them at once. After a new start of the machine every job
that had been taken therefore counts as begun: its last records may never have reached the disk. So it does in a copy of
the file, since the original goes on without it.
"""

from __future__ import annotations

import contextlib
import os
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from openmid import system
from openmid.fips import keys
from openmid.midserver.config import write_atomic
from openmid.wire.codec import WireError, decode, encode
from openmid.wire.messages import Job, JobResult, Released

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

log = structlog.get_logger()

FILE = "work/journal"
BOOT, TAKEN, BEGUN, ENDED, DELIVERED = 1, 2, 3, 4, 5
HEAD = struct.Struct(">IB")
TAIL = struct.Struct(">I")
LARGEST = 64 * 1024 * 1024
NONCE_BYTES, NONCES_AT_ONCE = 12, 64
PURPOSE = b"openmid journal v1"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
COMPACT_BYTES = 4 * 1024 * 1024
"""A longer journal is written anew, with nothing but what is open."""


class JournalFull(Exception):
    """Raised when the disk does not take a record, or the journal has grown to its limit."""


@dataclass(slots=True)
class _Open:
    """A job that the instance waits for."""

    lease: str
    begun: bool = False
    outcome: JobResult | None = None
    bytes: int = 0


@dataclass
class Left:
    """What an earlier process left behind."""

    results: list[JobResult] = field(default_factory=list)
    released: list[Released] = field(default_factory=list)


class Journal:
    """The journal of one agent folder, held by its one process."""

    def __init__(self, agent: Path, secret: str, limit_bytes: int) -> None:
        """Raises OSError: it cannot be opened."""
        self._path = agent / FILE
        self._cipher = _cipher(secret)
        self._nonces: list[bytes] = []
        self._limit = limit_bytes
        self._open: dict[str, _Open] = {}
        self._undelivered = 0
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        self._file = _opened_for_appending(self._path)
        self._size = os.fstat(self._file).st_size
        self.left = self._recover()

    @property
    def size_bytes(self) -> int:
        """How long the file is."""
        return self._size

    @property
    def undelivered_bytes(self) -> int:
        """How much of it are results that the instance has not taken."""
        return self._undelivered

    @property
    def full(self) -> bool:
        """Whether no new job should be taken."""
        return self._undelivered > self._limit

    @property
    def standing(self) -> str:
        """Why it is full."""
        limit = self._limit // (1024 * 1024)
        return f"results that the instance has not taken fill {self._path} to its limit of {limit} MB (mid.results.limit_mb)"

    def taken(self, jobs: Iterable[Job]) -> None:
        """These jobs are this MID Server's now.

        Raises:
            JournalFull: they are not in the journal; give them back.
        """
        pairs = [(job.sys_id, job.lease) for job in jobs]
        self._append(TAKEN, encode(pairs))
        for sys_id, lease in pairs:
            self._begin(sys_id, lease)

    def begun(self, sys_id: str) -> None:
        """From now on the partner may get the request.

        Raises:
            JournalFull: nothing may be sent.
        """
        self._append(BEGUN, sys_id.encode())
        if sys_id in self._open:
            self._open[sys_id].begun = True

    def ended(self, result: JobResult) -> None:
        """An outcome, which the instance does not have yet.

        Raises:
            JournalFull: it is in memory only.
        """
        sealed = self._sealed(encode(result))
        self._note(result, len(sealed))
        self._append(ENDED, sealed)

    def delivered(self, sys_ids: Iterable[str]) -> None:
        """The instance has the outcomes, or the word that there is none."""
        done = [sys_id for sys_id in sys_ids if (gone := self._open.pop(sys_id, None)) and self._forget(gone)]
        try:
            if self._size > COMPACT_BYTES and self._size > 4 * self._undelivered:
                self._rewrite()
            elif done:
                self._append(DELIVERED, encode(done))
        except (OSError, JournalFull):
            log.debug("the journal could not note a delivery; delivering twice does no harm")

    def sync(self) -> None:
        """Wait until the disk has it all."""
        os.fsync(self._file)

    def close(self) -> None:
        """Close the file; empty where nothing is open."""
        if not self._open:
            with contextlib.suppress(OSError, JournalFull):
                self._rewrite()
        os.close(self._file)

    def _begin(self, sys_id: str, lease: str) -> None:
        if sys_id in self._open:
            self._forget(self._open[sys_id])
        self._open[sys_id] = _Open(lease)

    def _note(self, result: JobResult, size: int) -> None:
        """An outcome, in the place of an earlier one: a job may have run here under two leases."""
        entry = self._open.setdefault(result.sys_id, _Open(result.lease, begun=True))
        self._undelivered += size - entry.bytes
        entry.outcome, entry.bytes = result, size

    def _forget(self, entry: _Open) -> bool:
        self._undelivered -= entry.bytes
        return True

    def _append(self, kind: int, content: bytes) -> None:
        """One record. A journal that fills its own disk begins anew, once nothing in it is open."""
        try:
            self._write(kind, content)
        except JournalFull:
            if self._open or not self._size:
                raise
            os.ftruncate(self._file, 0)
            self._size = 0
            self._write(kind, content)

    def _write(self, kind: int, content: bytes) -> None:
        if not self._size and kind != BOOT:  # nothing may stand in a file that does not say since when
            self._write(BOOT, self._since().encode())
        head = HEAD.pack(len(content), kind)
        record = head + content + TAIL.pack(zlib.crc32(content, zlib.crc32(head)))
        try:
            written = os.write(self._file, record)
        except OSError as error:
            raise JournalFull(f"{self._path} cannot be written: {error.strerror}") from error
        if written != len(record):
            os.ftruncate(self._file, self._size)
            raise JournalFull(f"{self._path} cannot be written: the disk is full")
        self._size += written

    def _rewrite(self) -> None:
        """A new file with nothing but what is open, in the place of the old one."""
        temporary = self._path.with_name("journal.new")
        old, old_size = self._file, self._size
        self._file, self._size = _opened_for_appending(temporary, os.O_TRUNC), 0
        try:
            self._append(BOOT, self._since().encode())
            for sys_id, entry in self._open.items():
                self._append(TAKEN, encode([(sys_id, entry.lease)]))
                if entry.outcome is not None:
                    self._append(ENDED, self._sealed(encode(entry.outcome)))
                elif entry.begun:
                    self._append(BEGUN, sys_id.encode())
            system.HERE.replace(temporary, self._path)
        except (OSError, JournalFull):
            os.close(self._file)
            self._file, self._size = old, old_size
            raise
        os.close(old)

    def _since(self) -> str:
        """This start of the machine, and this very file: a copy of it, in a folder or machine that was copied, knows
        nothing of what the original has done since."""
        status = os.fstat(self._file)
        return f"{_boot()} {status.st_dev}:{status.st_ino}"

    def _note_boot(self) -> None:
        try:
            self._append(BOOT, self._since().encode())
        except JournalFull:
            log.warning(f"{self._path} cannot be written: the disk is full")

    def _recover(self) -> Left:
        """Read what is there; what is damaged is set aside."""
        raw = self._path.read_bytes()
        same_boot, end = self._replay(raw)
        if end < len(raw):
            self._set_aside(raw, end)
        left = Left()
        if not same_boot:
            self._doubt()
        for sys_id, entry in self._open.items():
            if entry.outcome is not None:
                left.results.append(entry.outcome)
            else:
                left.released.append(Released(sys_id, entry.lease, sent=entry.begun))
        if not self._open or not same_boot:
            self._note_boot()
        return left

    def _doubt(self) -> None:
        """Records may be missing: whatever was taken may have been begun."""
        for entry in self._open.values():
            entry.begun = True

    def _replay(self, raw: bytes) -> tuple[bool, int]:
        """Apply every whole record. Returns whether this machine has run ever since, and where the whole ones end."""
        at, said, now = 0, "", self._since()
        while at + HEAD.size + TAIL.size <= len(raw):
            length, kind = HEAD.unpack_from(raw, at)
            end = at + HEAD.size + length
            if length > LARGEST or end + TAIL.size > len(raw):
                break
            if TAIL.unpack_from(raw, end)[0] != zlib.crc32(raw[at:end]):
                break
            content = raw[at + HEAD.size : end]
            if kind == BOOT:
                before, said = said, content.decode(errors="replace")
                if before and before != said:
                    self._doubt()
            else:
                self._apply(kind, content)
            at = end + TAIL.size
        return said in ("", now), at

    def _apply(self, kind: int, content: bytes) -> None:
        if kind == TAKEN:
            for sys_id, lease in decode(content, list[tuple[str, str]]):
                self._begin(sys_id, lease)
        elif kind == BEGUN and content.decode() in self._open:
            self._open[content.decode()].begun = True
        elif kind == DELIVERED:
            for sys_id in decode(content, list[str]):
                gone = self._open.pop(sys_id, None)
                self._undelivered -= gone.bytes if gone else 0
        elif kind == ENDED:
            result = self._opened(content)
            if result is not None:
                self._note(result, len(content))

    def _sealed(self, clear: bytes) -> bytes:
        nonce = self._nonce()
        sealed: bytes = self._cipher.encrypt(nonce, clear, FILE.encode())
        return nonce + sealed

    def _nonce(self) -> bytes:
        """Drawn many at a time, each given out once."""
        if not self._nonces:
            drawn = keys.random_bytes(NONCE_BYTES * NONCES_AT_ONCE)
            self._nonces = [drawn[at : at + NONCE_BYTES] for at in range(0, len(drawn), NONCE_BYTES)]
        return self._nonces.pop()

    def _opened(self, sealed: bytes) -> JobResult | None:
        from cryptography.exceptions import InvalidTag

        try:
            clear = self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], FILE.encode())
            return decode(clear, JobResult)
        except (InvalidTag, ValueError, WireError):
            log.warning(f"a result in {self._path} does not open: the MID Server's secret is another one")
            return None

    def _set_aside(self, raw: bytes, end: int) -> None:
        """Begin again after the last whole record. One that was being written is nothing; more is kept for who looks."""
        rest = raw[end:]
        if not _is_cut_off(rest):
            aside = self._path.with_name("journal.damaged")
            write_atomic(aside, rest)
            log.warning(f"{len(rest)} bytes of {self._path} are damaged and were set aside in {aside}")
        os.ftruncate(self._file, end)
        self._size = end


def _opened_for_appending(path: Path, flags: int = 0) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | system.O_BINARY | flags, 0o600)


def _is_cut_off(rest: bytes) -> bool:
    if len(rest) < HEAD.size:
        return True
    length, kind = HEAD.unpack_from(rest)
    length, kind = int(length), int(kind)
    return BOOT <= kind <= DELIVERED and len(rest) < HEAD.size + length + TAIL.size and length <= LARGEST


def _cipher(secret: str) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return AESGCM(HKDF(SHA256(), 32, salt=None, info=PURPOSE).derive(secret.encode()))


def _boot() -> str:
    """What changes with every start of the machine; on systems that do not say, every start of the process counts."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return keys.random_bytes(16).hex()
