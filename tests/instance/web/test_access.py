"""Who sees what, and that nothing is changed without a CSRF token."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import URLPattern, URLResolver, reverse

from openmid.instance.folder import Folder
from openmid.instance.mid.models import EnrolmentToken, MidServer
from tests.every_page import PAGES
from tests.instance.web.conftest import SECURE, a_mid, client_of

OPEN = {"colours", "login", "logout", "jsi18n"}
LISTS = [
    "connections_connectionalias_changelist",
    "connections_httpconnection_changelist",
    "connections_midprotocolprofile_changelist",
    "actions_action_changelist",
    "actions_execution_changelist",
    "auth_user_changelist",
    "access_apitoken_changelist",
]
ADDS = [
    "connections_connectionalias_add",
    "connections_httpconnection_add",
    "connections_midprotocolprofile_add",
    "actions_action_add",
    "auth_user_add",
    "access_apitoken_add",
]


def every_page() -> list[str]:
    """The path of every named page of the site, with made-up arguments."""
    from openmid.instance.web.urls import site

    paths = []
    for pattern in site.get_urls():
        for each in _leaves(pattern):
            arguments = {name: 1 if name in ("step", "content_type_id") else "x" for name in each.pattern.converters}
            if each.name and each.name not in OPEN and "app_label" not in each.pattern.regex.groupindex:
                paths.append(reverse(f"admin:{each.name}", kwargs=arguments))
    return paths


def _leaves(pattern: Any) -> list[URLPattern]:
    if isinstance(pattern, URLResolver):
        return [leaf for each in pattern.url_patterns for leaf in _leaves(each)]
    return [pattern]


def test_every_page_asks_a_stranger_to_sign_in(instance: Folder) -> None:
    stranger = Client(**SECURE)
    paths = every_page()
    assert len(paths) > 40
    for path in paths:
        for answer in (stranger.get(path), stranger.post(path)):
            assert answer.status_code == 302, path
            assert answer.headers["Location"].startswith("/login/"), path


NOT_PAGES = re.compile(
    r"/(?:search|autocomplete|r/1/x|login/code|password_change/done)/|.*/(?:export(?:\.csv)?|live|body/1|shown/1/x|log|file"
    r"|cancel|again|back_to_alias|validate|invalidate|rekey|pause|resume|restart|prove|purposes|reset_second_factor"
    r"|base-url|wsdl(?:/fetch(?:ed)?)?|default-port|new_action|test|publish|copy)/?"
)
"""Downloads, data, pop-ups and buttons."""


def test_the_table_of_pages_has_every_page() -> None:
    known = {page.at(defaultdict(lambda: "x")).partition("?")[0] for page in PAGES}
    known |= {
        f"/connections/credential/{page}" for page in ("add/", "x/change/", "x/history/", "x/delete/")
    }  # elsewhere
    assert {path for path in every_page() if not NOT_PAGES.fullmatch(path)} == known


@pytest.mark.parametrize("name", LISTS + ADDS)
def test_an_administrator_sees_every_page(admin: Client, name: str) -> None:
    assert admin.get(reverse(f"admin:{name}")).status_code == 200


@pytest.mark.parametrize("name", LISTS + ADDS)
def test_the_role_mid_server_sees_none_of_them(instance: Folder, name: str) -> None:
    assert client_of("charlie").get(reverse(f"admin:{name}")).status_code == 403


def test_the_role_mid_server_sees_mid_servers_and_makes_tokens(instance: Folder) -> None:
    mid = a_mid()
    charlie = client_of("charlie")
    listed = charlie.get(reverse("admin:mid_midserver_changelist")).content.decode()
    assert mid.name in listed
    assert "Workflow Studio" not in listed
    assert "MID Protocol Profiles" not in listed
    shown = charlie.get(reverse("admin:mid_midserver_change", args=[mid.pk])).content.decode()
    assert "Invalidate" not in shown
    answer = charlie.post(reverse("admin:mid_midserver_enrolment_token"), {"name": "mid2"})
    assert EnrolmentToken.objects.get().sys_created_by == "charlie"
    assert "no-store" in answer.headers["Cache-Control"]


@pytest.mark.parametrize("button", ["validate", "invalidate", "rekey"])
def test_the_role_mid_server_cannot_give_or_take_trust(instance: Folder, button: str) -> None:
    mid = a_mid(validated="false" if button == "validate" else "true")
    data = {"_form_submitted": "True", "fingerprint": mid.fingerprint}
    answer = client_of("charlie").post(reverse(f"admin:mid_midserver_{button}", args=[mid.pk]), data)
    assert answer.status_code == 403
    assert MidServer.objects.get().validated == mid.validated


def test_the_home_page_shows_each_role_its_own(instance: Folder) -> None:
    a_mid("mid-of-all")
    mine = client_of("charlie").get("/").content.decode()
    assert "mid-of-all" in mine
    assert "Recent executions" not in mine
    assert "Client certificates" not in mine
    assert "Recent executions" in client_of("alice").get("/").content.decode()


@pytest.mark.parametrize("name", [*ADDS, "mid_midserver_enrolment_token"])
def test_no_form_is_taken_without_a_csrf_token(instance: Folder, name: str) -> None:
    assert client_of("alice", csrf=True).post(reverse(f"admin:{name}"), {"name": "x"}).status_code == 403


def test_a_get_never_validates(admin: Client) -> None:
    mid = a_mid()
    admin.get(reverse("admin:mid_midserver_validate", args=[mid.pk]), {"_form_submitted": "True"})
    assert MidServer.objects.get().validated == "false"


def test_what_went_wrong_has_a_page(admin: Client) -> None:
    assert "There is no such page or record" in admin.get("/connections/nothing/").content.decode()
    assert "Your roles do not allow this" in client_of("charlie").get("/actions/action/").content.decode()
    refused = client_of("alice", csrf=True).post("/connections/connectionalias/add/", {"name": "x"})
    assert "It came without its token" in refused.content.decode()


def test_a_session_does_not_outlive_that_its_user_was_disabled(instance: Folder) -> None:
    browser, other = Client(**SECURE), Client(**SECURE)
    charlie = User.objects.get(username="charlie")
    browser.force_login(charlie)
    other.force_login(User.objects.get(username="alice"))
    for active in (False, True):
        charlie.is_active = active
        charlie.save()
    assert browser.get("/").status_code == 302
    assert other.get("/").status_code == 200


def test_an_administrator_cannot_shut_himself_out(admin: Client) -> None:
    alice = User.objects.get(username="alice")
    change, roles = (
        reverse("admin:auth_user_change", args=[alice.pk]),
        {group.name: group.pk for group in Group.objects.all()},
    )
    kept = {"username": "alice", "groups": [roles["admin"]], "is_active": "on"}
    for without, field in ({"groups": [roles["auditor"]]}, "groups"), ({"is_active": ""}, "is_active"):
        answer = admin.post(change, kept | without)
        assert "another administrator" in answer.context["adminform"].form.errors[field][0]
    assert admin.post(reverse("admin:auth_user_delete", args=[alice.pk]), {"post": "yes"}).status_code == 403
    selected = {"action": "delete_selected", "_selected_action": alice.pk, "post": "yes"}
    admin.post(reverse("admin:auth_user_changelist"), selected)
    assert User.objects.filter(username="alice", is_active=True, is_superuser=True).exists()
    assert admin.post(change, kept | {"email": "alice@example.com"}).status_code == 302
