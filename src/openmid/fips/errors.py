"""What can go wrong in this room.

FipsError                 every error of the room: one sentence, and a hint that says what to do
  ProviderNotFound        when no place on this machine has a FIPS provider
  ProviderRefused         when a file is not a FIPS module that the running OpenSSL can load
  StagingFailed           when the provider's copies cannot be written, or are not what was written
  NotActivated            when a process cannot be, or is not, under the staged configuration
  KeyGenerationFailed     when `openssl genpkey` did not make the key
  BuildImpossible         when the provider cannot be built on this machine
"""

from __future__ import annotations


class FipsError(Exception):
    """`str()` is the sentence, `hint` says what to do (may be empty)."""

    def __init__(self, sentence: str, hint: str = "") -> None:
        super().__init__(sentence)
        self.hint = hint


class ProviderNotFound(FipsError):
    """No place on this machine has a FIPS provider."""


class ProviderRefused(FipsError):
    """The file is not a FIPS module that the running OpenSSL can load."""


class StagingFailed(FipsError):
    """The provider's copies cannot be written, or are not what was written."""


class NotActivated(FipsError):
    """The process cannot be, or is not, under the staged configuration."""


class KeyGenerationFailed(FipsError):
    """`openssl genpkey` did not make the key."""


class BuildImpossible(FipsError):
    """The provider cannot be built on this machine."""
