"""What differs between operating systems, on both branches: Windows' own modules are handed in by stand-ins."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from openmid.system import Posix, System, Windows


class Msvcrt:
    """msvcrt.locking over POSIX's byte ranges, which belong to a process: so a second descriptor needs a second one."""

    LK_NBLCK = 2

    def __init__(self) -> None:
        self.held: set[tuple[int, int]] = set()

    def locking(self, descriptor: int, mode: int, count: int) -> None:
        assert (mode, count) == (self.LK_NBLCK, 1)
        place = os.fstat(descriptor).st_ino, os.lseek(descriptor, 0, os.SEEK_CUR)
        if place in self.held:
            raise OSError(errno.EACCES, "Permission denied")
        self.held.add(place)


class Programs:
    """What was started, instead of starting it."""

    def __init__(self) -> None:
        self.words: list[list[str]] = []

    def __call__(self, words: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        assert options["check"]
        self.words.append(words)
        return subprocess.CompletedProcess(words, 0, "", "")


def windows() -> Windows:
    return Windows(Msvcrt(), Programs(), alive=lambda pid: pid == os.getpid())


both = pytest.mark.parametrize("here", [Posix(), windows()], ids=["posix", "windows"])


@both
def test_a_lock_is_held_by_one(here: System, tmp_path: Path) -> None:
    (tmp_path / "lock").write_bytes(b"content")
    first, second = (os.open(tmp_path / "lock", os.O_RDWR) for _ in range(2))
    try:
        here.lock(first)
        with pytest.raises(OSError):
            here.lock(second)
        assert (tmp_path / "lock").read_bytes() == b"content"
    finally:
        os.close(first)
        os.close(second)


def test_windows_locks_a_byte_behind_what_is_read(tmp_path: Path) -> None:
    here = windows()
    descriptor = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    here.lock(descriptor)
    os.close(descriptor)
    assert here._msvcrt.held == {((tmp_path / "lock").stat().st_ino, Windows.LOCKED_AT)}
    assert (tmp_path / "lock").stat().st_size == 0


@both
def test_a_memory_file_is_read_by_its_path_and_gone_afterwards(here: System) -> None:
    with here.memory_file(b"encrypted") as path:
        assert Path(path).read_bytes() == b"encrypted"
        if isinstance(here, Windows):
            assert Path(path).stat().st_mode & 0o777 == 0o600
    assert not Path(path).exists()


def test_a_memory_file_is_gone_also_when_its_reader_fails() -> None:
    seen = []

    def read(path: str) -> None:
        seen.append(path)
        raise ValueError

    with pytest.raises(ValueError), windows().memory_file(b"x") as path:
        read(path)
    assert not Path(seen[0]).exists()


@both
def test_a_file_is_replaced_in_one_step(here: System, tmp_path: Path) -> None:
    (tmp_path / "old").write_text("old")
    (tmp_path / "new").write_text("new")
    here.replace(tmp_path / "new", tmp_path / "old")
    here.sync_folder(tmp_path)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("old", "new")]


class Busy(type(Path())):  # type: ignore[misc]
    """A file that a virus scanner holds open for two tries."""

    tries = 0

    def replace(self, target: Any) -> Any:
        Busy.tries += 1
        if Busy.tries < 3:
            raise PermissionError(errno.EACCES, "in use")
        return super().replace(target)


def test_windows_waits_for_who_has_the_target_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Windows, "PAUSE_SECONDS", 0)
    (tmp_path / "new").write_text("new")
    windows().replace(Busy(tmp_path / "new"), tmp_path / "old")
    assert (tmp_path / "old").read_text() == "new"
    assert Busy.tries == 3


def test_windows_gives_up_in_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Windows, "PAUSE_SECONDS", 0)
    monkeypatch.setattr(Windows, "TRIES", 0)
    with pytest.raises(FileNotFoundError):
        windows().replace(tmp_path / "gone", tmp_path / "old")


def test_a_private_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder").mkdir(mode=0o755)
    Posix().make_private(tmp_path / "folder")
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o700
    monkeypatch.setenv("USERDOMAIN", "WORK")
    monkeypatch.setenv("USERNAME", "mid")
    here = windows()
    here.make_private(tmp_path)
    assert here._run.words == [  # type: ignore[attr-defined]
        ["icacls", str(tmp_path), "/inheritance:r",
         "/grant:r", "WORK\\mid:(OI)(CI)F", "/grant:r", "*S-1-5-18:(OI)(CI)F"]
    ]  # fmt: skip


@both
def test_the_owner_is_named_as_the_user_is(here: System, tmp_path: Path) -> None:
    assert here.owner(tmp_path) == here.user()


def test_a_user_without_a_name_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4_000_000_000)
    assert Posix().user() == "4000000000"


@both
async def test_a_process_is_asked_to_stop(here: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Windows, "WATCH_SECONDS", 0.01)
    (tmp_path / "stop").write_text("of an earlier life")
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    stop = asyncio.Event()
    try:
        here.on_stop(tmp_path / "stop", stop.set)
        await asyncio.sleep(0.05)
        assert not stop.is_set()
        here.ask_to_stop(os.getpid(), tmp_path / "stop")
        await asyncio.wait_for(stop.wait(), 10)
    finally:
        for number, handler in zip((signal.SIGINT, signal.SIGTERM), before, strict=True):
            asyncio.get_running_loop().remove_signal_handler(number)
            signal.signal(number, handler)
    assert not (tmp_path / "stop").exists() or isinstance(here, Posix)


def test_a_process_that_is_gone_is_not_asked(tmp_path: Path) -> None:
    with pytest.raises(ProcessLookupError):
        windows().ask_to_stop(1, tmp_path / "stop")
    assert not (tmp_path / "stop").exists()


def test_a_process_that_outlives_its_starter() -> None:
    assert Posix().spawn_options() == {"start_new_session": True}
    assert windows().spawn_options() == {"creationflags": 0x208}


def test_nothing_else_calls_what_one_system_alone_has() -> None:
    """In what a MID Server runs. `fips` is Linux' own; the instance is served on POSIX systems."""
    import re

    modules = r"import (?:fcntl|pwd|grp|resource|termios|msvcrt|winreg)\b"
    calls = r"os\.(?:fork|fchmod|fchown|chown|getuid|geteuid|memfd_create|kill|setsid)\b"
    others = r"add_signal_handler|pass_fds|SIGKILL|sys\.platform"
    only_one = re.compile(f"{modules}|{calls}|{others}")
    root = Path(__file__).parents[1] / "src/openmid"
    found = {
        f"{path.relative_to(root)}: {match[0]}"
        for room in ("midserver", "wire", "diagnosis", "cli", "keystore")
        for path in (root / room).rglob("*.py")
        for match in only_one.finditer(path.read_text())
    }
    # Both are guarded there: by os.name, and by ImportError.
    assert found == {
        "keystore/files.py: os.geteuid",
        "keystore/files.py: os.fchown",
        "keystore/keytool/stores.py: import fcntl",
    }
