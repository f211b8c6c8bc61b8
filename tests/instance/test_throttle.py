"""Sign-in: how often somebody may be wrong."""

from __future__ import annotations

import base64

import pytest
from django.contrib.auth.models import User
from django.test import Client

from openmid.instance.access import throttle as module
from openmid.instance.access.authentication import TokenNeededError, identify
from openmid.instance.access.models import TotpDevice
from openmid.instance.access.throttle import (
    FREE_NAME,
    FREE_PAIR,
    LONGEST_S,
    MOST_KEYS,
    Throttle,
    TooManyAttempts,
    throttle,
)
from openmid.instance.folder import Folder
from tests.instance.partners import Api


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_the_wait_doubles_to_its_limit_and_ends() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    for _ in range(FREE_PAIR):
        throttle.check("alice", "192.0.2.1")
        throttle.failed("alice", "192.0.2.1")
    throttle.check("alice", "192.0.2.1")
    waits = []
    for _ in range(12):
        throttle.failed("alice", "192.0.2.1")
        with pytest.raises(TooManyAttempts) as refused:
            throttle.check("alice", "192.0.2.1")
        waits.append(refused.value.seconds)
    assert waits[:4] == [3, 5, 9, 17]
    assert waits[-1] == LONGEST_S + 1
    clock.now += LONGEST_S + 1
    throttle.check("alice", "192.0.2.1")


def test_somebody_else_and_the_same_name_from_elsewhere_are_not_held_up() -> None:
    throttle = Throttle(Clock())
    for _ in range(FREE_PAIR + 3):
        throttle.failed("alice", "192.0.2.1")
    throttle.check("bob", "192.0.2.1")
    throttle.check("alice", "192.0.2.2")


def test_a_success_forgets_and_so_does_an_hour() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    for _ in range(FREE_PAIR):
        throttle.failed("alice", "192.0.2.1")
    throttle.passed("alice", "192.0.2.1")
    throttle.failed("alice", "192.0.2.1")
    throttle.check("alice", "192.0.2.1")
    for _ in range(FREE_PAIR - 1):
        throttle.failed("alice", "192.0.2.1")
    clock.now += 3601
    throttle.failed("alice", "192.0.2.1")
    throttle.check("alice", "192.0.2.1")


def test_many_names_from_one_address_and_one_name_from_many_are_held_up() -> None:
    throttle = Throttle(Clock())
    for number in range(51):
        throttle.failed(f"user{number}", "192.0.2.1")
    with pytest.raises(TooManyAttempts):
        throttle.check("another", "192.0.2.1")
    for number in range(FREE_NAME + 1):
        throttle.failed("alice", f"2001:db8::{number}")
    with pytest.raises(TooManyAttempts):
        throttle.check("alice", "198.51.100.7")


def test_memory_is_bounded() -> None:
    throttle = Throttle(Clock())
    for number in range(MOST_KEYS):
        throttle.failed(f"user{number}", f"2001:db8::{number:x}")
    assert len(throttle._counts) == MOST_KEYS


def test_the_api_answers_429_and_does_not_look_at_the_password(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FREE_PAIR", 2)

    def ask(password: str, path: str) -> tuple[int, str | None]:
        value = base64.b64encode(f"alice:{password}".encode()).decode()
        reply = Api(api.url, f"Basic {value}").get(path)
        return reply.status, reply.headers.get("retry-after")

    for path in ("/api/now/table/sys_alias", "/api/v1/executions/nothing"):
        assert ask("wrong", path) == (401, None)
    assert ask("wrong", "/api/now/table/sys_alias")[0] == 401
    for path in ("/api/now/table/sys_alias", "/api/v1/executions/nothing"):
        status, after = ask("alice's password", path)
        assert status == 429
        assert int(after or 0) > 0


def basic(password: str, address: str) -> str:
    """The user that is recognised; `wait`; or nothing."""
    value = base64.b64encode(f"alice:{password}".encode()).decode()
    try:
        found = identify(f"Basic {value}", address)
    except TooManyAttempts:
        return "wait"
    except TokenNeededError:
        return "token"
    return found.username if found else ""


def test_a_script_that_is_right_helps_nobody_else_to_guess(instance: Folder) -> None:
    """Its password is remembered; whoever has to wait would else see by the answer which guess is the right one."""
    assert basic("alice's password", "192.0.2.1") == "alice"
    for address in ("192.0.2.66", "192.0.2.1"):
        for _ in range(FREE_PAIR + 1):
            assert basic("wrong", address) == ""
        assert basic("wrong", address) == "wait"
        assert basic("alice's password", address) == "wait"


def test_wrong_passwords_from_elsewhere_do_not_hold_up_a_script_that_is_right(instance: Folder) -> None:
    assert basic("alice's password", "192.0.2.1") == "alice"
    for number in range(FREE_NAME + 1):
        throttle.failed("alice", f"2001:db8::{number}")
    assert basic("alice's password", "192.0.2.1") == "alice"
    assert basic("alice's password", "192.0.2.2") == "wait"


def test_a_password_alone_does_not_forget_wrong_codes(instance: Folder) -> None:
    user = User.objects.get(username="alice")
    TotpDevice.objects.create(user=user, secret="x", confirmed=True)
    for _ in range(FREE_PAIR):
        throttle.failed("alice", "192.0.2.1")
    assert basic("alice's password", "192.0.2.1") == "token"
    throttle.failed("alice", "192.0.2.1")
    assert basic("alice's password", "192.0.2.1") == "wait"


def test_the_sign_in_page_says_how_long_to_wait(instance: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FREE_PAIR", 1)
    browser = Client(HTTP_HOST="localhost")

    def try_(password: str) -> str:
        sent = {"username": "alice", "password": password}
        return browser.post("/login/", sent, secure=True).content.decode()

    assert "There is no user who may sign in with this name and password" in try_("wrong")
    try_("wrong")
    assert "Too many failed sign-ins. Wait" in try_("alice's password")
    throttle.clear()
    sent = {"username": "alice", "password": "alice's password"}
    assert browser.post("/login/", sent, secure=True).headers["Location"] == "/"
