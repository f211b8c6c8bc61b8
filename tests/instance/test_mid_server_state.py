"""What a MID Server is told and what becomes of what it says: pause, restart, issues, bounds, credentials, moved jobs."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from starlette.requests import Request

from openmid.instance.channel import mid as channel
from openmid.instance.channel.http import in_thread
from openmid.instance.mid.models import MidIssue, MidServer
from openmid.wire.messages import ClaimAnswer, ConfigurationAnswer, HeartbeatAnswer, ProfileStatus
from tests.instance.conftest import validate
from tests.instance.partners import Api, Mid

on_both_databases = True


def told(mid: Mid, **what: Any) -> HeartbeatAnswer:
    return mid.heartbeat(**what).message(HeartbeatAnswer)


def command(api: Api, verb: str) -> None:
    assert api.post(f"/api/v1/mid-servers/mid1/{verb}", {}).status == 200


def another(api: Api, name: str) -> Mid:
    from openmid.instance.mid.models import EnrolmentToken

    found = Mid(api.url, name)
    assert found.enrol(EnrolmentToken.issue(name)[1]).status == 200
    assert validate(api, found).status == 200
    told(found)
    return found


def connected(api: Api, name: str = "partner", **columns: object) -> Any:
    alias = api.create("sys_alias", name=name)["sys_id"]
    made = api.create("http_connection", name=name, connection_alias=alias, host=f"{name}.example", **columns)
    api.action(f"call {name}", {"connection_alias": name})
    return made


def test_a_paused_mid_server_gets_no_work_until_it_is_resumed(api: Api, mid: Mid) -> None:
    connected(api)
    execution = api.execute("call%20partner").json["sys_id"]
    command(api, "pause")
    assert told(mid).paused
    assert MidServer.objects.get().status == "Paused"
    assert mid.claim().message(ClaimAnswer).jobs == []
    refused = api.details(api.execute("call%20partner").json["sys_id"])["steps"][0]["error"]
    assert refused["code"] == "mid_server_paused"
    command(api, "resume")
    assert not told(mid).paused
    mid.deliver(mid.job())
    assert api.details(execution)["state"] == "Completed"


def test_a_restart_is_asked_for_by_its_time(api: Api, mid: Mid) -> None:
    assert told(mid).restart == 0
    before = time.time_ns() // 1000
    command(api, "restart")
    answer = told(mid)
    assert before <= answer.restart <= answer.now


def status(**changed: object) -> ProfileStatus:
    good = {"sys_id": "a" * 32, "protocol": "mauth", "loaded": True, "subject": "CN=me", "serial": "0A"}
    return ProfileStatus(**(good | {"not_after": "2099-01-01T00:00:00Z"} | changed))  # type: ignore[arg-type]


def ends(days: float) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).isoformat()


@pytest.mark.parametrize(
    ("status", "source", "sentence"),
    [
        (status(loaded=False, error="there is no file"), "Profile mauth", "does not load: there is no file"),
        (status(error="it is damaged"), "Profile mauth", "CN=me (serial 0A) stays in use: it is damaged"),
        (status(not_after=ends(29)), "Certificate mauth", "expires within 30 days"),
        (status(not_after=ends(13)), "Certificate mauth", "expires within 14 days"),
        (status(not_after=ends(6)), "Certificate mauth", "expires within 7 days"),
        (status(not_after=ends(-1)), "Certificate mauth", "expired on"),
    ],
)
def test_a_profiles_trouble_is_an_issue_until_it_ends(
    mid: Mid, status: ProfileStatus, source: str, sentence: str
) -> None:
    for _ in range(2):
        told(mid, profiles=[status])
    issue = MidIssue.objects.get()
    assert (issue.source, issue.state, issue.count) == (source, "new", 1)
    assert sentence in issue.short_description
    told(mid, profiles=[globals()["status"]()])
    issue.refresh_from_db()
    assert issue.state == "resolved"


@pytest.mark.parametrize(("off", "found"), [(0, 0), (20, 0), (40, 1), (-40, 1)])
def test_a_clock_that_is_off_is_an_issue(mid: Mid, off: int, found: int) -> None:
    told(mid, now=time.time_ns() // 1000 + off * 1_000_000)
    assert MidIssue.objects.filter(source="Clock", state="new").count() == found


def speak(mid: Mid, processes: str) -> list[MidIssue]:
    """Heartbeats of these processes, one letter each; the issues that are open then."""
    for each in processes:
        told(mid, started=1_700_000_000_000_000 + ord(each), host_name=f"host-{each}")
    return list(MidIssue.objects.filter(source="Copies", state="new"))


def test_copies_of_an_agent_folder_are_an_issue_until_one_is_left(api: Api, mid: Mid) -> None:
    assert speak(mid, "aabab") == []  # a restart; the last heartbeat before it arrives late
    assert speak(mid, "b" * 12) == []
    (issue,) = speak(mid, "cbcbcb")
    assert (issue.short_description, issue.count) == (
        "mid1: copies of its agent folder run at once: stop all but one, install the others anew: "
        "host-b (since 2023-11-14 22:13:20) and host-c (since 2023-11-14 22:13:20)",
        1,
    )
    assert "processes" not in api.get("/api/now/table/ecc_agent").result[0]
    assert speak(mid, "b" * 10) == [issue]
    assert speak(mid, "b") == []
    issue.refresh_from_db()
    assert issue.state == "resolved"


def test_a_heartbeat_of_a_mid_server_that_is_deleted_meanwhile_spoils_nothing(
    mid: Mid, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An issue of a MID Server that is not there is noticed at the commit only, which is everybody's."""
    read = channel.body

    async def slow(request: Request, limit: int) -> bytes:
        raw = await read(request, limit)
        await in_thread(MidServer.objects.all().delete)
        return raw

    monkeypatch.setattr(channel, "body", slow)
    assert mid.heartbeat(profiles=[ProfileStatus("a" * 32, "mauth", False, error="no")]).status == 200
    assert not MidIssue.objects.exists()
    assert mid.heartbeat().status == 401


def test_a_heartbeat_is_bounded(mid: Mid) -> None:
    told(mid, log_tail=["x" * 2000] * 100, egress=["y"] * 300, capabilities=["z" * 200])
    record = MidServer.objects.get()
    assert [len(each) for each in record.log_tail] == [1000] * 100
    assert (len(record.egress), len(record.reported_capabilities[0])) == (200, 80)
    assert mid.heartbeat(log_tail=["x" * 300_000]).status == 413


def test_zero_bytes_are_left_out_or_refused(api: Api, mid: Mid) -> None:
    told(mid, host_name="a\0b", log_tail=["c\0d"], profiles=[status(error="e\0f", loaded=False)])
    record = MidServer.objects.get()
    assert (record.host_name, record.log_tail) == ("ab", ["cd"])
    assert api.get("/api/now/table/sys_alias?sysparm_query=name%3D%00").status == 400
    assert api.post("/api/v1/actions/a%00b/execute", {}).status == 400
    assert api.post("/api/now/table/sys_alias", {"name": "a\0b"}).status == 400
    connected(api)
    answer = api.post("/api/v1/connections/partner/request", {"method": "POST", "path": "/", "body": "a\0b"}).json
    assert mid.job().decoded().body == "a\0b"
    assert answer["state"] == "In Progress"


def test_a_profile_that_is_being_loaded_is_waited_for(api: Api, mid: Mid) -> None:
    """As in a MID Server's first heartbeats: it has neither loaded nor failed."""
    profile = api.create("mid_protocol_profile", protocol="mauth", keystore_path="/x")["sys_id"]
    connected(api, mutual_auth="true", mid_protocol_profile=profile)
    told(mid, profiles=[status(sys_id=profile, loaded=False)])
    api.execute("call%20partner")
    assert mid.job().decoded().url.startswith("mauth://")


def test_a_profile_that_is_not_loaded_ends_the_step_in_the_mid_servers_words(api: Api, mid: Mid) -> None:
    profile = api.create("mid_protocol_profile", protocol="mauth", keystore_path="/x")["sys_id"]
    connected(api, mutual_auth="true", mid_protocol_profile=profile)
    failed = status(sys_id=profile, loaded=False, error_code="keystore_missing", error="no file", remedy="put one")
    told(mid, profiles=[failed])
    error = api.details(api.execute("call%20partner").json["sys_id"])["steps"][0]["error"]
    assert error["code"] == "keystore_missing"
    assert error["message"] == "MID Server mid1 has not loaded MID Protocol Profile mauth: no file"
    told(mid, profiles=[status(sys_id=profile)])
    assert "error" not in api.details(api.execute("call%20partner").json["sys_id"])["steps"][0] or mid.job()


def waits_for(execution: str) -> str:
    """The MID Server that an execution's step waits for."""
    from openmid.instance.actions.models import StepExecution

    return StepExecution.objects.get(execution=execution).mid_server


def test_jobs_of_one_that_went_down_go_to_another_of_the_cluster_but_never_from_a_specific_one(
    api: Api, mid: Mid
) -> None:
    from openmid.instance.actions import runner
    from openmid.instance.ecc.writer import writer

    spare = another(api, "mid2")
    cluster = api.create("ecc_agent_cluster", name="pair", cluster_type="failover")["sys_id"]
    for order, each in ((1, mid), (2, spare)):
        api.create("ecc_agent_cluster_member_m2m", cluster=cluster, mid_server=each.sys_id, order=order)
    connected(api, "pair", mid_selection="specific_mid_cluster", mid_cluster=cluster)
    connected(api, "only", mid_selection="specific_mid_server", mid_server=mid.sys_id)
    moved, stays = (api.execute(f"call%20{name}").json["sys_id"] for name in ("pair", "only"))
    assert waits_for(moved) == "mid1"
    MidServer.objects.filter(name="mid1").update(last_refreshed=1)
    writer().run(runner.lapse)
    assert waits_for(moved) == "mid2"
    assert waits_for(stays) == "mid1"
    spare.deliver(spare.job())
    assert api.details(moved)["state"] == "Completed"


def test_a_credential_is_sealed_to_those_that_may_need_it_and_named_in_the_probe(api: Api, mid: Mid) -> None:
    other = another(api, "mid2")
    secret = api.create("basic_auth_credentials", name="p", user_name="me", password="canary-7")
    assert "canary-7" not in str(secret)
    connected(
        api,
        mid_selection="specific_mid_server",
        mid_server=mid.sys_id,
        credential=secret["sys_id"],
        additional_http_headers='[["X-Team", "one"]]',
        connect_timeout=700,
    )
    (given,) = mid.post("/configuration", {}).message(ConfigurationAnswer).credentials
    assert (given.kind, given.user_name, mid.open(given.secret)) == ("basic", "me", "canary-7")
    assert other.post("/configuration", {}).message(ConfigurationAnswer).credentials == []
    api.execute("call%20partner")
    probe = mid.job().decoded()
    assert (probe.credential, probe.headers, probe.timeouts.connect_ms) == (
        secret["sys_id"],
        [("X-Team", "one")],
        700,
    )
