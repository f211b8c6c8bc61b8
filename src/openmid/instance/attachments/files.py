"""The bytes of attachments: one file each in the instance's folder, written beside its place and then put there.

A record is made only once its file is whole and on the disk; a crash leaves a file that no record knows, which `sweep`
removes. Reading and writing take a chunk at a time, in threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import BinaryIO

from django.conf import settings
from django.db import connections

from openmid.instance.attachments.models import Attachment
from openmid.instance.errors import InstanceError
from openmid.instance.records.base import new_sys_id
from openmid.wire.probes import MAX_ATTACHMENT_BYTES

CHUNK = 256 * 1024
PART = ".part"
OLD_S = 24 * 3600
"""An unfinished file, or one without a record, is swept away when it is so old."""


class TooLargeError(InstanceError):
    """Raised when an attachment exceeds its limit."""


class StorageError(InstanceError):
    """Raised when an attachment cannot be written or read: the disk is full, its file is gone."""


def root() -> Path:
    """Where attachments lie."""
    return Path(settings.OPENMID_FOLDER or ".") / "attachments"


def place(sys_id: str) -> Path:
    """The file of an attachment."""
    return root() / sys_id[:2] / sys_id


class Incoming:
    """A file that is being written; `keep` makes it an attachment, `discard` removes it."""

    def __init__(self, limit: int = MAX_ATTACHMENT_BYTES) -> None:
        self.sys_id, self.size, self._limit = new_sys_id(), 0, limit
        self._hash = hashlib.sha256()
        self._path = place(self.sys_id).with_suffix(PART)
        with _told():
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file: BinaryIO = os.fdopen(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")

    def write(self, chunk: bytes) -> None:
        """Another chunk.

        Raises:
            TooLargeError, StorageError.
        """
        self.size += len(chunk)
        if self.size > self._limit:
            raise TooLargeError(f"the attachment is larger than {self._limit} bytes", "send less")
        self._hash.update(chunk)
        with _told():
            self._file.write(chunk)

    def keep(self, file_name: str, content_type: str, table_name: str, table_sys_id: str) -> Attachment:
        """The attachment, when its bytes are on the disk.

        Raises:
            StorageError.
        """
        with _told():
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._path.replace(place(self.sys_id))
        made = Attachment(
            sys_id=self.sys_id,
            file_name=clean_name(file_name),
            content_type=(content_type or "application/octet-stream")[:255],
            size_bytes=self.size,
            hash=self._hash.hexdigest(),
            table_name=table_name,
            table_sys_id=table_sys_id,
        )
        made.save()
        return made

    def discard(self) -> None:
        """Leave nothing."""
        self._file.close()
        self._path.unlink(missing_ok=True)


class _told:  # noqa: N801  a context manager that reads as a word
    """What the disk says, as a sentence."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StorageError("the instance's disk is full", "make room on it; nothing was kept") from None
            raise StorageError(f"the attachment cannot be kept: {error.strerror}", "look at the folder") from None


def clean_name(name: str) -> str:
    """A file name without folders and control characters."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(each for each in last if each.isprintable())[:255].strip() or "attachment"


async def receive(
    chunks: AsyncIterator[bytes], file_name: str, content_type: str, table_name: str, table_sys_id: str
) -> Attachment:
    """Keep what comes, whole or not at all.

    Raises:
        TooLargeError, StorageError; whatever `chunks` raises.
    """
    incoming = await asyncio.to_thread(Incoming)
    try:
        waiting = bytearray()
        async for chunk in chunks:
            waiting += chunk
            if len(waiting) >= CHUNK:
                await asyncio.to_thread(incoming.write, bytes(waiting))
                waiting.clear()
        await asyncio.to_thread(incoming.write, bytes(waiting))
        return await asyncio.to_thread(_kept, incoming, file_name, content_type, table_name, table_sys_id)
    except BaseException:
        incoming.discard()
        raise


def _kept(incoming: Incoming, *columns: str) -> Attachment:
    """In a thread that has no request, and so nobody who closes its connection to the database."""
    try:
        return incoming.keep(*columns)
    finally:
        connections.close_all()


def read(attachment: Attachment) -> Iterator[bytes]:
    """Its bytes, a chunk at a time.

    Raises:
        StorageError: its file is gone, before the first chunk.
    """
    try:
        file = place(attachment.sys_id).open("rb")
    except OSError:
        raise StorageError(f"the file of attachment {attachment.sys_id} is gone", "restore it from a backup") from None
    return _chunks(file)


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while chunk := file.read(CHUNK):
            yield chunk


def delete(attachment: Attachment) -> None:
    """The record, then its file."""
    sys_id = attachment.sys_id
    attachment.delete()
    place(sys_id).unlink(missing_ok=True)


def sweep() -> int:
    """Remove files that no record knows and that are a day old. Returns how many there were."""
    before, count = time.time() - OLD_S, 0
    for path in root().glob("*/*") if root().is_dir() else ():
        with contextlib.suppress(FileNotFoundError):  # it took its place meanwhile, or went
            if path.stat().st_mtime < before and not Attachment.objects.filter(pk=path.name).exists():
                path.unlink()
                count += 1
    return count
