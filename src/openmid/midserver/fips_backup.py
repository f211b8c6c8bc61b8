"""Backups of the switch, and its journal: by them `off` undoes exactly what `on` did, and a switch that was
interrupted is put back by whoever comes next.

security/backup-<UTC time>/ holds the files as they were and manifest.json. Paths in the manifest are relative to the
agent folder; hashes are SHA-256 in hex. security/switch.json stands while a switch is under way and names its backup:
removing it is the commit.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from openmid.midserver.config import FILE, Config, sync_folder, write_atomic
from openmid.midserver.errors import ConfigError, MidError

SECURITY, STAGED, JOURNAL = "security", "security/fips", "security/switch.json"
MANIFEST = "manifest.json"
UNDONE = "undone"
SCRATCH = ".switch-"


class SwitchError(MidError):
    """Raised when the switch was refused, or failed and put everything back."""


@dataclass
class Saved:
    """A file as it was (`before`) and as the switch leaves it (`after`; empty until that is known, or when it goes)."""

    path: str
    before: str
    mode: int
    after: str = ""


@dataclass
class Manifest:
    """What one switch does. `created` are files that were not there before, with what is written into them; `staged`
    the files of the staged provider that stood before; `action` becomes `undone` when all is put back."""

    action: str
    time: str
    files: list[Saved] = field(default_factory=list)
    created: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, list[str]] = field(default_factory=dict)  # name: [before, after]
    staged: dict[str, str] = field(default_factory=dict)


class Backup:
    """One backup folder of an agent folder."""

    def __init__(self, agent: Path, folder: Path, manifest: Manifest) -> None:
        self.agent = agent
        self.folder = folder
        self.manifest = manifest

    @classmethod
    def make(cls, agent: Path, action: str, names: Iterable[str], scratch: Path) -> Self:
        """Copy the files `names` (those that exist) of the agent folder; the backup appears whole. Raises OSError."""
        now = datetime.now(UTC)
        folder = scratch / "backup"
        folder.mkdir(mode=0o700)
        backup = cls(agent, folder, Manifest(action, now.isoformat(timespec="seconds")))
        for name in names:
            path = agent / name
            if path.is_file():
                content = path.read_bytes()
                write_atomic(folder / path.name, content)
                backup.manifest.files.append(Saved(name, digest(content), path.stat().st_mode & 0o777))
        staged = agent / STAGED
        files = sorted(path for path in staged.rglob("*") if path.is_file())
        backup.manifest.staged = {str(path.relative_to(staged)): file_digest(path) for path in files}
        backup.save()
        backup.folder = folder.rename(agent / SECURITY / f"backup-{now:%Y%m%dT%H%M%S.%fZ}")
        sync_folder(agent / SECURITY)
        return backup

    @classmethod
    def load(cls, agent: Path, folder: Path) -> Self | None:
        """The backup in `folder`; None when it cannot be read."""
        try:
            fields = json.loads((folder / MANIFEST).read_text())
            fields["files"] = [Saved(**saved) for saved in fields["files"]]
            return cls(agent, folder, Manifest(**fields))
        except (OSError, ValueError, TypeError, KeyError):
            return None

    @classmethod
    def last(cls, agent: Path, action: str) -> Self | None:
        """The newest backup of that action; None when there is none that can be read."""
        for folder in sorted((agent / SECURITY).glob("backup-*"), reverse=True):
            backup = cls.load(agent, folder)
            if backup is not None and backup.manifest.action == action:
                return backup
        return None

    def save(self) -> None:
        """Write the manifest."""
        write_atomic(self.folder / MANIFEST, (json.dumps(asdict(self.manifest), indent=2) + "\n").encode())

    def begin(self) -> None:
        """From here until `commit`, whoever comes next puts everything back."""
        entry = {"backup": self.folder.name, "action": self.manifest.action, "time": self.manifest.time}
        write_atomic(self.agent / JOURNAL, (json.dumps(entry) + "\n").encode())

    def commit(self) -> None:
        """What was done stands."""
        (self.agent / JOURNAL).unlink()
        sync_folder(self.agent / SECURITY)

    def set_stage_aside(self) -> None:
        """The staged provider, if there is one, moves into this backup."""
        if self.manifest.staged:
            (self.agent / STAGED).rename(self.folder / "fips")

    def copies(self) -> list[Path]:
        """The files in this backup."""
        return [self.folder / Path(saved.path).name for saved in self.manifest.files]

    def saved(self, name: str) -> Saved | None:
        """The entry of one file."""
        return next((saved for saved in self.manifest.files if saved.path == name), None)

    def plan(self, name: str, content: bytes) -> None:
        """Note what the switch is about to write, so that a later change can be told from the switch's own."""
        saved = self.saved(name)
        if saved is not None:
            saved.after = digest(content)
        else:
            self.manifest.created[name] = digest(content)

    def unchanged_since(self, name: str) -> bool:
        """Whether a file is still what the switch wrote."""
        saved = self.saved(name)
        after = saved.after if saved else self.manifest.created.get(name, "")
        return bool(after) and after == file_digest(self.agent / name)

    def content(self, name: str) -> bytes:
        """A file as it was."""
        return (self.folder / Path(name).name).read_bytes()

    def restore(self, name: str) -> None:
        """Put one file back as it was. Raises OSError."""
        saved = self.saved(name)
        if saved is not None and file_digest(self.agent / name) != saved.before:
            write_atomic(self.agent / name, self.content(name), saved.mode)

    def put_back(self) -> list[str]:
        """Everything as it was, and the journal closed; may be called again after it was interrupted itself.

        What somebody else changed meanwhile stays (config.xml: all but the switch's own parameters) or is set aside in
        this backup; sentences say so. Without that, this backup goes: it holds nothing that is not in place.

        Raises OSError.
        """
        if self.manifest.action != UNDONE:
            kept = [*(self._put_file_back(saved) for saved in self.manifest.files)]
            kept += [self._take_away(name, after) for name, after in self.manifest.created.items()]
            self._put_stage_back()
            self.manifest.action = UNDONE
            self.save()
        else:
            kept = []
        (self.agent / JOURNAL).unlink(missing_ok=True)
        sync_folder(self.agent / SECURITY)
        sentences = [sentence for sentence in kept if sentence]
        if not any(self.folder.glob("found-*")):
            shutil.rmtree(self.folder.rename(self.agent / SECURITY / f"{SCRATCH}{self.folder.name}"))
        return sentences

    def _put_file_back(self, saved: Saved) -> str:
        now = file_digest(self.agent / saved.path)
        if now in (saved.before, saved.after, ""):
            self.restore(saved.path)
            return ""
        if saved.path == FILE:
            self._reset_parameters()
            return f"{self.agent / FILE}: it was edited meanwhile, and keeps that"
        kept = self._set_aside(saved.path)
        self.restore(saved.path)
        return f"{kept}: what was in {self.agent / saved.path}"

    def _reset_parameters(self) -> None:
        config = Config.read(self.agent)
        for name, (before, after) in self.manifest.parameters.items():
            if config.parameter(name) == after:
                config.set_parameter(name, before)
        config.save()

    def _take_away(self, name: str, after: str) -> str:
        now = file_digest(self.agent / name)
        if now not in (after, ""):
            return f"{self._set_aside(name)}: what was in {self.agent / name}"
        (self.agent / name).unlink(missing_ok=True)
        return ""

    def _set_aside(self, name: str) -> Path:
        return (self.agent / name).rename(self.folder / f"found-{Path(name).name}")

    def _put_stage_back(self) -> None:
        staged, aside = self.agent / STAGED, self.folder / "fips"
        if self.manifest.staged and not aside.exists():
            return  # it never moved, or is back already
        if staged.exists():
            gone = staged.rename(self.agent / SECURITY / f"{SCRATCH}{os.getpid()}-fips")
            shutil.rmtree(gone)
        if aside.exists():
            aside.rename(staged)


def under_way(agent: Path) -> str:
    """What a switch that has not come to its end was doing, `on` or `off`; empty when there is none."""
    return str(_journal(agent).get("action") or "on or off") if (agent / JOURNAL).exists() else ""


def recover(agent: Path) -> list[str]:
    """Put back what an interrupted switch left; the caller holds the lock. Sentences that say what was done.

    Raises:
        SwitchError: it cannot be put back.
    """
    _clear(agent)
    if not (agent / JOURNAL).exists():
        return []
    entry = _journal(agent)
    folder = agent / SECURITY / str(entry.get("backup", ""))
    backup = Backup.load(agent, folder)
    if backup is None:
        raise SwitchError(
            f"a switch of FIPS Enforced Mode was interrupted, and its backup {folder} cannot be read",
            f"look at the files in {agent / SECURITY}, mend them, and remove {agent / JOURNAL}",
        )
    try:
        kept = backup.put_back()
    except (OSError, ConfigError) as error:
        raise SwitchError(
            f"a switch of FIPS Enforced Mode was interrupted, and cannot be put back: {error}",
            f"mend that and run it again; or copy the files in {folder} back by hand (its {MANIFEST} says where each "
            f"belongs), and remove {agent / JOURNAL}",
        ) from error
    done = f"the switch {entry.get('action')} of {entry.get('time')} was interrupted; everything was put back"
    return [done, *(f"kept {sentence}" for sentence in kept)]


def _journal(agent: Path) -> dict[str, str]:
    try:
        entry = json.loads((agent / JOURNAL).read_text())
    except (OSError, ValueError):
        return {}
    return entry if isinstance(entry, dict) else {}


def _clear(agent: Path) -> None:
    """What a killed process left half-made: its folders, and temporary files that never became what they were for."""
    for pattern in (f"{SCRATCH}*", ".fips-*"):  # the switch's, and those of provider.stage
        for folder in (agent / SECURITY).glob(pattern):
            shutil.rmtree(folder, ignore_errors=True)
    for folder in (agent, agent / SECURITY, agent / "work"):
        for path in folder.glob(".*.tmp"):
            path.unlink(missing_ok=True)


def digest(content: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(content).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file in hex; empty when it is not there."""
    return digest(path.read_bytes()) if path.is_file() else ""
