"""Notices that files have changed: rewritten in place, replaced by rename, or a link on the way turned elsewhere."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable
from pathlib import Path

FRESH_SECONDS = 5.0
"""So long after a change the content is looked at too: a second one within the same tick of a file system's clock (a
second over NFS) would not show in what stat says."""
MOST_BYTES = 16 * 1024 * 1024

Look = tuple[int, ...] | None


class FileWatch:
    """The files of one profile. Its methods block as long as the file system does: call them in a thread."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self.paths = tuple(paths)
        self._looks: list[Look] = []
        self._contents: list[bytes] = []
        self._fresh_until = 0.0

    def take(self) -> None:
        """Remember how the files are now. Call it before reading them: what changes meanwhile is noticed afterwards."""
        looks = [_look(path) for path in self.paths]
        if looks != self._looks:
            self._looks, self._fresh_until = looks, time.monotonic() + FRESH_SECONDS
        self._contents = [_content(path) for path in self.paths]

    def changed(self) -> bool:
        """Whether they are otherwise than at the last `take`."""
        if [_look(path) for path in self.paths] != self._looks:
            return True
        return time.monotonic() < self._fresh_until and [_content(path) for path in self.paths] != self._contents


def _look(path: Path) -> Look:
    try:
        status = path.stat()  # follows links: turning one shows as another inode
    except (OSError, ValueError):
        return None
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino, status.st_dev


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return hashlib.sha256(file.read(MOST_BYTES)).digest()
    except (OSError, ValueError):
        return b""
