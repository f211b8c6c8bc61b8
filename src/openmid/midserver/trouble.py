"""Trouble, with the instance or with the disk: each kind is complained of once, and its end is said."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from openmid.midserver.errors import InstanceRefused, InstanceUnreachable

log = structlog.get_logger()

NOT_VALIDATED = "not_validated"
"""The instance's code for what an administrator may lift."""
FOR_GOOD = frozenset({"too_large", "bad_message"})
"""Its codes for a message that it will never take. Any other refusal may be a mistake in somebody's configuration."""


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
        return isinstance(error, InstanceRefused) and error.code in FOR_GOOD

    def complain(self, what: str, sentence: str, remedy: str) -> None:
        """Something here is wrong, by which no job is taken."""
        if self._said.get(what) != sentence:
            self._said[what] = self.last = sentence
            log.error(sentence, remedy=remedy)

    def over(self, what: str, sentence: str = "") -> None:
        """It went well."""
        if self._said.pop(what, ""):
            log.info(sentence or f"the instance answers again ({what})")
