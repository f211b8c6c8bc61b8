"""Values of headers whose names say that they are secret: sealed wherever an instance keeps them, opened for a MID Server.

Records, plans and payloads hold the same sealed value, so that copying one costs nothing. It is AES-256-GCM under the
instance's key (`records.secrets`), bound to being a header's value and to no record. It begins with a control character,
which no header has that comes from outside (RFC 9110, section 5.5; `connections.header_fields` refuses it).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.db import models

from openmid.instance.records import encryption

if TYPE_CHECKING:
    JSONField = models.JSONField[Any, Any]
else:
    JSONField = models.JSONField

SECRET_HEADERS = re.compile(
    r"auth(?!enticate|or(?!i[sz]))|cookie|token|secret|passw|credential|api[-_]?key|subscription-key|signature"
)
MASK = "********"
MARK = f"\x02{encryption.PREFIX}"
IN_JSON = r"\u0002" + encryption.PREFIX
"""MARK, as JSON's text has it."""
_TOKEN_IN_JSON = re.compile(re.escape(IN_JSON) + r"[A-Za-z0-9+/=]+")
_BOUND = b"openmid header v1"
Headers = Sequence[tuple[str, str]]
Predicate = Callable[[str], bool]


@lru_cache(1024)
def is_secret(name: str) -> bool:
    """Whether a header of this name has a value that nobody should read."""
    return SECRET_HEADERS.search(name.lower()) is not None


def is_sealed(value: str) -> bool:
    """Whether a header's value is one that was sealed here."""
    return value.startswith(MARK)


def sealed(headers: Headers, unless: Predicate | None = None) -> list[tuple[str, str]]:
    """The headers as they are kept. `unless`: values of which this is true stay as they are."""
    if not any(is_secret(name) for name, _ in headers):
        return list(headers)
    return [
        (
            name,
            value
            if not value or not is_secret(name) or is_sealed(value) or (unless and unless(value))
            else seal(value),
        )
        for name, value in headers
    ]


def sealed_answer(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """A partner's headers as they are kept: whatever looks as if it were sealed is sealed, and so nobody's secret."""
    if not any(is_secret(name) or is_sealed(value) for name, value in headers):
        return headers
    return [(name, seal(value) if is_secret(name) or is_sealed(value) else value) for name, value in headers]


def opened(headers: Headers) -> list[tuple[str, str]]:
    """The headers as they are sent.

    Raises:
        SecretError: a value does not open.
    """
    return [(name, reveal(name, value) if is_sealed(value) else value) for name, value in headers]


def readable(headers: Headers) -> list[tuple[str, str]]:
    """The headers as they came; without those that do not open any more."""
    found = []
    for name, value in headers:
        clear = encryption.decrypt(value[1:], _BOUND) if is_sealed(value) else value
        found += [(name, clear)] if clear is not None else []
    return found


def masked(headers: Iterable[Sequence[str]]) -> list[list[str]]:
    """The headers as they are shown."""
    return [[name, MASK if is_secret(name) or is_sealed(value) else value] for name, value in headers]


def masked_where_sealed(headers: Iterable[Sequence[str]]) -> list[list[str]]:
    """The headers as whoever writes them sees them: with the data pills of secret ones."""
    return [[name, MASK if is_sealed(value) else value] for name, value in headers]


def seal(value: str) -> str:
    """A value as it is kept."""
    return MARK[0] + encryption.encrypt(value, _BOUND)


def reveal(name: str, value: str) -> str:
    """The value of the header `name` that was sealed.

    Raises:
        SecretError: it does not open.
    """
    clear = encryption.decrypt(value[1:], _BOUND)
    if clear is None:
        raise encryption.SecretError(
            f"the value of the header {name} does not open with this instance's key",
            "enter it again, or restore secrets/field.key from the backup that belongs to this database",
        )
    return clear


def sealed_anew(text: str) -> tuple[str, int]:
    """JSON with its sealed values under the current key, and how many were not. One that does not open stays."""
    count = 0

    def again(found: re.Match[str]) -> str:
        nonlocal count
        changed = encryption.under_current_key(found[0].removeprefix(IN_JSON[:6]), _BOUND)
        count += changed is not None
        return found[0] if changed is None else IN_JSON[:6] + changed

    return _TOKEN_IN_JSON.sub(again, text), count


class HeadersField(JSONField):
    """[name, value] pairs; values of secret headers lie sealed, but for those of which `unless` is true."""

    def __init__(self, *arguments: Any, unless: Predicate | None = None, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.unless = unless

    def deconstruct(self) -> Any:
        name, path, arguments, options = super().deconstruct()
        return name, path, arguments, options | ({"unless": self.unless} if self.unless else {})

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        value = [list(pair) for pair in sealed(getattr(model_instance, self.attname) or [], self.unless)]
        setattr(model_instance, self.attname, value)
        return value

    def get_prep_value(self, value: Any) -> Any:
        if isinstance(value, list) and any(
            is_secret(name) and text and not is_sealed(text) and not (self.unless and self.unless(text))
            for name, text in value
        ):
            raise TypeError(f"{self.name} has secrets: assign it and save the record")  # neither update() nor filter()
        return super().get_prep_value(value)
