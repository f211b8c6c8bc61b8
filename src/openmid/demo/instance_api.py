"""The instance's API as a developer calls it: JSON over HTTPS with a bearer token."""

from __future__ import annotations

import http.client
import json
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from openmid.demo.stage import DemoError

Json = dict[str, Any]


class InstanceApi:
    """One instance, one token. Every refusal becomes a `DemoError` with the instance's own sentence."""

    def __init__(self, url: str, ca: Path, token: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname
        self._host, self._port = parts.hostname, parts.port or 443
        self._context = ssl.create_default_context(cafile=str(ca))
        self._token = token

    def call(self, method: str, path: str, body: Json | None = None, headers: dict[str, str] | None = None) -> Json:
        """The answer's object (an empty one for 204)."""
        connection = http.client.HTTPSConnection(self._host, self._port, context=self._context, timeout=90)
        sent = {"Authorization": f"Bearer {self._token}", "Accept": "application/json", **(headers or {})}
        try:
            if body is None:
                connection.request(method, path, headers=sent)
            else:
                connection.request(method, path, json.dumps(body), sent | {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return self._read(method, path, answer.status, answer.read())
        except OSError as error:
            raise DemoError(f"the instance does not answer {method} {path}: {error}") from error
        finally:
            connection.close()

    def _read(self, method: str, path: str, status: int, raw: bytes) -> Json:
        if status >= 400:
            raise DemoError(f"{method} {path} was answered {status}: {raw.decode(errors='replace')[:500]}")
        answer = json.loads(raw) if raw else {}
        assert isinstance(answer, dict)
        return answer

    def create(self, table: str, **columns: str) -> Json:
        """A new record of the Table API."""
        record = self.call("POST", f"/api/now/table/{table}", columns)["result"]
        assert isinstance(record, dict)
        return record

    def change(self, table: str, sys_id: str, **columns: str) -> Json:
        """The record with `columns` changed."""
        record = self.call("PATCH", f"/api/now/table/{table}/{sys_id}", columns)["result"]
        assert isinstance(record, dict)
        return record

    def find(self, table: str, **equal: str) -> Json | None:
        """The first record whose columns are `equal`."""
        query = urlencode({"sysparm_query": "^".join(f"{k}={v}" for k, v in equal.items()), "sysparm_limit": "1"})
        found = self.call("GET", f"/api/now/table/{table}?{query}")["result"]
        assert isinstance(found, list)
        return found[0] if found else None

    def run_test(self, action: str) -> Json:
        """Run Test: the execution's details once it has ended."""
        return self.call("POST", f"/api/v1/actions/{action}/execute", {}, {"Prefer": "wait=60"})
