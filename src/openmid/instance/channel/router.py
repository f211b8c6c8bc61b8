"""The wing's own router: what machines ask for often goes straight to what answers it.

Starlette's middleware and router cost as much as the answers themselves; its routes, requests and responses are used
as they are.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

Handler = Callable[[Request], Awaitable[Response]]
Answer = Callable[[Request, Exception], Response]
log = logging.getLogger("openmid.channel")


class Wing:
    """Routes before another application, and `refused`, which answers their errors."""

    def __init__(self, routes: Iterable[BaseRoute], refused: Answer, others: ASGIApp) -> None:
        self._refused = refused
        self._others = others
        self._exact: dict[str, Route] = {}
        self._patterns: list[Route] = []
        for route in _flat(routes):
            if "{" in route.path:
                self._patterns.append(route)
            else:
                self._exact[route.path] = route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self._route(scope) if scope["type"] == "http" else None
        if route is None:
            await self._others(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            response = await _called(route, scope["method"])(request)
        except ClientDisconnect:
            return  # nobody is there to be told
        except Exception as error:
            response = self._refused(request, error)
            if response.status_code == 500:
                log.exception("%s %s failed", scope["method"], scope["path"])
        await response(scope, receive, send)

    def _route(self, scope: Scope) -> Route | None:
        path = scope["path"]
        found = self._exact.get(path)
        if found is not None:
            return found
        for route in self._patterns:
            match = route.path_regex.match(path)
            if match:
                scope["path_params"] = match.groupdict()
                return route
        return None


def _called(route: Route, method: str) -> Handler:
    if route.methods and method not in route.methods:
        raise HTTPException(405, headers={"Allow": ", ".join(sorted(route.methods))})
    found: Handler = route.endpoint
    return found


def _flat(routes: Iterable[BaseRoute], prefix: str = "") -> Iterable[Route]:
    for route in routes:
        if isinstance(route, Mount):
            yield from _flat(route.routes, prefix + route.path)
        elif isinstance(route, Route):
            yield Route(prefix + route.path, route.endpoint, methods=list(route.methods or ()))
