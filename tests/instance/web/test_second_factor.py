"""Signing in with a second factor."""

from __future__ import annotations

import base64
import json
import re
import time

import pyotp
import pytest
from django.contrib.auth.models import User
from django.test import Client

from openmid.instance.access import totp
from openmid.instance.access.authentication import identify
from openmid.instance.access.models import TotpDevice
from openmid.instance.audit.models import Audit
from openmid.instance.folder import Folder
from tests.instance.conftest import PASSWORDS
from tests.instance.partners import Api

PAGE = "/second-factor/"


def code_of(secret: str, steps: int = 0) -> str:
    return pyotp.TOTP(secret).at(int(time.time()) + steps * totp.STEP_S)


@pytest.fixture
def secret(admin: Client) -> str:
    """alice has set it up."""
    page = admin.get(PAGE).content.decode()
    found = re.search(r"om-mono\">([A-Z2-7]{32})<", page)
    assert found
    assert "<svg" in page
    done = admin.post(PAGE, {"code": code_of(found[1], -1)}).content.decode()
    assert len(re.findall(r"\b[0-9a-f]{5}-[0-9a-f]{5}\b", done)) == totp.RECOVERY_CODES
    return found[1]


def signing_in() -> Client:
    browser = Client(HTTP_HOST="localhost")
    answer = browser.post(
        "/login/?next=/actions/action/",
        {"username": "alice", "password": PASSWORDS["alice"], "next": "/actions/action/"},
    )
    assert (answer.status_code, answer.headers["Location"]) == (302, "/login/code/")
    return browser


def test_a_code_is_asked_for_after_the_password(secret: str) -> None:
    browser = signing_in()
    assert browser.get("/").status_code == 302  # the password alone opens nothing
    wrong = browser.post("/login/code/", {"code": "000000"})
    assert "not the code of now" in wrong.content.decode()
    code = code_of(secret)
    right = browser.post("/login/code/", {"code": code})
    assert (right.status_code, right.headers["Location"]) == (302, "/actions/action/")
    assert browser.get("/").status_code == 200
    assert "not the code of now" in signing_in().post("/login/code/", {"code": code}).content.decode()
    assert Audit.objects.filter(event="sign_in_failed", user="alice").count() == 2


def test_a_recovery_code_counts_once(secret: str, admin: Client) -> None:
    alice = User.objects.get(username="alice")
    totp.remove(alice)
    (first, *_) = totp.confirm(alice, code_of(totp.begin(alice)))
    assert signing_in().post("/login/code/", {"code": first.upper()}).status_code == 302
    assert signing_in().post("/login/code/", {"code": first}).status_code == 200


def test_the_api_takes_tokens_then(secret: str, server: str) -> None:
    basic = "Basic " + base64.b64encode(f"alice:{PASSWORDS['alice']}".encode()).decode()
    for path in ("/api/now/table/sys_alias", "/api/v1/executions/x"):
        answer = Api(server, basic).get(path)
        assert (answer.status, answer.headers["www-authenticate"]) == (401, 'Basic realm="openmid"')
        assert "use an API token" in json.dumps(answer.json)
    totp.remove(User.objects.get(username="alice"))
    assert identify(basic) is not None


def test_the_code_page_alone_leads_to_the_password(instance: Folder) -> None:
    assert Client(HTTP_HOST="localhost").get("/login/code/").headers["Location"] == "/login/"


def test_nothing_of_it_is_kept_in_clear(secret: str) -> None:
    device = TotpDevice.objects.get()
    assert device.secret.startswith("v1.") and device.recovery.startswith("v1.")
    told = " ".join(f"{each.oldvalue} {each.newvalue}" for each in Audit.objects.all())
    assert secret not in told
    assert "totp_device" in set(Audit.objects.values_list("tablename", flat=True))


def test_turned_off(secret: str, admin: Client) -> None:
    assert admin.post(PAGE, {"remove": "1"}).status_code == 302
    assert TotpDevice.objects.count() == 0


def test_a_second_factor_that_does_not_open_is_a_sentence(secret: str, instance: Folder) -> None:
    """After a restore without the secrets that belong to it."""
    browser = signing_in()
    before = (instance.secrets / "field.key").read_bytes()
    (instance.secrets / "field.key").write_text("00" * 32)
    try:
        answer = browser.post("/login/code/", {"code": code_of(secret)})
    finally:
        (instance.secrets / "field.key").write_bytes(before)
    assert answer.status_code == 200
    assert "an administrator resets it" in answer.content.decode()
