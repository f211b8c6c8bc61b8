"""The Table API as its clients use it."""

from __future__ import annotations

import base64
import json
import sqlite3

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext

from openmid.instance.access.models import ApiToken
from openmid.instance.connections.credentials import BasicAuthCredential
from openmid.instance.connections.models import ConnectionAlias, MidProtocolProfile
from openmid.instance.folder import Folder
from openmid.instance.records.secrets import reveal
from openmid.instance.table_api.views import records
from tests.instance.conftest import PASSWORDS, both
from tests.instance.partners import Api, Mid


def test_a_record_from_creation_to_deletion(api: Api) -> None:
    made = api.post("/api/now/table/sys_alias", {"name": "partner"})
    record = made.result
    assert made.status == 201
    assert made.headers["location"] == f"{api.url}/api/now/table/sys_alias/{record['sys_id']}"
    assert (record["name"], record["sys_created_by"], record["sys_mod_count"]) == ("partner", "alice", "0")
    path = f"/api/now/v2/table/sys_alias/{record['sys_id']}"
    assert api.get(path).result["name"] == "partner"
    changed = api.request("PATCH", path, b'{"name": "other"}').result
    assert (changed["name"], changed["sys_mod_count"]) == ("other", "1")
    assert api.request("PUT", path, b'{"name": "third"}').result["name"] == "third"
    assert api.request("DELETE", path).status == 204
    assert api.get(path).status == 404
    assert api.get("/api/now/table/sys_alias").json == {"result": []}


def test_references_and_passwords(api: Api) -> None:
    alias = api.create("sys_alias", name="partner")
    profile = api.create("mid_protocol_profile", protocol="mauth", keystore_path="/x", password="geheim")
    assert "password" not in profile
    connection = api.create(
        "http_connection",
        name="c",
        connection_alias=alias["sys_id"],
        mutual_auth=True,
        mid_protocol_profile="mauth",
        host="h",
        port=8443,
    )
    link = f"{api.url}/api/now/table/sys_alias/{alias['sys_id']}"
    assert connection["connection_alias"] == {"link": link, "value": alias["sys_id"]}
    assert (connection["port"], connection["mutual_auth"], connection["mid_server"]) == ("8443", "true", "")
    path = f"/api/now/table/http_connection/{connection['sys_id']}"
    assert api.get(f"{path}?sysparm_exclude_reference_link=true").result["connection_alias"] == alias["sys_id"]
    again = {key: value for key, value in connection.items() if key in ("connection_alias", "host", "port")}
    assert api.request("PATCH", path, str(again).replace("'", '"').encode()).status == 200


def test_lists(api: Api) -> None:
    for name in ("a", "b", "c"):
        api.create("sys_alias", name=name)
    page = api.get("/api/now/table/sys_alias?sysparm_limit=1&sysparm_offset=1&sysparm_fields=name")
    assert (page.result, page.headers["x-total-count"]) == ([{"name": "b"}], "3")
    found = api.get("/api/now/table/sys_alias?sysparm_query=name=c%5Etype=connection").result
    assert [each["name"] for each in found] == ["c"]


@pytest.mark.parametrize(
    "query", ["name!=a", "nameLIKEa", "ORDERBYname", "name=a%5EORname=b", "nonsense=1", "sys_mod_count=x", "name"]
)
def test_a_query_that_is_not_known_is_refused(api: Api, query: str) -> None:
    reply = api.get(f"/api/now/table/sys_alias?sysparm_query={query}")
    assert reply.status == 400
    assert reply.json["error"]["message"].startswith("Invalid query at ")


def test_parameters_that_are_not_known_are_refused(api: Api) -> None:
    assert api.get("/api/now/table/sys_alias?sysparm_display_value=true").status == 400
    assert api.get("/api/now/table/sys_alias?sysparm_limit=-1").status == 400
    assert api.get("/api/now/table/sys_alias?sysparm_display_value=false&sysparm_no_count=true").status == 200


def test_errors_have_one_shape(api: Api) -> None:
    for reply, status, message in (
        (api.get("/api/now/table/nonsense"), 400, "Invalid table nonsense"),
        (api.get(f"/api/now/table/sys_alias/{'0' * 32}"), 404, "No Record found"),
        (Api(api.url).get("/api/now/table/sys_alias"), 401, "User Not Authenticated"),
        (api.request("POST", "/api/now/table/sys_alias", b"{"), 400, "The body is not JSON"),
        (api.request("POST", "/api/now/table/sys_alias", b"[]"), 400, "The body is not a JSON object"),
        (api.request("POST", "/api/now/table/sys_alias", b'{"name": "\\ud800"}'), 400, "The body is not JSON"),
        (api.request("POST", "/api/now/table/sys_alias", b" " * 11_000_000), 413, "The body is too large"),
        (api.request("DELETE", "/api/now/table/sys_alias"), 405, "Method Not Allowed"),
        (api.get("/api/nonsense"), 404, "Not Found"),
    ):
        assert (reply.status, reply.json["error"]["message"]) == (status, message)
        assert reply.json["status"] == "failure"


def test_what_is_in_use_is_not_deleted(api: Api) -> None:
    alias = api.create("sys_alias", name="partner")
    api.action("call", {"connection_alias": "partner"})
    reply = api.request("DELETE", f"/api/now/table/sys_alias/{alias['sys_id']}")
    assert (reply.status, reply.json["error"]["message"]) == (400, "partner is in use")


def test_mid_servers_are_read_only(api: Api, mid: Mid) -> None:
    (row,) = api.get("/api/now/table/ecc_agent?sysparm_query=name=mid1").result
    assert (row["status"], row["validated"], row["fingerprint"]) == ("Up", "true", mid.fingerprint)
    assert not any("credential" in name for name in row)
    assert api.post("/api/now/table/ecc_agent", {"name": "x"}).status == 403
    assert api.get("/api/now/table/ecc_agent?sysparm_query=status=Up").status == 400
    assert api.request("DELETE", f"/api/now/table/ecc_agent/{row['sys_id']}").status == 204
    assert mid.heartbeat().status == 401


def basic(name: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"


def test_http_basic_and_roles(api: Api) -> None:
    alice, charlie = (Api(api.url, basic(name, PASSWORDS[name])) for name in ("alice", "charlie"))
    assert alice.get("/api/now/table/sys_alias").status == 200
    assert alice.get("/api/now/table/sys_alias").status == 200
    assert charlie.get("/api/now/table/ecc_agent").status == 200
    for reply in (
        charlie.get("/api/now/table/sys_alias"),
        charlie.post("/api/now/table/mid_protocol_profile", {"protocol": "p"}),
        charlie.get("/api/v1/actions"),
        charlie.execute("call"),
        charlie.get("/api/v1/executions/x"),
        charlie.post("/api/v1/mid-servers/x/validate", {}),
    ):
        assert reply.status == 403, reply.raw
        assert "Insufficient rights" in reply.json["error"]["message"]


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Basic",
        "Basic !!!",
        basic("alice", "wrong"),
        basic("nobody", "x"),
        "Bearer omt_wrong",
        "Bearer x",
        "Digest x",
    ],
)
def test_wrong_credentials(api: Api, authorization: str) -> None:
    stranger = Api(api.url, authorization)
    for reply in (stranger.get("/api/now/table/sys_alias"), stranger.execute("call")):
        assert (reply.status, reply.json["error"]["message"]) == (401, "User Not Authenticated")
        assert reply.headers["www-authenticate"] == 'Basic realm="openmid"'


def test_a_changed_password_and_a_user_who_left(api: Api) -> None:
    from django.contrib.auth.models import User

    alice = Api(api.url, basic("alice", PASSWORDS["alice"]))
    assert alice.get("/api/now/table/sys_alias").status == 200
    user = User.objects.get(username="alice")
    user.set_password("another")
    user.save()
    assert alice.get("/api/now/table/sys_alias").status == 401
    assert api.get("/api/now/table/sys_alias").status == 200
    user.is_active = False
    user.save()
    assert api.get("/api/now/table/sys_alias").status == 401


@pytest.mark.parametrize("path", ["/api/now/table/sys_alias", "/api/v1/actions", "/api/v1/actions/call/execute"])
def test_a_page_of_another_site_cannot_use_a_browsers_password(api: Api, path: str) -> None:
    for site in ("cross-site", "same-site"):
        reply = api.request("POST", path, b"{}", Sec_Fetch_Site=site)
        assert (reply.status, "another site" in reply.json["error"]["message"]) == (403, True)
    assert api.request("POST", path, b"{}", Sec_Fetch_Site="same-origin").status != 403


@both
def test_a_record_that_another_request_made_meanwhile_is_in_the_way(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two requests with one name PostgreSQL lets both pass the form, and one the commit."""
    assert api.post("/api/now/table/sys_alias", {"name": "a"}).status == 201
    monkeypatch.setattr(ConnectionAlias, "validate_unique", lambda *_, **__: None)
    reply = api.post("/api/now/table/sys_alias", {"name": "a"})
    assert (reply.status, reply.json["error"]["detail"]) == (409, "nothing was done: send it again")


def test_a_secret_that_a_record_needs_is_not_emptied(api: Api) -> None:
    made = api.create("basic_auth_credentials", name="c", user_name="u", password="geheim")
    path = f"/api/now/table/basic_auth_credentials/{made['sys_id']}"
    reply = api.request("PATCH", path, b'{"password": ""}')
    assert (reply.status, "password" in reply.json["error"]["message"]) == (400, True)
    assert api.request("PATCH", path, b'{"user_name": "v"}').status == 200
    assert reveal(BasicAuthCredential.objects.get(), "password") == "geheim"
    profile = api.create("mid_protocol_profile", protocol="mauth", keystore_path="/x", password="geheim")
    path = f"/api/now/table/mid_protocol_profile/{profile['sys_id']}"
    assert api.request("PATCH", path, b'{"password": "", "external_credential_store": "true"}').status == 400
    assert reveal(MidProtocolProfile.objects.get(), "password") == "geheim"
    assert api.request("PATCH", path, b'{"password": ""}').status == 200
    assert reveal(MidProtocolProfile.objects.get(), "password") == ""


@both
@pytest.mark.parametrize("condition", ["name=a", "mid_list=a"])
def test_a_query_without_end_is_refused(api: Api, condition: str) -> None:
    table = "sys_alias" if condition == "name=a" else "mid_protocol_profile"
    replies = [api.get(f"/api/now/table/{table}?sysparm_query={'^'.join([condition] * n)}") for n in (50, 51)]
    assert [reply.status for reply in replies] == [200, 400]
    assert "at most 50" in replies[1].json["error"]["detail"]


def test_a_list_reads_each_record_once(instance: Folder) -> None:
    """Else one that is deleted meanwhile would be looked for again, and be a failure of the whole list."""
    token = ApiToken.issue("t", User.objects.get(username="alice"))
    asked = RequestFactory().get("/api/now/table/mid_protocol_profile", headers={"Authorization": f"Bearer {token}"})
    counts = []
    for name in ("one", "two", "three"):
        MidProtocolProfile.objects.create(protocol=name, keystore_path="/x")
        with CaptureQueriesContext(connection) as queries:
            assert len(json.loads(records(asked, table="mid_protocol_profile").content)["result"]) == len(counts) + 1
        counts.append(len(queries))
    assert len(set(counts)) == 1


def test_a_full_disk_is_told_as_one(api: Api) -> None:
    def fail(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("openmid.instance.actions.runner.begin", fail)
        queued = api.post("/api/v1/actions/call/execute", {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("django.db.backends.sqlite3.base.SQLiteCursorWrapper.execute", fail)
        stored = api.post("/api/now/table/sys_alias", {"name": "a"})
    assert queued.status == 503
    assert queued.json["error"]["message"] == "the instance's disk is full"
    assert (stored.status, stored.json["error"]["message"]) == (503, "the instance's disk is full")
