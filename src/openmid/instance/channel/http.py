"""What every endpoint of the ASGI wing needs: bounded bodies, one shape of error, work in a thread."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable
from typing import Any, TypeVar

from django.db import connections
from django.http.request import split_domain_port, validate_host
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from openmid.wire.codec import encode
from openmid.wire.messages import Refusal

T = TypeVar("T")
log = logging.getLogger("openmid.channel")
SMALL = 1024 * 1024
PROXY_HINT = "the proxy passes X-Forwarded-Proto on, and its address is one of --behind-proxy"
HOST_HINT = "add the name: openmid instance init DIR --public-name NAME"
MOST_HOSTS = 100
RESULTS = 64 * 1024 * 1024
"""Bytes of a body of results: several answers of partners, each at most `probes.MAX_BODY_BYTES` before its encoding."""


class Refused(Exception):
    """Raised to answer with a status of 4xx or 5xx and a sentence."""

    def __init__(self, status: int, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.refusal = Refusal(code, message, hint)


class Json(Response):
    """A message of the wire, or plain data, as JSON."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return encode(content)


def failure(message: str, detail: str) -> dict[str, Any]:
    """An error in the shape of the Table API."""
    return {"error": {"message": message, "detail": detail or None}, "status": "failure"}


def address(request: Request) -> str:
    """Where it comes from, as the audit trail has it; a thread does not know it by itself."""
    return request.client.host if request.client else ""


async def body(request: Request, limit: int = SMALL) -> bytes:
    """The request's body.

    Raises:
        Refused: 413, it is longer than `limit` bytes.
    """
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > limit:
            raise Refused(413, "too_large", f"the body is larger than {limit} bytes", "send less at a time")
    return bytes(received)


def limited(app: ASGIApp, limit: int) -> ASGIApp:
    """`app`, which reads bodies of at most `limit` bytes.

    Django writes a whole body to the disk before it asks whose it is.

    Raises:
        Refused: 413, while the body is read.
    """

    async def bounded(scope: Scope, receive: Receive, send: Send) -> None:
        left = limit

        async def counted() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise Refused(413, "too_large", "The body is too large", f"send at most {limit} bytes at a time")
            return message

        await app(scope, counted, send)

    return bounded


class KnownHost:
    """Answers 400 where Host is none of `names`: a page that has its own name point here (DNS rebinding) gets no further;
    where there is a zero byte in the address, which one of the databases would choke on; and, where `https` is asked
    for, to whoever comes past the proxy that makes it."""

    def __init__(self, app: ASGIApp, names: list[str], https: bool = False) -> None:
        self.app = app
        self.names = names
        self.https = https
        self._good: set[bytes] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        if refusal is not None:
            await Json(refusal, status_code=400)(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _refusal(self, scope: Scope) -> Refusal | None:
        if self.https and scope["scheme"] != "https":
            return Refusal("not_https", "this instance is called through its proxy, over HTTPS", PROXY_HINT)
        if b"%00" in scope["query_string"] or "\0" in scope["path"]:
            return Refusal("bad_address", "there is a zero byte in the address", "leave it out: no record has one")
        sent = next((value for name, value in scope["headers"] if name == b"host"), b"")
        return None if self._known(sent) else Refusal("unknown_host", "this instance is not called so", HOST_HINT)

    def _known(self, sent: bytes) -> bool:
        """Whether the value of Host is one of the names; those that were are remembered, with their ports."""
        if sent in self._good:
            return True
        known: bool = validate_host(split_domain_port(sent.decode("latin-1"))[0], self.names)
        if known and len(self._good) < MOST_HOSTS:
            self._good.add(sent)
        return known


async def in_thread(function: Callable[..., T], *arguments: Any) -> T:
    """`function`, which uses the ORM or takes long, in a thread; the ORM's connection is closed after it."""

    def call() -> T:
        try:
            return function(*arguments)
        finally:
            connections.close_all()

    return await asyncio.get_running_loop().run_in_executor(None, functools.partial(call))
