"""What may stand in the fields of actions and steps."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError

from openmid.instance.connections.header_fields import headers as headers
from openmid.instance.connections.header_fields import pairs as pairs
from openmid.wire.probes import RetryPolicy


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
