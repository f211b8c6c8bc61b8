"""Each role against each page and API. Users are named after their role."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, User
from django.test import Client

from openmid.instance.access import roles
from openmid.instance.access.models import DAY_US, ApiToken
from openmid.instance.actions.models import Action
from openmid.instance.folder import Folder
from openmid.instance.records import clock
from tests.every_page import PAGES
from tests.every_page import ROLES as ROLES_OF_THE_PAGES
from tests.instance.partners import Api

A, CO, CR, D, F, M, AU = roles.ROLES

LISTS, NEW = ({page.path: set(page.sees) for page in PAGES if page.sort == sort} for sort in ("list", "new"))
"""tests/browser/test_access.py asks for the others as well."""


@pytest.fixture
def users(instance: Folder) -> Iterator[None]:
    for role in roles.ROLES:
        user = User.objects.create_user(role, is_staff=True, is_superuser=role == roles.ADMIN)
        user.groups.add(Group.objects.get(name=role))
    return


def browser(role: str) -> Client:
    found = Client(HTTP_HOST="localhost")
    found.force_login(User.objects.get(username=role))
    return found


@pytest.mark.parametrize("role", roles.ROLES)
@pytest.mark.parametrize("pages", [LISTS, NEW], ids=["lists", "new"])
def test_a_page_opens_for_the_roles_that_may_see_it_and_for_no_other(
    users: None, role: str, pages: dict[str, set[str]]
) -> None:
    who = browser(role)
    opened = {page for page in pages if who.get(page, secure=True).status_code == 200}
    assert opened == {page for page, may in pages.items() if role in may}


@pytest.mark.parametrize("role", roles.ROLES)
def test_the_home_page_opens_for_everybody(users: None, role: str) -> None:
    assert browser(role).get("/", secure=True).status_code == 200


TABLES = {
    "sys_alias": ({A, CO, CR, D, AU}, {A, CO}),
    "mid_protocol_profile": ({A, CO, CR, AU}, {A, CO, CR}),
    "ecc_agent": ({A, CO, CR, M, AU}, set()),
}


@pytest.mark.parametrize("role", roles.ROLES)
def test_the_table_api_reads_and_writes_for_the_same_roles(users: None, role: str) -> None:
    token = f"Bearer {ApiToken.issue(role, User.objects.get(username=role))}"
    script = Client(HTTP_HOST="localhost", HTTP_AUTHORIZATION=token)
    for table, (see, make) in TABLES.items():
        url = f"/api/now/table/{table}"
        assert script.get(url, secure=True).status_code == (200 if role in see else 403), table
        made = script.post(url, b"{}", content_type="application/json", secure=True)
        assert made.status_code == (400 if role in make else 403), table  # allowed: the columns are asked for


@pytest.mark.parametrize("role", roles.ROLES)
def test_executions_are_started_by_operators_and_seen_by_auditors(users: None, api: Api, role: str) -> None:
    Action(name="nothing").save()
    mine = Api(api.url, f"Bearer {ApiToken.issue(role, User.objects.get(username=role))}")
    started = mine.post("/api/v1/actions/nothing/execute", {})
    assert started.status == (202 if role in {A, D, F} else 403)
    known = api.post("/api/v1/actions/nothing/execute", {}).json["sys_id"]
    assert mine.get(f"/api/v1/executions/{known}").status == (200 if role in {A, D, F, AU} else 403)


@pytest.mark.parametrize(("scope", "runs", "makes"), [("full", 202, 201), ("run", 202, 403), ("read", 403, 403)])
def test_a_token_does_no_more_than_its_scope(api: Api, scope: str, runs: int, makes: int) -> None:
    Action(name="nothing").save()
    mine = Api(api.url, f"Bearer {ApiToken.issue(scope, User.objects.get(username='alice'), scope)}")
    assert mine.post("/api/v1/actions/nothing/execute", {}).status == runs
    assert mine.post("/api/now/table/sys_alias", {"name": "made"}).status == makes
    assert mine.get("/api/now/table/sys_alias").status == 200


def test_a_token_ends_on_its_day(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = Api(api.url, f"Bearer {ApiToken.issue('short', User.objects.get(username='alice'), days=1)}")
    assert mine.get("/api/now/table/sys_alias").status == 200
    later = clock.now() + DAY_US + 1
    monkeypatch.setattr(clock, "jump", lambda: 0)  # or the server would follow, and stay there
    monkeypatch.setattr(clock, "now", lambda: later)
    assert mine.get("/api/now/table/sys_alias").status == 401


NOBODYS = {"stepexecution", "fipsproof", "eccwriter"}
"""Parts of other records; what the writers of nodes note for each other."""


def test_the_roles_name_every_model_and_no_other() -> None:
    """A new model has to find its place in `roles.MAY`."""
    ours = {each._meta.model_name for each in apps.get_models() if each.__module__.startswith("openmid.")}
    named = {model for may in roles.MAY.values() for models in may for model in models}
    assert named - {"user", "group"} == ours - NOBODYS


def test_the_command_line_offers_the_same_roles() -> None:
    from openmid.cli import instance

    assert instance.ROLES == roles.ROLES == ROLES_OF_THE_PAGES
