"""No secret in a log. Whatever is opened here is learnt, and masked wherever it would be written."""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from functools import lru_cache
from typing import Any

MASK = "********"
SHORTEST = 4
"""A shorter secret would mask half of the language, and hides nothing."""

_learnt: tuple[str, ...] = ()
"""Longest first: one may be a part of another."""
_BEARER = re.compile(r"(?i)(bearer\s+)[\w.~+/=-]+")
_NAMES = re.compile(r"(?i)password|secret|token|credential|authorization")


def learn(secret: str) -> str:
    """Mask `secret` from now on. Returns it."""
    global _learnt
    if len(secret) >= SHORTEST and secret not in _learnt:
        _learnt = tuple(sorted((*_learnt, secret), key=len, reverse=True))
    return secret


def clean(text: str) -> str:
    """`text` without any secret that was learnt."""
    for secret in _learnt:
        text = text.replace(secret, MASK)
    return _BEARER.sub(rf"\g<1>{MASK}", text) if "bearer" in text.lower() else text


def processor(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """For structlog: masks values whose name says what they are; the line as a whole is cleaned by who writes it."""
    for name in event:
        if _tells(name):
            event[name] = MASK
    return event


@lru_cache(1024)
def _tells(name: str) -> bool:
    """Whether the name says that its value is a secret."""
    return _NAMES.search(name) is not None
