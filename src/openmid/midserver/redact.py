"""No secret in a log. Whatever is opened here is learnt, and masked wherever it would be written."""

from __future__ import annotations

import re
import threading
from collections.abc import MutableMapping
from functools import lru_cache
from typing import Any

MASK = "********"
SHORTEST = 4
"""A shorter secret would mask half of the language, and hides nothing."""

MOST_PASSING = 1024
"""Of secrets that are soon others. Without a bound every line would cost more than the one before."""

_lasting: set[str] = set()
_passing: dict[str, None] = {}
"""Those that were learnt last."""
_learnt: tuple[str, ...] = ()
"""All of them, longest first: one may be a part of another."""
_learning = threading.Lock()
_BEARER = re.compile(r"(?i)(bearer\s+)[\w.~+/=-]+")
_NAMES = re.compile(r"(?i)password|secret|token|credential|authorization")


def learn(secret: str, *, passing: bool = False) -> str:
    """Mask `secret` from now on; a `passing` one (a token) until MOST_PASSING others were learnt. Returns it."""
    global _learnt
    if len(secret) < SHORTEST or secret in _lasting or (passing and secret in _passing):
        return secret
    with _learning:
        if passing:
            _passing[secret] = None
            if len(_passing) > MOST_PASSING:
                del _passing[next(iter(_passing))]
        else:
            _lasting.add(secret)
        _learnt = tuple(sorted({*_lasting, *_passing}, key=len, reverse=True))
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
