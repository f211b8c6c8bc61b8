"""What differs between operating systems, behind one small interface: `HERE` is this machine's.

POSIX systems (Linux is what CI runs on) and Windows. Each class takes the modules of its own system as arguments, so that
both are read and tried on either; nothing else in openmid asks `os.name`. Imports nothing of openmid, and no cryptography.
"""

from __future__ import annotations

import asyncio
import contextlib
import glob
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

O_BINARY = getattr(os, "O_BINARY", 0)
"""Without it Windows writes CR LF for LF."""


class System(Protocol):
    """What openmid asks of an operating system."""

    windows: bool
    script: str
    """What the scripts in agent/bin end with."""

    def lock(self, descriptor: int) -> None:
        """Lock an open file as long as it stays open, however the process ends. OSError: somebody else has it."""

    def restrict(self, descriptor: int, mode: int) -> None:
        """Give an open file exactly this mode."""

    def make_private(self, folder: Path) -> None:
        """Let nobody but the owner (and the system itself) into `folder`."""

    def replace(self, source: Path, target: Path) -> None:
        """Rename over `target`, in one step."""

    def sync_folder(self, folder: Path) -> None:
        """Let what was renamed or removed in `folder` be on the disk."""

    def user(self) -> str:
        """Who runs this process, for a sentence."""

    def owner(self, path: Path) -> str:
        """Whose `path` is, in the words of `user`."""

    def exposed(self, path: Path) -> bool:
        """Whether other users may read it; False where it is not there."""

    def keep_owner(self, path: Path, like: Path) -> None:
        """Give a file that root has made to the owner of `like`."""

    def memory_file(self, content: bytes) -> contextlib.AbstractContextManager[str]:
        """A path to `content`, for what reads from files only. Where there are no memory files it is a file of the
        owner's that is removed at once: hand it nothing in clear."""

    def spawn_options(self) -> dict[str, Any]:
        """For `subprocess.Popen`: a process that outlives its starter and its terminal."""

    def most_memory(self) -> int:
        """Bytes of the resident set at its highest so far; 0 where the system does not say."""

    def run_again(self) -> None:
        """Begin this program anew, with the words and the environment that it was started with; does not return."""

    def ask_to_stop(self, pid: int, request: Path) -> None:
        """Ask a process to finish; `request` is the file that it watches where there are no signals. PermissionError:
        it is somebody else's. ProcessLookupError: it is gone."""

    def on_stop(self, request: Path, stop: Callable[[], None]) -> None:
        """Call `stop` in the running event loop when the process is asked to finish."""


class Posix:
    """Linux, and other systems with signals and flock."""

    windows = False
    script = ".sh"

    def lock(self, descriptor: int) -> None:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def restrict(self, descriptor: int, mode: int) -> None:
        os.fchmod(descriptor, mode)

    def make_private(self, folder: Path) -> None:
        folder.chmod(0o700)

    def replace(self, source: Path, target: Path) -> None:
        source.replace(target)

    def sync_folder(self, folder: Path) -> None:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def user(self) -> str:
        return self._name(os.geteuid())

    def owner(self, path: Path) -> str:
        return self._name(path.stat().st_uid)

    def exposed(self, path: Path) -> bool:
        try:
            return bool(path.stat().st_mode & 0o077)
        except OSError:
            return False

    def keep_owner(self, path: Path, like: Path) -> None:
        if os.geteuid() == 0:
            status = like.stat()
            os.chown(path, status.st_uid, status.st_gid)

    @staticmethod
    def _name(uid: int) -> str:
        import pwd

        try:
            return pwd.getpwuid(uid).pw_name
        except KeyError:
            return str(uid)

    @contextlib.contextmanager
    def memory_file(self, content: bytes) -> Iterator[str]:
        if not hasattr(os, "memfd_create"):
            with removed_file(content) as path:
                yield path
            return
        with os.fdopen(os.memfd_create("openmid", os.MFD_CLOEXEC), "wb") as file:
            file.write(content)
            file.flush()
            yield f"/proc/self/fd/{file.fileno()}"

    def spawn_options(self) -> dict[str, Any]:
        return {"start_new_session": True}

    def most_memory(self) -> int:
        import resource

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024

    def run_again(self) -> None:
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606  this very program

    def ask_to_stop(self, pid: int, request: Path) -> None:
        os.kill(pid, signal.SIGTERM)

    def on_stop(self, request: Path, stop: Callable[[], None]) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop)


class Windows:
    """Windows: locks of byte ranges, no modes but access lists, no signals between processes but a file that is watched."""

    windows = True
    script = ".bat"
    LOCKED_AT = 1 << 30
    """Windows' locks forbid reading, too: the byte that is locked lies behind everything that is read."""
    WATCH_SECONDS = 0.5
    TRIES, PAUSE_SECONDS = 20, 0.05
    DETACHED = 0x00000008 | 0x00000200  # DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP (processthreadsapi.h)

    def __init__(
        self,
        msvcrt: ModuleType | Any = None,
        run: Callable[..., Any] = subprocess.run,
        alive: Callable[[int], bool] | None = None,
    ) -> None:
        """`msvcrt` is the module, `run` starts programs, `alive` says whether a pid is a process."""
        self._msvcrt = msvcrt
        self._run = run
        self._alive = alive or _windows_alive
        self._watching: asyncio.Task[None] | None = None

    def lock(self, descriptor: int) -> None:
        msvcrt = self._msvcrt
        if msvcrt is None:
            import msvcrt
        os.lseek(descriptor, self.LOCKED_AT, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

    def restrict(self, descriptor: int, mode: int) -> None:
        """Nothing: a file has the access list of its folder, and `make_private` made that."""

    def make_private(self, folder: Path) -> None:
        # Inherited entries go; the user and the system (S-1-5-18) get everything, also in what will lie in the folder.
        grants = [word for who in (self.user(), "*S-1-5-18") for word in ("/grant:r", f"{who}:(OI)(CI)F")]
        words = ["icacls", str(folder), "/inheritance:r", *grants]
        self._run(words, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def replace(self, source: Path, target: Path) -> None:
        # Whoever has the target open (a virus scanner, a backup) stands in the way for a moment.
        for _ in range(self.TRIES):
            with contextlib.suppress(PermissionError):
                source.replace(target)
                return
            time.sleep(self.PAUSE_SECONDS)
        source.replace(target)

    def sync_folder(self, folder: Path) -> None:
        """Nothing: folders cannot be opened there, and NTFS writes its own journal."""

    def user(self) -> str:
        domain, name = os.environ.get("USERDOMAIN", ""), os.environ.get("USERNAME", "")
        return f"{domain}\\{name}" if domain else name

    def exposed(self, path: Path) -> bool:
        return False  # its folder's access list counts, and `make_private` made that

    def owner(self, path: Path) -> str:
        return self.user()  # access lists, not owners, decide there: whoever may write is as good as the owner

    def keep_owner(self, path: Path, like: Path) -> None:
        """Nothing: a file has the access list of its folder."""

    def memory_file(self, content: bytes) -> contextlib.AbstractContextManager[str]:
        return removed_file(content)

    def spawn_options(self) -> dict[str, Any]:
        return {"creationflags": self.DETACHED}

    def most_memory(self) -> int:
        return 0

    def run_again(self) -> None:
        subprocess.Popen([sys.executable, *sys.orig_argv[1:]], stdin=subprocess.DEVNULL, **self.spawn_options())
        raise SystemExit(0)

    def ask_to_stop(self, pid: int, request: Path) -> None:
        if not self._alive(pid):
            raise ProcessLookupError(pid)
        request.write_text(f"{pid}\n")

    def on_stop(self, request: Path, stop: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, getattr(signal, "SIGBREAK", signal.SIGTERM)):
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop))
        request.unlink(missing_ok=True)  # of an earlier life
        self._watching = loop.create_task(self._watch(request, stop))

    async def _watch(self, request: Path, stop: Callable[[], None]) -> None:
        while not request.exists():
            await asyncio.sleep(self.WATCH_SECONDS)
        request.unlink(missing_ok=True)
        stop()


@contextlib.contextmanager
def removed_file(content: bytes) -> Iterator[str]:
    """A file of the owner's with `content`; closed, since Windows lets nobody else open it before, and gone afterwards."""
    descriptor, path = tempfile.mkstemp(prefix="openmid.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        yield path
    finally:
        Path(path).unlink()


def write_atomic(path: Path, content: bytes, mode: int = 0o600, *, lasting: bool = True) -> None:
    """`content` in `path`, whole or not at all, readable by its owner only unless `mode` says otherwise.

    The disk is waited for unless it need not be `lasting`: what only says how things are now, nobody asks for after a loss
    of power.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | O_BINARY, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            HERE.restrict(file.fileno(), mode)
            file.write(content)
            file.flush()
            if lasting:
                os.fsync(file.fileno())
        HERE.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if lasting:
        HERE.sync_folder(path.parent)


def sweep(*paths: Path) -> None:
    """Remove what killed processes left of these files (`write_atomic`); for whoever is the only one to write them now."""
    for path in paths:
        for left in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
            left.unlink(missing_ok=True)


def _windows_alive(pid: int) -> bool:
    import ctypes

    kernel = ctypes.WinDLL("kernel32", use_last_error=True)  # type: ignore[attr-defined,unused-ignore]
    handle = kernel.OpenProcess(0x1000, False, pid)  # PROCESS_QUERY_LIMITED_INFORMATION
    if not handle:
        return False
    code = ctypes.c_ulong()
    running = bool(kernel.GetExitCodeProcess(handle, ctypes.byref(code))) and code.value == 259  # STILL_ACTIVE
    kernel.CloseHandle(handle)
    return running


HERE: System = Windows() if os.name == "nt" else Posix()
