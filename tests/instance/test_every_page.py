"""Every page of the site, as its URLs say: who has no role gets into none, whatever is added later."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import NoReverseMatch, URLPattern, URLResolver, get_resolver, reverse

from openmid.instance.access import roles
from openmid.instance.actions.models import Execution
from openmid.instance.audit.models import Audit
from openmid.instance.connections.credentials import KINDS
from openmid.instance.mid.models import (
    EnrolmentToken,
    IpRange,
    MidApplication,
    MidCapability,
    MidCluster,
    MidIssue,
    MidServer,
)
from openmid.instance.records import clock
from tests.instance.partners import Api, Mid
from tests.instance.test_walk import records

EVERYBODY = {
    "admin:index",
    "admin:login",
    "admin:code",
    "admin:logout",
    "admin:colours",
    "admin:jsi18n",
    "admin:password_change",
    "admin:password_change_done",
    "admin:second_factor",
    "admin:search",
}
"""Pages that are not about records, or show of them what one may see."""
NOTHING_THERE = {"admin:autocomplete", "admin:view_on_site"}
"""Django's own, which answer nothing here: no model of ours has what they need."""


@pytest.fixture
def standing(api: Api, mid: Mid) -> str:
    """A record of everything. Returns the sys_id of an execution."""
    records(api)
    server = MidServer.objects.get()
    for made in (
        MidCluster(name="c"),
        MidApplication(name="a"),
        MidCapability(name="k"),
        IpRange(name="dmz", range="192.0.2.0/24"),
        *(kind(name=kind.__name__) for kind in KINDS),
    ):
        made.save()
    MidIssue(mid_server=server, source="x", short_description="x", last_detected=clock.now()).save()
    EnrolmentToken.issue("mid2")
    assert (
        api.request("POST", "/api/now/attachment/file?file_name=a.txt", b"x", Content_Type="text/plain").status == 201
    )
    sys_id = api.execute("call").json["sys_id"]
    mid.deliver(mid.job(), body="x")
    return str(sys_id)


def patterns(found: Any, namespace: str = "") -> Iterator[tuple[str, URLPattern]]:
    for each in found:
        if isinstance(each, URLResolver):
            yield from patterns(each.url_patterns, f"{namespace}{each.namespace}:" if each.namespace else namespace)
        elif each.name:
            yield f"{namespace}{each.name}", each


def pages(execution: str) -> dict[str, str]:
    """The address of each page by name, with records that are there."""
    found = {}
    for name, pattern in patterns(get_resolver().url_patterns):
        wanted = list(pattern.pattern.converters)
        first = _first(name, execution)
        values = {"step": 0, "part": "body"}
        try:
            found[name] = reverse(name, kwargs={each: values.get(each, first) for each in wanted})
        except NoReverseMatch:  # a named group of a regular expression: Django's last resort
            continue
    return found


def _first(name: str, execution: str) -> str:
    if "_execution_" in name:
        return execution
    label, _, rest = name.removeprefix("admin:").partition("_")
    model = rest.partition("_")[0]
    try:
        record = apps.get_model(label, model)._default_manager.first()
    except LookupError:
        record = None
    return str(record.pk) if record else "0" * 32


def browser(*groups: str) -> Client:
    user = User.objects.create_user("-".join(groups) or "nobody", is_staff=True)
    user.groups.set(Group.objects.filter(name__in=groups))
    client = Client(HTTP_HOST="localhost")
    client.force_login(user)
    return client


def test_who_has_no_role_gets_into_no_page(standing: str) -> None:
    nobody = browser()
    found = {name: url for name, url in pages(standing).items() if name.startswith("admin:")}
    assert len(found) > 100
    let_in = {
        f"{method} {name}"
        for name, url in found.items()
        if name not in EVERYBODY | NOTHING_THERE
        for method in ("get", "post")
        if getattr(nobody, method)(url).status_code not in (403, 405)
    }
    assert let_in == set()


def test_the_auditor_gets_into_every_page_that_shows_and_changes_nothing(standing: str) -> None:
    auditor = browser(roles.AUDITOR)
    found = pages(standing)
    shows = [
        name
        for name in found
        if name.endswith(("_changelist", "_change", "_history", "_csv", "_all_versions", "_live", "_shown", "_log"))
    ]
    shows.remove("admin:auth_user_password_change")
    refused = {name for name in shows if auditor.get(found[name]).status_code not in (200, 302)}
    assert refused == set()
    before = Audit.objects.count(), Execution.objects.count()
    for name, url in found.items():
        if name.startswith("admin:") and name not in EVERYBODY:
            auditor.post(url, {"name": "x", "_form_submitted": "True", "post": "yes", "restore": "1", "_order": "x"})
    assert (Audit.objects.count(), Execution.objects.count()) == before
