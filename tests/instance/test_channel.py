"""Claims, results and configurations over HTTP."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from openmid.instance.actions import failures
from openmid.instance.channel import mid as channel
from openmid.instance.ecc.writer import writer
from openmid.instance.mid.models import EnrolmentToken, MidServer
from openmid.instance.records.sqlite import SqliteConnection
from openmid.instance.records.wakeups import wakeups
from openmid.instance.serve import Server
from openmid.wire.messages import (
    ClaimAnswer,
    ClaimRequest,
    ConfigurationAnswer,
    HeartbeatAnswer,
    JobResult,
    ProfileStatus,
    ResultsAnswer,
    ResultsRequest,
)
from openmid.wire.probes import Failure, ProbeResult
from openmid.wire.version import CHANNEL
from tests.instance.conftest import validate
from tests.instance.partners import Api, Mid
from tests.instance.test_walk import PROOF, records


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as found:
        yield found


def until_held(mid: Mid, claims: int = 1) -> None:
    """Return when the instance holds this many claims of `mid`."""
    import time

    while len(wakeups._waiting.get(f"mid:{mid.sys_id}", ())) < claims:
        time.sleep(0.002)


def test_a_held_claim_is_woken_by_work(api: Api, mid: Mid, pool: ThreadPoolExecutor) -> None:
    records(api)
    claim = pool.submit(mid.claim, 30_000)
    until_held(mid)
    api.execute("call")
    (job,) = claim.result().message(ClaimAnswer).jobs
    assert job.decoded().url == "mauth://partner.example/v1/things"


def test_a_held_claim_is_woken_by_a_new_configuration(api: Api, mid: Mid, pool: ThreadPoolExecutor) -> None:
    before = mid.heartbeat().message(HeartbeatAnswer).configuration
    claim = pool.submit(mid.claim, 30_000)
    until_held(mid)
    api.create("mid_protocol_profile", protocol="mauth", keystore_path="/x")
    answer = claim.result().message(ClaimAnswer)
    assert answer.jobs == []
    assert answer.configuration != before
    assert mid.post("/configuration", {}).message(ConfigurationAnswer).configuration == answer.configuration


def test_a_held_claim_ends_when_the_validation_is_taken_back(api: Api, mid: Mid, pool: ThreadPoolExecutor) -> None:
    claim = pool.submit(mid.claim, 30_000)
    until_held(mid)
    api.post("/api/v1/mid-servers/mid1/invalidate", {})
    assert claim.result().code == "not_validated"


def test_a_stop_answers_what_is_held(serving: tuple[str, Server], api: Api, mid: Mid, pool: ThreadPoolExecutor) -> None:
    records(api)
    waiting = pool.submit(api.execute, "call", 60)
    mid.job()
    claims = [pool.submit(mid.claim, 30_000) for _ in range(2)]
    until_held(mid, claims=2)
    serving[1].handle_exit(15, None)
    assert [claim.result().message(ClaimAnswer).jobs for claim in claims] == [[], []]
    assert (waiting.result().status, waiting.result().json["state"]) == (202, "In Progress")


def test_a_claim_without_work_is_empty_after_its_wait(mid: Mid) -> None:
    assert mid.claim().message(ClaimAnswer).jobs == []
    assert mid.claim(50).message(ClaimAnswer).jobs == []


def test_two_claims_never_get_the_same_job(api: Api, mid: Mid, pool: ThreadPoolExecutor) -> None:
    records(api)
    for _ in range(20):
        assert api.execute("call").status == 202

    def drain() -> list[str]:
        found: list[str] = []
        while jobs := mid.claim(limit=2).message(ClaimAnswer).jobs:
            found += [job.sys_id for job in jobs]
        return found

    taken = [sys_id for drained in pool.map(lambda _: drain(), range(4)) for sys_id in drained]
    assert len(taken) == len(set(taken)) == 20


def test_a_mid_server_gets_only_profiles_that_apply_to_it(api: Api, mid: Mid) -> None:
    other = Mid(api.url, "mid2")
    other.enrol(EnrolmentToken.issue("mid2")[1])
    validate(api, other)
    api.create("mid_protocol_profile", protocol="everyone", keystore_path="/x", password="a")
    api.create(
        "mid_protocol_profile",
        protocol="mine",
        keystore_path="/x",
        applies_to="specific",
        mid_list="mid1",
        password="b",
    )

    def protocols(of: Mid) -> dict[str, str]:
        answer = of.post("/configuration", {}).message(ConfigurationAnswer)
        return {profile.protocol: of.open(profile.password) for profile in answer.profiles}

    assert protocols(mid) == {"everyone": "a", "mine": "b"}
    assert protocols(other) == {"everyone": "a"}


def test_a_result_may_be_delivered_twice(api: Api, mid: Mid) -> None:
    records(api)
    sys_id = api.execute("call").json["sys_id"]
    job = mid.job()
    for _ in range(2):
        assert mid.deliver(job, body="once").message(ResultsAnswer) == ResultsAnswer([job.sys_id], [])
    assert api.details(sys_id)["steps"][0]["output"]["body"] == "once"


def test_nobody_delivers_for_another_mid_server(api: Api, mid: Mid) -> None:
    other = Mid(api.url, "mid2")
    other.enrol(EnrolmentToken.issue("mid2")[1])
    validate(api, other)
    records(api)
    sys_id = api.execute("call").json["sys_id"]
    job = mid.job()
    assert other.deliver(job).message(ResultsAnswer) == ResultsAnswer([], [job.sys_id])
    assert api.details(sys_id)["state"] == "In Progress"


def test_a_heartbeat_says_what_a_mid_server_is(api: Api, mid: Mid) -> None:
    status = ProfileStatus("1", "mauth", loaded=False, error_code="keystore_missing", error="/x is missing")
    mid.heartbeat(fips_enforced=True, proof=PROOF, profiles=[status], egress=["deny loopback"])
    record = MidServer.objects.get()
    assert (record.status, record.fips_enforced) == ("Up", True)
    assert record.proof
    assert record.proof["provider_version"] == "3.0.20"
    assert record.profile_statuses[0]["error_code"] == "keystore_missing"
    assert record.egress == ["deny loopback"]
    mid.heartbeat(fips_enforced=True)
    assert not MidServer.objects.get().fips_enforced  # enforced is what was proved


def test_a_mid_server_that_is_silent_is_down(mid: Mid) -> None:
    record = MidServer.objects.get()
    assert record.status == "Up"
    record.last_refreshed = record.last_refreshed - 16_000_000 if record.last_refreshed else None
    assert record.status == "Down"


def test_messages_that_are_none(api: Api, mid: Mid) -> None:
    for path in ("/enrol", "/heartbeat", "/claim", "/results", "/rekey"):
        reply = mid._api.request("POST", f"/api/mid/v1{path}", b"nonsense")
        assert (reply.status, reply.code) == (400, "bad_message")
    reply = mid._api.request("POST", "/api/mid/v1/claim", b" " * (1024 * 1024 + 1))
    assert (reply.status, reply.code) == (413, "too_large")
    assert mid._api.get("/api/mid/v1/claim").status == 405
    assert mid.post("/nonsense", {}).status == 404


@pytest.mark.parametrize("path", ["/login/", "/api/now/table/sys_alias", "/nothing"])
def test_nobody_fills_the_disk_with_a_body(server: str, path: str) -> None:
    reply = Api(server).request("POST", path, bytes(11_000_000))
    assert (reply.status, reply.json["error"]["message"]) == (413, "The body is too large")


def until_it_stands(mid: Mid, claims: int = 1) -> None:
    """Return when so many claims of `mid` have found nothing and stand in the writer."""
    import time

    while len(writer().standing._claims.get(f"mid:{mid.sys_id}", ())) != claims:
        time.sleep(0.002)


def test_a_job_is_put_and_given_to_who_waits_for_it_in_one_commit(
    api: Api, mid: Mid, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    records(api)
    claim = pool.submit(mid.claim, 30_000)
    until_it_stands(mid)
    commits: list[object] = []
    commit = SqliteConnection.commit
    monkeypatch.setattr(SqliteConnection, "commit", lambda self: commits.append(self) or commit(self))
    api.execute("call")
    assert len(claim.result().message(ClaimAnswer).jobs) == 1
    assert len(commits) == 1


def test_nothing_is_claimed_for_a_mid_server_that_has_gone(serving: tuple[str, Server], api: Api, mid: Mid) -> None:
    records(api)
    parts = urlsplit(serving[0])
    body = msgspec.json.encode(ClaimRequest(1, 30_000))
    head = f"POST {CHANNEL}/claim HTTP/1.1\r\nHost: localhost\r\nAuthorization: {mid._api.authorization}\r\n"
    with socket.create_connection((parts.hostname, parts.port)) as killed:
        killed.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        until_it_stands(mid)
    until_it_stands(mid, claims=0)
    api.execute("call")
    assert mid.job().attempts == 1


@pytest.mark.parametrize("change", [{"paused": True}, {"validated": "false"}])
def test_a_claim_is_for_who_may_have_work_when_it_runs(api: Api, mid: Mid, change: dict[str, object]) -> None:
    """One that stands was asked for before the change."""
    records(api)
    api.execute("call")
    unit = channel.claims(mid.sys_id, 1, (1, 1, 1))
    MidServer.objects.filter(name="mid1").update(**change)
    assert writer().run(unit).jobs == []
    MidServer.objects.filter(name="mid1").update(paused=False, validated="true")
    assert len(writer().run(unit).jobs) == 1


def test_a_result_that_stumbles_over_a_defect_of_ours_is_refused_and_no_other_waits_behind_it(
    api: Api, mid: Mid, monkeypatch: pytest.MonkeyPatch
) -> None:
    records(api)
    ids = [api.execute("call").json["sys_id"] for _ in range(2)]
    good, bad = mid.claim(limit=2).message(ClaimAnswer).jobs
    of_result = failures.of_result

    def defect(result: ProbeResult, planned: Any) -> Any:
        return of_result(result, planned) if result.body != "bad" else {}["defect"]

    monkeypatch.setattr(failures, "of_result", defect)
    bodies = ((good, "good"), (bad, "bad"))
    results = [JobResult(job.sys_id, job.lease, ProbeResult(1, status_code=200, body=body)) for job, body in bodies]
    both = mid.post("/results", ResultsRequest(results))
    assert (both.status, both.code) == (400, "bad_message")  # one for which a MID Server parts them
    assert mid.deliver(good).status == 200
    assert mid.deliver(bad, body="bad").code == "bad_message"
    assert mid.deliver(bad, status_code=None, failure=Failure("result_refused", "why")).status == 200
    assert [api.details(each)["state"] for each in ids] == ["Completed", "Error"]
