"""One call through a connection alias, without an action: what `openmid call` asks for."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from typing import Any, Self

import msgspec
from django.core.exceptions import ValidationError

from openmid.instance.actions import validation
from openmid.instance.actions.planner import Plan, plan
from openmid.instance.connections.validation import url_path
from openmid.instance.errors import InstanceError
from openmid.wire.codec import NO_MESSAGE

Pairs = list[tuple[str, str]] | dict[str, str]
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
MOST_TIMEOUT_MS = 600_000


class BadRequestError(InstanceError):
    """Raised when an ad hoc request cannot be made as it was asked for; names the member."""


class AdHocRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`method`, `path` (after the connection's URL), `query` and `headers` (pairs, or an object), `body` as text or
    `body_base64`, `timeout_ms` (0: the connection's)."""

    method: str = "GET"
    path: str = ""
    query: Pairs = []
    headers: Pairs = []
    body: str = ""
    body_base64: str = ""
    timeout_ms: int = 0

    @classmethod
    def read(cls, raw: bytes) -> Self:
        """The request in a JSON object.

        Raises:
            BadRequestError: names the member that is wrong.
        """
        try:
            found = msgspec.json.decode(raw or b"{}", type=cls)
        except NO_MESSAGE as error:
            raise BadRequestError(f"the request is not understood: {error}", EXAMPLE) from None
        for name, problem in found._problems():
            raise BadRequestError(f"{name}: {problem}", EXAMPLE)
        return found

    def planned(self, connection: Mapping[str, Any]) -> Plan:
        """The plan of the one step, through a row of the statement `alias`."""
        found = plan({**dict(connection), **self._step()}, literal=True)
        if found.probe is None:
            return found
        changes: dict[str, Any] = {"timeout_ms": self.timeout_ms} if self.timeout_ms else {}
        if self.body_base64:
            changes |= {"body": self.body_base64, "body_is_base64": True}
        return msgspec.structs.replace(found, probe=msgspec.structs.replace(found.probe, **changes))

    def _step(self) -> dict[str, Any]:
        return {
            "method": self.method,
            "resource_path": self.path,
            "headers": json.dumps(_pairs(self.headers)),
            "query": json.dumps(_pairs(self.query)),
            "body": self.body,
        }

    def _problems(self) -> list[tuple[str, str]]:
        found = []
        if self.method not in METHODS:
            found.append(("method", f"is one of {', '.join(METHODS)}"))
        if self.body and self.body_base64:
            found.append(("body_base64", "goes without body"))
        if not 0 <= self.timeout_ms <= MOST_TIMEOUT_MS:
            found.append(("timeout_ms", f"is 1 to {MOST_TIMEOUT_MS}"))
        if not _is_base64(self.body_base64):
            found.append(("body_base64", "is not base64"))
        checks: list[tuple[str, Callable[[Any], None], Any]] = [
            ("path", url_path, self.path),
            ("headers", validation.headers, _pairs(self.headers)),
            ("query", validation.query, _pairs(self.query)),
        ]
        for name, check, value in checks:
            try:
                check(value)
            except ValidationError as error:
                found.append((name, " ".join(error.messages)))
        return found


EXAMPLE = (
    'for example {"method": "POST", "path": "/orders", "headers": {"Content-Type": "application/json"}, "body": "{}"}'
)


def _pairs(value: Pairs) -> list[tuple[str, str]]:
    return list(value.items()) if isinstance(value, dict) else list(value)


def _is_base64(value: str) -> bool:
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True
