"""Secrets that people write into headers: they lie sealed wherever the instance keeps them, and the MID Server gets them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader

from openmid.instance.actions import versions
from openmid.instance.actions.models import Action, Step
from openmid.instance.connections import header_fields
from openmid.instance.connections.models import HttpConnection
from openmid.instance.folder import Folder
from openmid.instance.operations import rotation
from openmid.instance.records import header_secrets
from openmid.instance.records.header_secrets import MARK, MASK
from openmid.wire.messages import ClaimAnswer, Job
from tests.instance.conftest import both
from tests.instance.partners import Api, Mid
from tests.instance.test_walk import records

CANARY = "CANARY-3f9c/+ä8&q"
OLD = "OLD-3f9c/+ä8&q"
URL = "/api/v1/connections/partner/request"


def everything() -> str:
    """All that lies in the database."""
    with connection.cursor() as cursor:
        texts = []
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            texts.append(str(cursor.fetchall()))
    found = "\n".join(texts)
    return found.encode().decode("unicode_escape", errors="replace") + found


def in_clear(canary: str = CANARY) -> bool:
    """Whether the canary lies in the database or in its files, however it is written there."""
    start = canary.partition("/")[0]
    return canary in everything() or any(start.encode() in each.read_bytes() for each in files())


def files() -> Iterator[Path]:
    """The files of the database: SQLite's with its log; PostgreSQL's own of this database, and the whole log."""
    if connection.vendor == "sqlite":
        yield from (each for end in ("", "-wal") if (each := Path(f"{connection.settings_dict['NAME']}{end}")).exists())
        return
    with connection.cursor() as cursor:
        cursor.execute("CHECKPOINT")
        cursor.execute(
            "SELECT current_setting('data_directory'), oid FROM pg_database WHERE datname = current_database()"
        )
        folder, database = cursor.fetchone()
    found = [
        each for place in (f"base/{database}", "pg_wal") for each in Path(folder, place).rglob("*") if each.is_file()
    ]
    assert len(found) > 100
    yield from found


def step(**more: Any) -> dict[str, Any]:
    return {"name": "One", "connection_alias": "partner", "headers": [["Authorization", f"Bearer {CANARY}"]], **more}


def put(api: Api, *steps: dict[str, Any]) -> Any:
    return api.request("PUT", "/api/v1/actions/secret", json.dumps({"name": "secret", "steps": list(steps)}).encode())


def sent(job: Job) -> list[tuple[str, str]]:
    return job.decoded().headers


@pytest.fixture
def key(instance: Folder) -> Iterator[Path]:
    """The file of the instance's key, which is afterwards as it was."""
    path = instance.secrets / "field.key"
    before = path.read_bytes()
    yield path
    path.write_bytes(before)


@both
def test_from_a_step_to_the_mid_server_no_secret_lies_in_clear(api: Api, mid: Mid) -> None:
    records(api, additional_http_headers=json.dumps([["X-Api-Key", CANARY], ["X-Plain", "plain"]]))
    made = api.action("secret", step())
    assert made["steps"][0]["headers"] == [["Authorization", MASK]]
    assert api.post("/api/v1/actions/secret/publish", {}).result["published"] == 1
    sys_id = api.execute("secret").json["sys_id"]
    assert not in_clear()
    job = mid.job()
    assert sent(job) == [("X-Api-Key", CANARY), ("X-Plain", "plain"), ("Authorization", f"Bearer {CANARY}")]
    mid.deliver(job, headers=[("Set-Cookie", f"session={CANARY}"), ("Via", "x")])
    assert not in_clear()
    (found,) = api.details(sys_id)["steps"]
    assert found["configuration"]["headers"] == [["X-Api-Key", MASK], ["X-Plain", "plain"], ["Authorization", MASK]]
    assert found["output"]["headers"] == [["Set-Cookie", MASK], ["Via", "x"]]
    row = api.get("/api/now/table/http_connection").result[0]
    assert json.loads(row["additional_http_headers"]) == [["X-Api-Key", MASK], ["X-Plain", "plain"]]


def test_an_ad_hoc_request_carries_what_nobody_reads_afterwards_and_can_be_run_again(api: Api, mid: Mid) -> None:
    records(api)
    sys_id = api.post(URL, {"headers": {"Proxy-Authorization": CANARY, "Accept": "*/*"}}).json["sys_id"]
    wanted = [("Proxy-Authorization", CANARY), ("Accept", "*/*")]
    assert sent(mid.job()) == wanted
    again = api.post(f"/api/v1/executions/{sys_id}/run-again", {}).json
    assert sent(mid.job()) == wanted
    assert again["steps"][0]["configuration"]["headers"] == [["Proxy-Authorization", MASK], ["Accept", "*/*"]]
    assert not in_clear()


def test_what_a_pill_brings_into_a_secret_header_is_sealed_and_the_pill_is_shown(api: Api, mid: Mid) -> None:
    records(api)
    login = step(name="Login", headers=[], outputs=[])
    cookie = "{{steps.Login.headers.Set-Cookie}}"
    use = step(name="Use", headers=[["Cookie", cookie], ["Authorization", CANARY]])
    made = api.action("secret", login, use)
    assert made["steps"][1]["headers"] == [["Cookie", cookie], ["Authorization", MASK]]
    api.execute("secret")
    mid.deliver(mid.job(), headers=[("Set-Cookie", CANARY)])
    assert sent(mid.job()) == [("Cookie", CANARY), ("Authorization", CANARY)]
    assert not in_clear()


@both
def test_what_comes_back_masked_stays_what_it_was(api: Api, mid: Mid) -> None:
    records(api)
    document = api.action("secret", step())["steps"][0]
    api.post("/api/v1/actions/secret/publish", {})
    assert not versions.is_changed(Action.objects.get(name="secret"))
    assert put(api, document | {"headers": [["Accept", "a/b"], ["authorization", MASK]]}).status == 200
    api.post("/api/v1/actions/secret/publish", {})
    api.execute("secret")
    assert sent(mid.job()) == [("Accept", "a/b"), ("authorization", f"Bearer {CANARY}")]
    assert put(api, document | {"headers": [["Authorization", "another"]]}).status == 200
    assert not in_clear()
    (found,) = HttpConnection.objects.all()
    path = f"/api/now/table/http_connection/{found.pk}"
    headers = json.dumps([["X-Token", CANARY]])
    assert api.request("PATCH", path, json.dumps({"additional_http_headers": headers}).encode()).status == 200
    masked = {"additional_http_headers": json.dumps([["X-Token", MASK]]), "name": "renamed"}
    assert api.request("PATCH", path, json.dumps(masked).encode()).status == 200
    assert api.request("PATCH", path, json.dumps({"connection_timeout": "5000"}).encode()).status == 200
    found.refresh_from_db()
    assert header_secrets.opened(found.additional_http_headers) == [("X-Token", CANARY)]
    assert not in_clear()


def test_asterisks_without_a_stored_value_are_refused(api: Api, mid: Mid) -> None:
    records(api)
    document = api.action("secret", step())["steps"][0]
    copied = api.post("/api/v1/actions", {"name": "copied", "steps": [document]})
    assert copied.status == 400
    assert "steps[0].headers: Enter the value of Authorization" in copied.json["error"]["detail"]
    assert put(api, document | {"headers": [["Cookie", MASK]]}).status == 400
    assert put(api, document | {"headers": [["Authorization", MASK]] * 2}).status == 400
    assert api.post("/api/v1/actions/secret/copy", {"name": "copied"}).status == 201
    api.execute("copied")
    assert sent(mid.job()) == [("Authorization", f"Bearer {CANARY}")]


def test_a_stored_secret_goes_to_no_other_partner(api: Api, mid: Mid) -> None:
    records(api)
    api.create("sys_alias", name="other", connection_type="http_connection")
    document = api.action("secret", step())["steps"][0]
    mine = {"connection_alias": None, "base_url": "https://mine.example"}
    for elsewhere in ({"connection_alias": "other"}, mine):
        answer = put(api, document | elsewhere)
        assert answer.status == 400
        assert "steps[0].headers: Enter the value of Authorization anew" in answer.json["error"]["detail"]
    assert put(api, document | mine | {"headers": [["Authorization", CANARY]]}).status == 200
    same = document | mine | {"base_url": "https://mine.example/v2"}
    assert put(api, same).status == 200
    assert put(api, same | {"base_url": "https://mine.example:8443/v2"}).status == 400
    api.execute("secret")
    assert sent(mid.job()) == [("Authorization", CANARY)]


def test_nobody_makes_the_instance_open_what_he_has_read_elsewhere(api: Api, mid: Mid) -> None:
    records(api)
    token = header_secrets.seal(CANARY)
    assert api.post(URL, {"headers": {"Authorization": token}}).status == 400
    assert api.post("/api/v1/actions", {"name": "x", "steps": [step(headers=[["Authorization", token]])]}).status == 400
    assert api.post(URL, {"body": token, "query": {"a": token}}).status == 202
    assert mid.job().decoded().body == token
    use = step(name="Use", headers=[["X-A", "{{steps.One.headers.Set-Cookie}}"], ["X-B", "{{steps.One.headers.X-C}}"]])
    api.action("secret", step(), use)
    sys_id = api.execute("secret").json["sys_id"]
    mid.deliver(mid.job(), headers=[("Set-Cookie", token), ("X-C", token)])
    assert api.details(sys_id)["steps"][1]["error"]["code"] == "bad_input"  # a control character, and nothing else


def test_the_audit_trail_says_that_a_secret_changed_and_not_what_it_is(api: Api, mid: Mid) -> None:
    records(api)
    found = HttpConnection.objects.get()
    path = f"/api/now/table/http_connection/{found.pk}"
    for value in (CANARY, "another"):
        headers = json.dumps([["X-Token", value]])
        api.request("PATCH", path, json.dumps({"additional_http_headers": headers}).encode())
    shown = everything()
    assert f"[['X-Token', '{MASK}']] (changed)" in shown.replace("\\'", "'").replace('"', "")
    assert not in_clear()


@both
def test_after_a_rotation_the_new_key_opens_what_waits_and_what_is_run_again(
    api: Api, mid: Mid, key: Path, instance: Folder
) -> None:
    records(api)
    api.action("secret", step())
    api.post("/api/v1/actions/secret/publish", {})
    api.execute("secret")
    ad_hoc = api.post(URL, {"headers": {"Cookie": CANARY}}).json["sys_id"]
    old = key.read_text()
    # The keystore's password; draft and version; two plans and two payloads.
    assert rotation.rotate(instance) == 1 + 2 + 2 + 2
    assert old.strip() not in key.read_text()
    assert not versions.is_changed(Action.objects.get(name="secret"))
    jobs = mid.claim(limit=5).message(ClaimAnswer).jobs
    assert sorted(sent(job) for job in jobs) == [[("Authorization", f"Bearer {CANARY}")], [("Cookie", CANARY)]]
    api.post(f"/api/v1/executions/{ad_hoc}/run-again", {})
    assert sent(mid.job()) == [("Cookie", CANARY)]
    assert rotation.rotate(instance) == 1 + 2 + 3 + 3


def test_a_job_whose_secret_does_not_open_ends_and_says_so(api: Api, mid: Mid, key: Path) -> None:
    records(api)
    lost = api.post(URL, {"headers": {"Cookie": CANARY}}).json["sys_id"]
    kept = api.post(URL, {"headers": {"Accept": "a/b"}}).json["sys_id"]
    key.write_text("00" * 32)
    (job,) = mid.claim(limit=5).message(ClaimAnswer).jobs
    assert sent(job) == [("Accept", "a/b")]
    error = api.details(lost)["steps"][0]["error"]
    assert (error["code"], api.details(kept)["state"]) == ("header_does_not_open", "In Progress")
    assert error["message"] == "the value of the header Cookie does not open with this instance's key"


def test_neither_an_update_nor_a_query_takes_a_clear_secret(instance: Folder) -> None:
    with pytest.raises(TypeError, match="save the record"):
        Step.objects.filter(headers=[["Cookie", CANARY]])
    with pytest.raises(TypeError, match="save the record"):
        Step.objects.update(headers=[["Cookie", CANARY]])


@pytest.mark.parametrize(
    "name", ["Authorization", "proxy-authorization", "Cookie", "X-API-Key", "api_key", "X-Auth-Token", "Signature"]
)
def test_names_that_say_it(name: str) -> None:
    assert header_secrets.is_secret(name)


@pytest.mark.parametrize("name", ["Accept", "X-Author", "Author", "Authority", "WWW-Authenticate", "Key"])
def test_names_that_do_not(name: str) -> None:
    assert not header_secrets.is_secret(name)


def test_masked_values_are_taken_in_order() -> None:
    one, two = header_secrets.seal("1"), header_secrets.seal("2")
    before = [["Cookie", one], ["Cookie", two]]
    assert header_fields.kept([["Cookie", MASK], ["cookie", MASK]], before) == [["Cookie", one], ["cookie", two]]
    assert header_fields.kept([["Cookie", two], ["Cookie", MASK]], before) == [["Cookie", two], ["Cookie", one]]
    assert header_fields.kept([["X-Stars", MASK]], before) == [["X-Stars", MASK]]
    for refused in ([["Cookie", MASK]] * 3, [["Cookie", f"{MARK}AAAA"]], [["X-A", one]], {"a": "b"}):
        with pytest.raises(ValidationError):
            header_fields.kept(refused, before)


@both
def test_what_lay_in_clear_before_is_sealed_by_the_migration(api: Api, mid: Mid) -> None:
    records(api)
    clear = [["Cookie", OLD], ["Accept", "a/b"], ["Authorization", "{{inputs.a}}"]]
    api.action("secret", step(headers=[]))
    api.execute("secret")
    pairs, found = json.dumps(clear), header_secrets.sealed
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(header_secrets, "sealed", lambda headers, unless=None: list(headers))
        patch.setattr(header_secrets.HeadersField, "get_prep_value", lambda self, value: value)
        for record, column in (
            (Step.objects.get(action__name="secret"), "headers"),
            (HttpConnection.objects.get(), "additional_http_headers"),
        ):
            setattr(record, column, clear)
            record.save()
    assert header_secrets.sealed is found
    with connection.cursor() as cursor:
        cursor.execute("UPDATE step_execution SET plan = REPLACE(plan, %s, %s)", ['"headers":[]', f'"headers":{pairs}'])
        cursor.execute(
            "UPDATE ecc_queue SET payload = REPLACE(payload, %s, %s)", ['"headers":[]', f'"headers":{pairs}']
        )
    assert in_clear(OLD)
    connection.close()
    executor = MigrationExecutor(connection)
    executor.loader = MigrationLoader(connection, replace_migrations=False)  # the squashed one has no middle
    executor.migrate([("actions", "0007_sealed_headers")])
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())
    assert OLD not in everything()
    if connection.vendor == "sqlite":  # PostgreSQL's log is not ours to write anew: docs/instance.md
        assert not in_clear(OLD)
    assert Step.objects.get(action__name="secret").headers[2] == ["Authorization", "{{inputs.a}}"]
    assert sent(mid.job())[:2] == [("Cookie", OLD), ("Accept", "a/b")]
    with connection.cursor() as cursor, pytest.raises(Exception, match="append-only"):
        cursor.execute("UPDATE sys_audit SET newvalue = 'x'")
