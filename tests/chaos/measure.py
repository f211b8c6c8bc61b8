"""What a process holds, by /proc."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Held:
    """Files (sockets among them), sockets, and resident memory in MB of a million bytes."""

    pid: int
    files: int
    sockets: int
    memory: float

    def __str__(self) -> str:
        return f"{self.files} files, {self.sockets} sockets, {self.memory:.0f} MB"


def held(pid: int) -> Held:
    """Raises OSError: there is no such process."""
    targets = []
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            targets.append(str(each.readlink()))
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    sockets = sum(each.startswith("socket:") for each in targets)
    return Held(pid, len(targets), sockets, pages * os.sysconf("SC_PAGE_SIZE") / 1e6)
