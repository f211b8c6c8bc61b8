"""Who is acting: the name that goes into `sys_created_by` and `sys_updated_by`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.http import HttpRequest, HttpResponseBase

_actor: ContextVar[str] = ContextVar("openmid_actor", default="system")


def actor() -> str:
    """The name of the user, MID Server or command that acts now."""
    return _actor.get()


@contextmanager
def acting_as(name: str) -> Iterator[None]:
    """Records that are saved inside are saved by `name`."""
    token = _actor.set(name)
    try:
        yield
    finally:
        _actor.reset(token)


class ActorMiddleware:
    """Records that a page saves are saved by the user who is signed in."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        with acting_as(request.user.get_username() or "guest"):
            return self.get_response(request)
