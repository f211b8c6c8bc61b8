"""Keeps asking for executions, and remembers every one that the instance accepted."""

from __future__ import annotations

import http.client
import json
import random
import ssl
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

KINDS = (
    ("POST", "count"),
    ("GET", "count"),
    ("POST", "drip"),
    ("GET", "drip"),
    ("GET", "hang-up"),
    ("POST", "hang-up"),
)
USUAL, DRIPPING = (10, 10, 1, 1, 1, 1), (0, 0, 1, 1, 0, 0)
BODY = "canary-of-our-own-words"


@dataclass
class Client:
    """`accepted`: by id, the method and the execution's path. An id whose request got no answer is sent again under the
    same Idempotency-Key."""

    port: int
    ca: Path
    token: str
    rng: random.Random
    pause: float = 0.05
    weights: tuple[int, ...] = USUAL
    accepted: dict[str, tuple[str, str]] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _number: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self, threads: int = 3) -> None:
        self._context = ssl.create_default_context(cafile=str(self.ca))
        self.stop.clear()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Ask for no more; what was asked for is asked again until it is answered."""
        self.stop.set()
        for thread in self._threads:
            thread.join(60)
        if any(thread.is_alive() for thread in self._threads):
            self.refused.append("a request was not answered for a minute, with nothing wrong any more")

    def call(self, method: str, path: str, body: Any = None, key: str = "") -> tuple[int, Any, str]:
        """Status, the JSON answer, Location.

        Raises:
            OSError, http.client.HTTPException.
        """
        connection = http.client.HTTPSConnection("localhost", self.port, context=self._context, timeout=15)
        try:
            headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
            headers |= {"Idempotency-Key": key} if key else {}
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            answer = connection.getresponse()
            raw = answer.read()
            return answer.status, json.loads(raw or b"null"), answer.headers.get("Location", "")
        finally:
            connection.close()

    def _work(self) -> None:
        while not self.stop.wait(self.pause):
            with self._lock:
                self._number += 1
                name = f"{self._number:06d}"
                method, kind = self.rng.choices(KINDS, self.weights)[0]
            self._ask(name, method, kind)

    def _ask(self, name: str, method: str, kind: str) -> None:
        asked = {"method": method, "path": f"/{kind}/{name}", "timeout_ms": 3000, "body": BODY * (method == "POST")}
        while True:
            try:
                status, answer, location = self.call("POST", "/api/v1/connections/partner/request", asked, name)
            except (OSError, http.client.HTTPException, ValueError):
                self.stop.wait(0.3)
                threading.Event().wait(0.05)
                continue
            if status in (200, 202):
                self.accepted[name] = (method, location)
            elif status in (429, 500, 503):
                threading.Event().wait(0.2)
                continue
            else:
                self.refused.append(f"{status} {answer}")
            return
