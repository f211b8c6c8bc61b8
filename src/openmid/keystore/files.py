"""Files: read whole and bounded, replaced in one step. Paths are text here: importing pathlib takes keytool 5 ms."""
# ruff: noqa: PTH105, PTH108, PTH110, PTH112, PTH113, PTH116, PTH118, PTH120, PTH121, PTH123, PTH202

from __future__ import annotations

import os
import stat
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from openmid.keystore.errors import FileProblem

if TYPE_CHECKING:
    from pathlib import Path

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
MAX_FILE = 64 * 1024 * 1024  # bytes; four times what BCFKS can hold under AES-CCM


def read_file(path: Path | str) -> bytes:
    """The file's bytes. Raises FileProblem with what the system said."""
    try:
        with open(path, "rb") as file:
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


def write_atomically(path: Path | str, data: bytes, mode: int = 0o600) -> None:
    """A new file beside the old one, synced, renamed over it; the folder is synced too. Raises FileProblem.

    What is no file is written to and never replaced: root may do that to a device, and /dev/null would be gone.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        return _write_into(path, data)
    target = os.path.realpath(path)  # a link stays a link
    temporary = os.path.join(folder_of(path), f".keystore.{os.getpid()}.{time.monotonic_ns()}.tmp")
    try:
        descriptor = os.open(temporary, _NEW_FILE, mode)
        try:
            with os.fdopen(descriptor, "wb") as file:
                _keep_owner(target, descriptor)
                file.write(data)
                file.flush()
                os.fsync(descriptor)
            os.replace(temporary, target)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
        _sync_folder(folder_of(path))
    except OSError as error:
        raise _unwritable(str(path), error) from error


def _write_into(path: Path | str, data: bytes) -> None:
    """A device or a pipe: /dev/stdout, `>(…)`."""
    try:
        with open(path, "wb") as stream:
            stream.write(data)
    except OSError as error:
        raise _unwritable(str(path), error) from error


def exists(path: str) -> bool:
    return os.path.exists(path)


def is_folder(path: str) -> bool:
    return os.path.isdir(path)


def is_empty(path: str) -> bool:
    """An ordinary file of no bytes."""
    return os.path.isfile(path) and not os.path.getsize(path)


def same(one: str, other: str) -> bool:
    """Both are there and are one file."""
    return os.path.exists(one) and os.path.exists(other) and os.path.samefile(one, other)


def folder_of(path: Path | str) -> str:
    """Where the file itself lies, if the path is a link."""
    return os.path.dirname(os.path.realpath(path))


def shown_folder(path: str) -> str:
    """As it is called in a message."""
    return os.path.dirname(path) or "."


def _keep_owner(target: str, descriptor: int) -> None:
    """A store that an administrator rewrites stays readable for the user whose it was."""
    if os.name == "posix" and os.geteuid() == 0 and os.path.exists(target):
        status = os.stat(target)
        os.fchown(descriptor, status.st_uid, status.st_gid)


def _sync_folder(folder: str) -> None:
    if os.name != "posix":
        return  # other systems do not open folders
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unwritable(path: str, error: OSError) -> FileProblem:
    folder = shown_folder(path)
    if isinstance(error, FileNotFoundError):
        return FileProblem(f"{path} cannot be written: the folder {folder} does not exist", f"mkdir -p {folder}")
    if isinstance(error, PermissionError):
        return FileProblem(f"{path} cannot be written by this user", f"check the owner and mode of {folder}")
    return FileProblem(f"{path} cannot be written: {error.strerror}")
