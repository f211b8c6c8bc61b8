"""Who is acting, and from where: the name that goes into `sys_created_by` and `sys_updated_by`, the address of the audit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.http import HttpRequest, HttpResponseBase

SYSTEM = "system"
"""The command line, and the instance itself."""
_actor: ContextVar[str] = ContextVar("openmid_actor", default=SYSTEM)
_address: ContextVar[str] = ContextVar("openmid_address", default="command line")


def actor() -> str:
    """The name of the user, MID Server or command that acts now."""
    return _actor.get()


def address() -> str:
    """The IP address from which the request came, or `command line`."""
    return _address.get()


@contextmanager
def acting_as(name: str, address: str = "") -> Iterator[None]:
    """Records that are saved inside are saved by `name`, from `address` (empty: as before)."""
    who, where = _actor.set(name), _address.set(address or _address.get())
    try:
        yield
    finally:
        _actor.reset(who)
        _address.reset(where)


class ActorMiddleware:
    """Records that a page saves are saved by the user who is signed in."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        with acting_as(request.user.get_username() or "guest", request.META.get("REMOTE_ADDR", "")):
            return self.get_response(request)
