"""What may stand in the fields of actions and steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from django.core.exceptions import ValidationError

from openmid.diagnosis.briefly import BRIEFLY
from openmid.instance.actions import fill, outputs, pills
from openmid.instance.actions import inputs as declarations
from openmid.instance.connections.header_fields import headers as headers
from openmid.instance.connections.header_fields import pairs as pairs
from openmid.instance.connections.validation import url_path
from openmid.wire.probes import RetryPolicy


def step_path(value: str) -> None:
    """A path, with data pills or without."""
    try:
        url_path(pills.path(value, {}))
    except pills.PillError as error:
        raise ValidationError(f"{error}: {error.hint}.") from None


def query(value: Any) -> None:
    """Query parameters: any text; the MID Server encodes them."""
    pairs(value)


def usual_statuses() -> list[int]:
    """What a retry policy answers to unless it says otherwise."""
    return list(RetryPolicy().statuses)


def statuses(value: Any) -> None:
    """The statuses that call for another attempt."""
    if not isinstance(value, list) or not all(type(each) is int and 300 <= each <= 599 for each in value):
        raise ValidationError("Statuses are a list of numbers from 300 to 599, for example [429, 503].")


def failures(value: Any) -> None:
    """The failures (codes of `openmid.diagnosis`) that call for another attempt; none: those that pass by themselves."""
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ValidationError('Failures are a list of codes, for example ["connection_refused"].')
    unknown = [each for each in value if each not in BRIEFLY]
    if unknown:
        raise ValidationError(
            f"“{unknown[0][:80]}” is no failure that a retry may answer to. There are {', '.join(BRIEFLY)}."
        )


def inputs(value: Any) -> None:
    """An action's inputs (`actions.inputs`)."""
    _tried(declarations.declared, value)


def action_outputs(value: Any) -> None:
    """An action's outputs (`actions.inputs`)."""
    _tried(declarations.declared_outputs, value)


def parts(value: Any) -> None:
    """The parts of a multipart body (`fill.PartTemplate`)."""
    try:
        found = msgspec.convert(value, list[fill.PartTemplate])
    except msgspec.ValidationError as error:
        raise ValidationError(f'{error}: parts are a list such as [{{"name": "file", "value": "text"}}].') from None
    for part in found:
        if not part.name or (part.value and part.attachment):
            raise ValidationError("A part has a name, and either a value or an attachment.")


def step_outputs(value: Any) -> None:
    """What is read from a step's answer (`actions.outputs`)."""
    _tried(outputs.declared, value)


def json_body(value: str) -> None:
    """A JSON body, with data pills or without."""
    problem = fill.json_problem(value)
    if problem:
        raise ValidationError({"body": problem})


def envelope(value: str) -> None:
    """A SOAP envelope, with data pills or without."""
    problem = fill.xml_problem(value)
    if problem:
        raise ValidationError({"body": problem})


def _tried(check: Callable[[Any], Any], value: Any) -> None:
    try:
        check(value)
    except ValueError as error:
        raise ValidationError(str(error)) from None
