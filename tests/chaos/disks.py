"""Small disks (tmpfs) under the folders of the instance and the MID Server, that can be filled. Needs root."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path

MEGABYTE = 1 << 20
LEFT = 16_384
"""Bytes that a disk which is made smaller still has: the last page of a file takes some."""


class Disk:
    """A tmpfs of `size` bytes at `path`, hiding what was there."""

    def __init__(self, path: Path, size: int) -> None:
        """Raises subprocess.CalledProcessError: it may not be mounted here."""
        self.path, self._size = path, size
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        _run("mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "none", str(path))

    def fill(self) -> None:
        """Not a byte is left."""
        with contextlib.suppress(OSError), (self.path / "ballast").open("wb", buffering=0) as ballast:
            while ballast.write(bytes(4096)):
                pass

    def shrink(self) -> None:
        """As large as what lies on it, and a little more."""
        found = os.statvfs(self.path)
        used = (found.f_blocks - found.f_bfree) * found.f_frsize
        _run("mount", "-o", f"remount,size={used + LEFT}", str(self.path))

    def heal(self) -> None:
        """There is room again."""
        (self.path / "ballast").unlink(missing_ok=True)
        found = os.statvfs(self.path)
        if found.f_blocks * found.f_frsize != self._size:
            _run("mount", "-o", f"remount,size={self._size}", str(self.path))

    def close(self) -> None:
        """Gone, with what was on it."""
        subprocess.run(["umount", "-l", str(self.path)], check=False, capture_output=True)


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, text=True)
