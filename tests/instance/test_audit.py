"""The audit trail: who changed what, from where."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import DatabaseError, connection
from django.test import Client

from openmid.instance.audit import trail
from openmid.instance.audit.models import Audit
from openmid.instance.connections.models import ConnectionAlias, MidProtocolProfile
from openmid.instance.folder import Folder
from openmid.instance.records.actor import acting_as
from tests.instance.conftest import PASSWORDS, both
from tests.instance.partners import Api, Mid
from tests.instance.web.conftest import streamed


def entries(**which: Any) -> list[tuple[str, ...]]:
    """(user, event, field, old, new) in order."""
    found = Audit.objects.filter(**which).order_by("sys_created_on")
    return [(each.user, each.event, each.fieldname, each.oldvalue, each.newvalue) for each in found]


def test_each_changed_column_is_a_row_with_both_values(instance: Folder) -> None:
    with acting_as("alice", "192.0.2.1"):
        alias = ConnectionAlias(name="partner")
        alias.save()
    with acting_as("bob", "192.0.2.2"):
        alias.name = "partner2"
        alias.save()
        alias.save()  # nothing changed: nothing to say
        key = alias.pk
        alias.delete()
    assert ("alice", "insert", "name", "", "partner") in entries(documentkey=key)
    assert entries(documentkey=key, event="update") == [("bob", "update", "name", "partner", "partner2")]
    assert entries(documentkey=key, event="delete") == [("bob", "delete", "", "", "")]
    assert set(Audit.objects.filter(user="bob").values_list("address", flat=True)) == {"192.0.2.2"}


def test_a_secret_is_said_to_be_changed_and_never_shown(instance: Folder) -> None:
    profile = MidProtocolProfile(protocol="mauth", keystore_path="/c.bcfks", password="canary one")
    profile.save()
    profile.password = "canary two"
    profile.save()
    profile.keystore_path = "/d.bcfks"
    profile.save()
    assert [row[3:] for row in entries(fieldname="password", tablename="mid_protocol_profile")] == [
        ("", "(set)"),
        ("(changed)", "(changed)"),
    ]
    assert entries(fieldname="keystore_path", event="update")[0][3:] == ("/c.bcfks", "/d.bcfks")
    user = User.objects.get(username="alice")
    user.set_password("canary three")
    user.save()
    everything = "".join(trail.as_json_lines(Audit.objects.all()))
    assert "canary" not in everything
    assert "pbkdf2" not in everything
    assert "md5$" not in everything


def test_roles_and_lists_are_noted(instance: Folder) -> None:
    charlie = User.objects.get(username="charlie")
    charlie.groups.add(Group.objects.get(name="admin"))
    charlie.groups.remove(Group.objects.get(name="mid_server"))
    assert [row[2:] for row in entries(fieldname="groups", display="charlie")][-2:] == [
        ("groups", "", "admin"),
        ("groups", "mid_server", ""),
    ]


def test_signing_in_and_failing_to_are_noted(instance: Folder) -> None:
    browser = Client(HTTP_HOST="localhost", REMOTE_ADDR="192.0.2.9")
    browser.post("/login/", {"username": "alice", "password": "wrong"}, secure=True)
    browser.post("/login/", {"username": "alice", "password": PASSWORDS["alice"]}, secure=True)
    browser.post("/logout/", secure=True)
    seen = [row[:2] for row in entries(address="192.0.2.9")]
    assert seen == [("alice", "sign_in_failed"), ("alice", "sign_in"), ("alice", "sign_out")]


def test_a_change_by_the_api_has_its_address(api: Api) -> None:
    assert api.post("/api/now/table/sys_alias", {"name": "by_api"}).status == 201
    (entry,) = Audit.objects.filter(display="by_api", fieldname="name")
    assert (entry.user, entry.address) == ("alice", "127.0.0.1")


def test_what_comes_from_machines_has_its_address_too(mid: Mid, api: Api) -> None:
    made = api.request("POST", "/api/now/attachment/file?file_name=a.txt", b"x").result["sys_id"]
    assert api.request("DELETE", f"/api/now/attachment/{made}").status == 204
    gone = Audit.objects.get(tablename="sys_attachment", event="delete")
    assert (gone.user, gone.address) == ("alice", "127.0.0.1")
    enrolled = Audit.objects.filter(tablename="ecc_agent", documentkey=mid.sys_id)
    assert set(enrolled.values_list("address", flat=True)) == {"127.0.0.1"}


def test_a_change_that_is_taken_back_leaves_no_entry(instance: Folder) -> None:
    from django.db import transaction

    with pytest.raises(ZeroDivisionError), transaction.atomic():
        ConnectionAlias(name="gone").save()
        raise ZeroDivisionError
    assert entries(display="gone") == []


@pytest.mark.parametrize("statement", ["UPDATE sys_audit SET oldvalue = ''", "DELETE FROM sys_audit"])
def test_the_database_refuses_to_change_an_entry(instance: Folder, statement: str) -> None:
    ConnectionAlias(name="kept").save()
    before = Audit.objects.count()
    with pytest.raises(DatabaseError, match="append-only"), connection.cursor() as cursor:
        cursor.execute(statement)
    assert Audit.objects.count() == before


@both
def test_the_database_knows_no_way_around_that(instance: Folder) -> None:
    """REPLACE deletes without the trigger of DELETE, and so does TRUNCATE."""
    ConnectionAlias(name="kept").save()
    before = list(Audit.objects.values())
    copy = "REPLACE INTO sys_audit SELECT * FROM sys_audit"
    statement = copy if connection.vendor == "sqlite" else "TRUNCATE sys_audit"
    with pytest.raises(DatabaseError, match="append-only"), connection.cursor() as cursor:
        cursor.execute(statement)
    assert list(Audit.objects.values()) == before


def test_the_export_says_everything_and_starts_no_formula(instance: Folder) -> None:
    with acting_as("=cmd()", "192.0.2.1"):
        ConnectionAlias(name="exported").save()
    rows = "".join(trail.as_csv(Audit.objects.filter(display="exported", fieldname="name"))).splitlines()
    assert rows[0] == ",".join(trail.COLUMNS)
    assert ",'=cmd(),192.0.2.1,insert,sys_alias," in rows[1]
    (line,) = trail.as_json_lines(Audit.objects.filter(display="exported", fieldname="name"))
    assert json.loads(line)["newvalue"] == "exported"


def test_the_page_lists_and_exports_what_its_filters_show(instance: Folder) -> None:
    ConnectionAlias(name="listed").save()
    browser = Client(HTTP_HOST="localhost")
    browser.force_login(User.objects.get(username="alice"))
    assert "listed" in browser.get("/audit/audit/", secure=True).content.decode()
    export = browser.get("/audit/audit/export.csv?event__exact=sign_in", secure=True)
    rows = streamed(export).splitlines()
    assert [row.split(",")[3] for row in rows] == ["event", "sign_in"]
    for query in ("nothing=1", "sys_created_on__gte=x"):
        assert browser.get(f"/audit/audit/export.csv?{query}", secure=True).status_code == 400
    (entry,) = Audit.objects.filter(display="listed", fieldname="name")
    page = browser.get(f"/audit/audit/{entry.pk}/change/", secure=True).content.decode()
    assert "listed" in page
    assert 'name="_save"' not in page
    browser.force_login(User.objects.get(username="charlie"))
    assert browser.get("/audit/audit/export.csv", secure=True).status_code == 403
