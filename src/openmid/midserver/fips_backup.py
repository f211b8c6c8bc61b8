"""Backups of the switch: every file that it changes, and a manifest by which `off` undoes exactly that.

security/backup-<UTC time>/ holds the files as they were and manifest.json. Paths in the manifest are relative to the
agent folder; hashes are SHA-256 in hex.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from openmid.midserver.config import write_atomic

SECURITY = "security"
MANIFEST = "manifest.json"


@dataclass
class Saved:
    """A file as it was (`before`) and as the switch left it (`after`; empty until it is written)."""

    path: str
    before: str
    mode: int
    after: str = ""


@dataclass
class Manifest:
    """What one switch did. `created` are files that were not there before, with what was written into them."""

    action: str
    time: str
    files: list[Saved] = field(default_factory=list)
    created: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, list[str]] = field(default_factory=dict)  # name: [before, after]


class Backup:
    """One backup folder of an agent folder."""

    def __init__(self, agent: Path, folder: Path, manifest: Manifest) -> None:
        self.agent = agent
        self.folder = folder
        self.manifest = manifest

    @classmethod
    def make(cls, agent: Path, action: str, names: Iterable[str]) -> Self:
        """Copy the files `names` (those that exist) of the agent folder. Raises OSError."""
        now = datetime.now(UTC)
        folder = agent / SECURITY / f"backup-{now:%Y%m%dT%H%M%S.%fZ}"
        folder.mkdir(mode=0o700, parents=True)
        backup = cls(agent, folder, Manifest(action, now.isoformat(timespec="seconds")))
        for name in names:
            path = agent / name
            if path.is_file():
                content = path.read_bytes()
                write_atomic(folder / path.name, content)
                backup.manifest.files.append(Saved(name, digest(content), path.stat().st_mode & 0o777))
        backup.save()
        return backup

    @classmethod
    def last(cls, agent: Path, action: str) -> Self | None:
        """The newest backup of that action; None when there is none that can be read."""
        for folder in sorted((agent / SECURITY).glob("backup-*"), reverse=True):
            try:
                fields = json.loads((folder / MANIFEST).read_text())
                fields["files"] = [Saved(**saved) for saved in fields["files"]]
                manifest = Manifest(**fields)
            except (OSError, ValueError, TypeError, KeyError):
                continue
            if manifest.action == action:
                return cls(agent, folder, manifest)
        return None

    def save(self) -> None:
        """Write the manifest."""
        write_atomic(self.folder / MANIFEST, (json.dumps(asdict(self.manifest), indent=2) + "\n").encode())

    def copies(self) -> list[Path]:
        """The files in this backup."""
        return [self.folder / Path(saved.path).name for saved in self.manifest.files]

    def saved(self, name: str) -> Saved | None:
        return next((saved for saved in self.manifest.files if saved.path == name), None)

    def note_changes(self) -> None:
        """Record what the files hold now, so that a later change can be told from the switch's own."""
        for saved in self.manifest.files:
            saved.after = file_digest(self.agent / saved.path)
        self.manifest.created = {name: file_digest(self.agent / name) for name in self.manifest.created}
        self.save()

    def unchanged_since(self, name: str) -> bool:
        """Whether a file is still what the switch wrote."""
        saved = self.saved(name)
        after = saved.after if saved else self.manifest.created.get(name, "")
        return bool(after) and after == file_digest(self.agent / name)

    def restore(self, name: str) -> None:
        """Put one file back as it was. Raises OSError."""
        saved = self.saved(name)
        if saved is not None and file_digest(self.agent / name) != saved.before:
            write_atomic(self.agent / name, (self.folder / Path(name).name).read_bytes(), saved.mode)

    def restore_all(self) -> None:
        """Put everything back: files as they were, created ones gone, and this backup with them. Raises OSError."""
        for saved in self.manifest.files:
            self.restore(saved.path)
        for name in self.manifest.created:
            (self.agent / name).unlink(missing_ok=True)
        shutil.rmtree(self.folder)


def digest(content: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(content).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file in hex; empty when it is not there."""
    return digest(path.read_bytes()) if path.is_file() else ""
