"""Files: read whole and bounded, replaced in one step."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

from openmid.keystore.errors import FileProblem

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
MAX_FILE = 64 * 1024 * 1024  # bytes; four times what BCFKS can hold under AES-CCM


def read_file(path: Path) -> bytes:
    """The file's bytes. Raises FileProblem with what the system said."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise FileProblem(f"{path} is not a file")
            if status.st_size > MAX_FILE:
                raise FileProblem(
                    f"{path} is too large for a keystore: {status.st_size >> 20} MB, at most {MAX_FILE >> 20}"
                )
            data = file.read(status.st_size + 1)
    except FileNotFoundError as error:
        raise FileProblem(
            f"{path} does not exist", "check the path; a relative one starts in the current folder"
        ) from error
    except PermissionError as error:
        raise FileProblem(
            f"{path} may not be read by this user", "check the owner and mode of file and folders"
        ) from error
    except IsADirectoryError as error:
        raise FileProblem(f"{path} is a folder, not a keystore") from error
    except OSError as error:
        raise FileProblem(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise FileProblem("a path cannot contain a zero byte") from error
    if not data:
        raise FileProblem(f"{path} is empty", "the program that should have written it did not finish")
    return data


def write_atomically(path: Path, data: bytes, mode: int = 0o600) -> None:
    """A new file beside the old one, synced, renamed over it; the folder is synced too. Raises FileProblem."""
    target = Path(os.path.realpath(path))  # a link stays a link
    temporary = target.with_name(f".keystore.{os.getpid()}.{time.monotonic_ns()}.tmp")
    try:
        descriptor = os.open(temporary, _NEW_FILE, mode)
        try:
            with os.fdopen(descriptor, "wb") as file:
                _keep_owner(target, descriptor)
                file.write(data)
                file.flush()
                os.fsync(descriptor)
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(target.parent)
    except OSError as error:
        raise _unwritable(path, error) from error


def _keep_owner(target: Path, descriptor: int) -> None:
    """A store that an administrator rewrites stays readable for the user whose it was."""
    if os.name == "posix" and os.geteuid() == 0 and target.exists():
        status = target.stat()
        os.fchown(descriptor, status.st_uid, status.st_gid)


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return  # other systems do not open folders
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unwritable(path: Path, error: OSError) -> FileProblem:
    if isinstance(error, FileNotFoundError):
        return FileProblem(
            f"{path} cannot be written: the folder {path.parent} does not exist", f"mkdir -p {path.parent}"
        )
    if isinstance(error, PermissionError):
        return FileProblem(f"{path} cannot be written by this user", f"check the owner and mode of {path.parent}")
    return FileProblem(f"{path} cannot be written: {error.strerror}")
