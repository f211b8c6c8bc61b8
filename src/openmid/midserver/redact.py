"""No secret in a log. Whatever is opened here is learnt, and masked wherever it would be written."""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from typing import Any

MASK = "********"
SHORTEST = 4
"""A shorter secret would mask half of the language, and hides nothing."""

_learnt: set[str] = set()
_BEARER = re.compile(r"(?i)(bearer\s+)[\w.~+/=-]+")
_NAMES = re.compile(r"(?i)password|secret|token|credential|authorization")


def learn(secret: str) -> str:
    """Mask `secret` from now on. Returns it."""
    if len(secret) >= SHORTEST:
        _learnt.add(secret)
    return secret


def clean(text: str) -> str:
    """`text` without any secret that was learnt, longest first."""
    for secret in sorted(_learnt, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return _BEARER.sub(rf"\g<1>{MASK}", text)


def processor(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """For structlog: cleans the sentence and every value, and masks values whose name says what they are."""
    for name, value in event.items():
        if name != "event" and _NAMES.search(name):
            event[name] = MASK
        elif isinstance(value, str):
            event[name] = clean(value)
    return event
