"""What a request prefers (RFC 7240): to wait for the end, and to be told no more than what came of it."""

from __future__ import annotations

import re
from typing import NamedTuple, Self

from starlette.requests import Request

from openmid.instance.actions.brief import brief
from openmid.instance.actions.details import Read, told
from openmid.instance.ecc import queue

MAX_WAIT_S = 60
_WAIT = re.compile(r"\bwait\s*=\s*(\d{1,6})\b", re.IGNORECASE)
_MINIMAL = re.compile(r"\breturn\s*=\s*\"?minimal\b", re.IGNORECASE)


class Preferences(NamedTuple):
    """`Prefer: wait=N, return=minimal` (sections 4.3 and 4.2)."""

    wait: int = 0
    """Seconds, as many as are allowed."""
    minimal: bool = False

    @classmethod
    def of(cls, request: Request) -> Self:
        """Those of a request."""
        asked = ", ".join(request.headers.getlist("prefer"))
        wait = _WAIT.search(asked)
        return cls(min(int(wait[1]), MAX_WAIT_S) if wait else 0, _MINIMAL.search(asked) is not None)

    @property
    def read(self) -> Read:
        """How executions are read for the answer."""
        return brief if self.minimal else told

    @property
    def priority(self) -> int:
        """Whoever waits comes before whoever does not."""
        return queue.EXPEDITED if self.wait else queue.STANDARD

    @property
    def applied(self) -> dict[str, str]:
        """The header that says which of them were honoured (section 3)."""
        said = [f"wait={self.wait}"] * bool(self.wait) + ["return=minimal"] * self.minimal
        return {"Preference-Applied": ", ".join(said)} if said else {}
