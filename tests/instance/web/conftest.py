"""Pages without a browser: Django's test client, signed in, over HTTPS as far as Django can tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from openmid.instance.folder import Folder
from openmid.instance.mid.models import MidServer

SECURE = {"HTTP_HOST": "127.0.0.1", "wsgi.url_scheme": "https"}


def client_of(username: str, *, csrf: bool = False) -> Client:
    """A browser in which `username` is signed in."""
    client = Client(enforce_csrf_checks=csrf, **SECURE)
    client.force_login(User.objects.get(username=username))
    return client


@pytest.fixture
def admin(instance: Folder) -> Client:
    """alice, an administrator."""
    return client_of("alice")


@pytest.fixture
def page(admin: Client) -> Callable[..., str]:
    """`page(name, *arguments, **query)`: the HTML of one of the site's pages, for alice."""

    def get(name: str, *arguments: Any, **query: str) -> str:
        answer = admin.get(reverse(f"admin:{name}", args=arguments), query)
        assert answer.status_code == 200, answer
        return answer.content.decode()

    return get


def streamed(answer: Any) -> str:
    """What an answer that comes in pieces holds."""

    async def gathered() -> bytes:
        return b"".join([piece async for piece in answer.streaming_content])

    return async_to_sync(gathered)().decode()


def a_mid(name: str = "mid1", **columns: Any) -> MidServer:
    """A MID Server's record, without a MID Server."""
    fingerprint = ":".join(["AB"] * 32)
    mid = MidServer(name=name, **({"host_name": "host.example", "fingerprint": fingerprint} | columns))
    mid.save()
    return mid
