"""Everything that the midserver room raises towards a user. `str(error)` is one sentence; `hint` says what to do.

MidError
  ConfigError          agent/config.xml is missing, unreadable, or says something that cannot be
  InstallError         the folder cannot be laid out, or belongs to another MID Server
  AlreadyRunning       another process serves this folder
  StartError           the MID Server cannot start: FIPS not proved, no own key, no credential
  InstanceError        the instance was asked
    InstanceUnreachable   and there is no answer: try again later
    InstanceRefused       and it said no: trying again changes nothing
  SecretUnavailable    the external credential store does not hand a secret out
  SealedSecretRefused  a sealed secret is not for this MID Server, record or column
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

from openmid import system


class MidError(Exception):
    """The tree's root."""

    def __init__(self, sentence: str, hint: str = "") -> None:
        super().__init__(sentence)
        self.hint = hint


class ConfigError(MidError):
    """Raised when agent/config.xml cannot be read or written, or one of its values is wrong."""


class InstallError(MidError):
    """Raised when a folder cannot become a MID Server's."""


class AlreadyRunning(MidError):
    """Raised when another process holds the folder's lock."""


class StartError(MidError):
    """Raised when a MID Server may not or cannot start."""


class InstanceError(MidError):
    """Raised when a request to the instance did not bring its answer."""


class InstanceUnreachable(InstanceError):
    """Raised when there is no answer, or one of a busy or broken instance."""


class InstanceRefused(InstanceError):
    """Raised when the instance answers with a refusal; `code` is the instance's, `status` HTTP's."""

    def __init__(self, sentence: str, hint: str = "", *, code: str = "", status: int = 0) -> None:
        super().__init__(sentence, hint)
        self.code = code
        self.status = status


class SecretUnavailable(MidError):
    """Raised when the external credential store has no such secret, or no answer."""


class SealedSecretRefused(MidError):
    """Raised when a sealed secret does not open here, or was sealed for something else."""


@contextlib.contextmanager
def as_sentences() -> Iterator[None]:
    """What the system says of a file of the MID Server's becomes a sentence; an error that names none is a defect."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            raise
        raise StartError(f"{error.filename} cannot be used: {error.strerror}", remedy(error)) from error


def remedy(error: OSError) -> str:
    """What an administrator does about it."""
    match error.errno:
        case errno.EACCES | errno.EPERM:
            return f"give it to the user that runs the MID Server ({system.HERE.user()})"
        case errno.ENOSPC | errno.EDQUOT:
            return "make room on its disk"
        case errno.EROFS:
            return "let the MID Server's user write there: its file system is mounted read-only"
    return "look whether it is there, and what it is"
