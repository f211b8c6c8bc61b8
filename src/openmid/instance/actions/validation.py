"""What may stand in the fields of actions and steps."""

from __future__ import annotations

from typing import Any

from openmid.instance.connections.header_fields import headers as headers
from openmid.instance.connections.header_fields import pairs as pairs


def query(value: Any) -> None:
    """Query parameters: any text; the MID Server encodes them."""
    pairs(value)
