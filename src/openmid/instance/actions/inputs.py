"""An action's inputs and outputs: what is declared, and what a caller may send.

inputs   [{"name", "label", "type", "mandatory", "default", "hint"}]
outputs  [{"name", "label", "value"}]    value: a text with data pills
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec

from openmid.instance.errors import InstanceError

Type = Literal["string", "integer", "number", "boolean", "json", "attachment"]
MOST = 100
ROOM = 50
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,79}")
_SYS_ID = re.compile(r"[0-9a-f]{32}")


class InputError(InstanceError):
    """Raised when a value that was sent does not fit the action's inputs; names the input."""


class Input(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One input. `default` counts where nothing is sent."""

    name: str
    label: str = ""
    type: Type = "string"
    mandatory: bool = False
    default: Any = None
    hint: str = ""


class ActionOutput(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One output of an action."""

    name: str
    value: str
    label: str = ""


def declared(value: Any) -> list[Input]:
    """The inputs as they are declared.

    Raises:
        ValueError: one sentence.
    """
    found: list[Input] = _converted(
        value, list[Input], 'inputs are a list such as [{"name": "order", "type": "string"}]'
    )
    for each in found:
        if each.default is not None:
            try:
                fitting(each, each.default)
            except InputError as error:
                raise ValueError(f"The default of {error}.") from None
    return found


def declared_outputs(value: Any) -> list[ActionOutput]:
    """The outputs as they are declared.

    Raises:
        ValueError: one sentence.
    """
    example = 'outputs are a list such as [{"name": "id", "value": "{{steps.REST.outputs.id}}"}]'
    found: list[ActionOutput] = _converted(value, list[ActionOutput], example)
    return found


def _converted(value: Any, kind: Any, example: str) -> Any:
    try:
        found = msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise ValueError(f"{error}: {example}.") from None
    names = [each.name for each in found]
    for name in names:
        if not _NAME.fullmatch(name):
            raise ValueError(f"“{name}” cannot be a name: letters, digits and underscore, no digit first.")
        if names.count(name) > 1:
            raise ValueError(f"There are two of the name {name}.")
    if len(found) > MOST:
        raise ValueError(f"There are at most {MOST}.")
    return found


def read(inputs: Sequence[Input], sent: dict[str, Any]) -> dict[str, Any]:
    """What was sent, in the declared types, with the defaults.

    Raises:
        InputError: an unknown input, a missing one, a value of another type.
    """
    names = [each.name for each in inputs]
    for name in sent:
        if name not in names:
            raise InputError(f"the action has no input {name}", f"it has {', '.join(names) or 'none'}")
    return {each.name: _one(each, sent.get(each.name)) for each in inputs}


def _one(declared: Input, value: Any) -> Any:
    if value is None or value == "":
        value = declared.default
    if value is None:
        if declared.mandatory:
            raise InputError(f"input {declared.name} is missing", f"send a value of type {declared.type}")
        return None
    return fitting(declared, value)


def fitting(declared: Input, value: Any) -> Any:
    """A value in the declared type; numbers and truth may come as text, as forms send them.

    Raises:
        InputError: it does not fit.
    """
    try:
        return _TYPES[declared.type](value)
    except (ValueError, TypeError, KeyError, RecursionError):
        raise InputError(
            f"input {declared.name} is not of type {declared.type}", f"send {_EXAMPLES[declared.type]}"
        ) from None


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    value.encode()  # half a character is none
    return value


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str) or not re.fullmatch(r"-?[0-9]{1,30}", str(value)):
        raise TypeError
    return int(value)


def _number(value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float | str) or len(str(value)) > 60:
        raise TypeError
    found = json.loads(str(value)) if isinstance(value, str) else value
    if isinstance(found, bool) or not isinstance(found, int | float) or found != found or abs(found) == float("inf"):
        raise TypeError
    return found


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool | str):
        raise TypeError
    return {"true": True, "false": False}[str(value).lower()]


def _json(value: Any) -> Any:
    found = json.loads(value) if isinstance(value, str) else value
    json.dumps(found, allow_nan=False)
    keepable(found)
    return found


def keepable(value: Any, room: int = ROOM) -> None:
    """Whether a JSON value can be kept, and read again where the stack is deeper by `room` calls.

    Raises:
        RecursionError, UnicodeEncodeError: half a character is none.
    """
    if isinstance(value, str):
        value.encode()
    elif isinstance(value, list | dict):
        keepable(value, room - 1) if room else json.dumps(value, ensure_ascii=False).encode()


def _attachment(value: Any) -> str:
    if not isinstance(value, str) or not is_sys_id(value):
        raise TypeError
    return value


def is_sys_id(value: str) -> bool:
    """Whether a text is one: not every text can be asked of every database."""
    return _SYS_ID.fullmatch(value) is not None


_TYPES: dict[str, Callable[[Any], Any]] = {
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "json": _json,
    "attachment": _attachment,
}
_EXAMPLES = {
    "string": "a text",
    "integer": "a whole number such as 42",
    "number": "a number such as 1.5",
    "boolean": "true or false",
    "json": "any JSON value",
    "attachment": "the sys_id of an attachment",
}
