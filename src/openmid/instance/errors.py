"""The instance's error tree. `str(error)` is the one sentence; `hint` says what to do.

InstanceError
  FolderError      the instance's folder is missing, unreadable, not initialised, or from a newer openmid
  PortInUseError          another process listens where the instance should
  NotEnforced             it should run in FIPS Enforced Mode, and cannot (`openmid.instance.fips`)
  OutcomeUnknownError     the database server went away during a commit, and has not come back to tell
  NotDoneError            a command cannot be carried out: a name that is not there, a fingerprint that does not match
"""

from __future__ import annotations


class InstanceError(Exception):
    """Raised when the instance cannot do what was asked; never with a secret in it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class FolderError(InstanceError):
    """Raised when the instance's folder cannot be used."""


class PortInUseError(InstanceError):
    """Raised when another process listens on the instance's port."""


class OutcomeUnknownError(InstanceError):
    """Raised when the database server went away during a commit and has not come back."""


class NotDoneError(InstanceError):
    """Raised when a command cannot be carried out."""
