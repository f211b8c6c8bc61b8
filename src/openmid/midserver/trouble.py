"""Trouble with the instance: each kind of conversation is complained of once, and its end is said."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from openmid.midserver.errors import InstanceRefused, InstanceUnreachable

log = structlog.get_logger()

NOT_VALIDATED, UNKNOWN = "not_validated", "unknown_credential"
"""The instance's codes for refusals that an administrator may lift."""


class Trouble:
    """What goes wrong at the moment, by the kind of conversation: claim, results, heartbeat, configuration."""

    def __init__(self, invalidated: Callable[[], None]) -> None:
        """`invalidated` is called when the instance says that it gives this MID Server no work any more."""
        self._invalidated = invalidated
        self._said: dict[str, str] = {}
        self.last = ""
        """The last sentence that was logged here, also when it is over."""

    def note(self, what: str, error: InstanceRefused | InstanceUnreachable) -> bool:
        """It went wrong. Returns whether trying again is no use."""
        if isinstance(error, InstanceRefused) and error.code == NOT_VALIDATED:
            self._said.pop(what, None)
            self._invalidated()  # no surprise: an administrator took it back
            return False
        if self._said.get(what) != str(error):
            self._said[what] = self.last = str(error)
            log.warning(f"{what}: {error}; trying again", remedy=error.hint)
        return isinstance(error, InstanceRefused) and error.code != UNKNOWN

    def over(self, what: str) -> None:
        """It went well."""
        if self._said.pop(what, ""):
            log.info(f"the instance answers again ({what})")
