"""Calls without an action, cancelling, running again, priorities, jobs that are given back."""

from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from openmid.instance.ecc.models import EccQueueItem
from openmid.wire.messages import ClaimAnswer, ClaimRequest, Job, Released, ResultsAnswer, ResultsRequest
from openmid.wire.probes import Failure
from tests.instance.conftest import both
from tests.instance.partners import Api, Mid
from tests.instance.test_walk import records

URL = "/api/v1/connections/partner/request"


def claim(mid: Mid, limit: int = 10, room: tuple[int, int, int] = (10, 10, 10)) -> ClaimAnswer:
    return mid.post("/claim", ClaimRequest(limit, 0, room)).message(ClaimAnswer)


def release(mid: Mid, job: Job, *, sent: bool) -> ResultsAnswer:
    return mid.post("/results", ResultsRequest([], [Released(job.sys_id, job.lease, sent)])).message(ResultsAnswer)


def test_one_call_is_made_through_an_alias_and_recorded_like_any_other(api: Api, mid: Mid) -> None:
    records(api)
    asked = {
        "method": "POST",
        "path": "/orders",
        "query": {"a": "1"},
        "headers": [["X", "y"], ["X", "z"]],
        "body": "{}",
    }
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(api.post, URL, asked, Prefer="wait=30")
        job = mid.job()
        mid.deliver(job, status_code=201, body="made")
        reply = waiting.result()
    probe = job.decoded()
    assert (probe.method, probe.url, probe.body) == ("POST", "mauth://partner.example/orders", "{}")
    assert (probe.query, probe.headers) == ([("a", "1")], [("X", "y"), ("X", "z")])
    assert job.priority == 0
    assert reply.status == 200
    found = reply.json
    assert (found["action"], found["action_sys_id"], found["state"]) == ("POST /orders (partner)", "", "Completed")
    assert found["steps"][0]["output"]["status_code"] == 201
    assert api.details(found["sys_id"])["started_by"] == "alice"


@pytest.mark.parametrize("path", ["connections/partner/request", "actions/call/execute", "actions/call/execute-batch"])
def test_a_body_of_another_encoding_is_refused_with_a_sentence(api: Api, mid: Mid, path: str) -> None:
    records(api)
    reply = api.request("POST", f"/api/v1/{path}", '{"\u00fc": 1}'.encode("latin-1"))
    assert reply.status == 400
    assert "utf-8" in reply.json["error"]["message"]


def test_a_binary_body_and_a_timeout(api: Api, mid: Mid) -> None:
    records(api)
    raw = base64.b64encode(bytes(range(256))).decode()
    reply = api.post(URL, {"method": "PUT", "body_base64": raw, "timeout_ms": 1234})
    assert reply.status == 202
    probe = mid.job().decoded()
    assert (probe.body, probe.body_is_base64, probe.timeout_ms) == (raw, True, 1234)
    (step,) = api.details(reply.headers["location"].rsplit("/", 1)[1])["steps"]
    assert (step["configuration"]["body"], step["configuration"]["body_is_base64"]) == (raw, True)


@pytest.mark.parametrize(
    ("asked", "word"),
    [
        ({"method": "BREW"}, "method"),
        ({"path": "/a?b=c"}, "path"),
        ({"path": "/100%"}, "write others as %XX"),
        ({"path": "https://elsewhere.example"}, "path"),
        ({"headers": {"Bad header": "x"}}, "headers"),
        ({"headers": {"X": "a\r\nb"}}, "headers"),
        ({"headers": {"Host": "a"}}, "headers"),
        ({"body": "a", "body_base64": "YQ=="}, "body_base64"),
        ({"body_base64": "***"}, "body_base64"),
        ({"timeout_ms": -1}, "timeout_ms"),
        ({"nonsense": 1}, "nonsense"),
        ([], "object"),
    ],
)
def test_what_cannot_be_asked_for_is_said(api: Api, asked: Any, word: str) -> None:
    records(api)
    reply = api.post(URL, asked)
    assert reply.status == 400
    assert word in reply.json["error"]["message"]
    assert EccQueueItem.objects.count() == 0


def test_an_alias_that_is_not_there_and_one_without_a_connection(api: Api) -> None:
    assert api.post(URL, {}).status == 404
    api.create("sys_alias", name="partner", connection_type="http_connection")
    reply = api.post(URL, {})
    assert reply.json["steps"][0]["error"]["code"] == "no_active_connection"


def test_the_same_idempotency_key_makes_the_call_once(api: Api, mid: Mid) -> None:
    records(api)
    ids = {api.post(URL, {"path": "/a"}, Idempotency_Key="k").json["sys_id"] for _ in range(3)}
    assert len(ids) == 1
    assert len(claim(mid).jobs) == 1
    assert api.post(URL, {"path": "/b"}, Idempotency_Key="k").status == 422


def test_a_screen_comes_before_a_backlog_and_the_room_of_each_priority_is_kept(api: Api, mid: Mid) -> None:
    records(api)
    for _ in range(5):
        api.execute("call")
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(api.execute, "call", 20)
        api.post(URL, {"path": "/screen"})
        while EccQueueItem.objects.filter(priority=1).count() == 0:
            pass
        first = claim(mid, limit=2).jobs
        assert [job.priority for job in first] == [0, 1]
        api.post(URL, {"path": "/screen2"})
        some = claim(mid, room=(0, 3, 2)).jobs
        assert [job.priority for job in some] == [2, 2]
        assert claim(mid, limit=0).jobs == []
        for job in [*first, *some, *claim(mid).jobs]:
            mid.deliver(job)
        assert waiting.result().status == 200


def test_a_call_that_waits_is_cancelled_at_once(api: Api, mid: Mid) -> None:
    records(api)
    sys_id = api.post(URL, {"method": "POST"}).json["sys_id"]
    reply = api.post(f"/api/v1/executions/{sys_id}/cancel", None)
    assert (reply.status, reply.json["state"]) == (200, "Cancelled")
    assert reply.json["steps"][0]["error"]["code"] == "cancelled"
    assert claim(mid).jobs == []
    assert api.post(f"/api/v1/executions/{sys_id}/cancel", None).json["state"] == "Cancelled"
    assert api.post(f"/api/v1/executions/{'0' * 32}/cancel", None).status == 404


def test_a_call_that_runs_is_cancelled_by_its_mid_server_which_hears_of_it_in_a_held_claim(api: Api, mid: Mid) -> None:
    records(api)
    api.action("two", *[{"name": name, "connection_alias": "partner"} for name in ("one", "two")])
    sys_id = api.execute("two").json["sys_id"]
    job = mid.job()
    with ThreadPoolExecutor() as pool:
        held = pool.submit(mid.claim, 20_000, 0)
        reply = api.post(f"/api/v1/executions/{sys_id}/cancel", None)
        assert (reply.status, reply.json["state"]) == (202, "In Progress")
        assert held.result().message(ClaimAnswer).cancel == [job.sys_id]
    mid.deliver(job, status_code=None, failure=Failure("cancelled", "the call was cancelled"))
    found = api.details(sys_id)
    assert (found["state"], [step["state"] for step in found["steps"]]) == ("Cancelled", ["Cancelled", "Cancelled"])
    assert claim(mid).cancel == []


def test_an_answer_that_came_before_the_cancel_counts(api: Api, mid: Mid) -> None:
    records(api)
    sys_id = api.post(URL, {}).json["sys_id"]
    job = mid.job()
    api.post(f"/api/v1/executions/{sys_id}/cancel", None)
    mid.deliver(job, body="here")
    assert (api.details(sys_id)["state"], claim(mid).cancel) == ("Completed", [])


@both
def test_after_an_answer_that_came_before_the_cancel_no_other_step_begins(instance: object, api: Api, mid: Mid) -> None:
    records(api)
    steps = [{"name": name, "connection_alias": "partner", "method": "POST"} for name in ("one", "two", "three")]
    api.action("three", *[step | {"on_failure": "continue"} for step in steps])
    answers: list[tuple[dict[str, Any], str]] = [({"body": "here"}, "Completed"), ({"status_code": 500}, "Error")]
    for answer, state in answers:
        sys_id = api.execute("three").json["sys_id"]
        job = mid.job()
        api.post(f"/api/v1/executions/{sys_id}/cancel", None)
        mid.deliver(job, **answer)
        found = api.details(sys_id)
        assert [found["state"], *(step["state"] for step in found["steps"])] == [
            "Cancelled",
            state,
            "Cancelled",
            "Cancelled",
        ]
        assert claim(mid).jobs == []


def test_run_again_makes_the_same_call(api: Api, mid: Mid) -> None:
    records(api)
    first = api.post(URL, {"method": "PATCH", "path": "/x", "body": "b"}).json["sys_id"]
    mid.deliver(mid.job())
    again = api.post(f"/api/v1/executions/{first}/run-again", None)
    assert again.json["sys_id"] != first
    probe = mid.job().decoded()
    assert (probe.method, probe.url, probe.body) == ("PATCH", "mauth://partner.example/x", "b")
    of_action = api.execute("call").json["sys_id"]
    assert api.post(f"/api/v1/executions/{of_action}/run-again", None).json["action"] == "call"
    assert api.post(f"/api/v1/executions/{'0' * 32}/run-again", None).status == 404


def test_run_again_runs_the_same_action_not_another_of_its_name(api: Api, mid: Mid) -> None:
    records(api)
    sys_id = api.execute("call").json["sys_id"]
    mid.deliver(mid.job())
    renamed = {"name": "called", "steps": [{"connection_alias": "partner", "resource_path": "/v1/things"}]}
    assert api.request("PUT", "/api/v1/actions/call", json.dumps(renamed).encode()).status == 200
    api.action("call", {"connection_alias": "partner", "method": "POST", "resource_path": "/danger"})
    again = api.post(f"/api/v1/executions/{sys_id}/run-again", None)
    assert (again.json["action"], mid.job().decoded().method) == ("called", "GET")
    assert api.request("DELETE", "/api/v1/actions/called").status == 204
    gone = api.post(f"/api/v1/executions/{sys_id}/run-again", None)
    assert (gone.status, gone.json["error"]["message"]) == (404, "the action call was deleted")


def test_a_job_given_back_unsent_runs_again_whatever_its_method(api: Api, mid: Mid) -> None:
    records(api)
    sys_id = api.post(URL, {"method": "POST"}).json["sys_id"]
    for _ in range(5):
        job = mid.job()
        assert job.attempts == 1
        release(mid, job, sent=False)
    mid.deliver(mid.job())
    assert api.details(sys_id)["state"] == "Completed"


@pytest.mark.parametrize(("method", "state"), [("POST", "Error"), ("GET", "In Progress")])
def test_a_job_given_back_that_may_have_been_sent_runs_again_only_where_it_does_no_harm(
    api: Api, mid: Mid, method: str, state: str
) -> None:
    records(api)
    sys_id = api.post(URL, {"method": method}).json["sys_id"]
    release(mid, mid.job(), sent=True)
    found = api.details(sys_id)
    assert found["state"] == state
    if state == "Error":
        assert found["steps"][0]["error"]["code"] == "outcome_unknown"


@pytest.mark.parametrize(("sent", "said"), [(True, "is not known"), (False, "nothing was sent")])
@pytest.mark.parametrize("first", ["cancel", "release"])
def test_whether_a_cancelled_call_may_have_been_sent_by_who_gave_it_back(
    api: Api, mid: Mid, first: str, sent: bool, said: str
) -> None:
    records(api)
    sys_id = api.post(URL, {"method": "PUT"}).json["sys_id"]
    job = mid.job()
    if first == "release":
        release(mid, job, sent=sent)
    api.post(f"/api/v1/executions/{sys_id}/cancel", None)
    if first == "cancel":
        release(mid, job, sent=sent)
    found = api.details(sys_id)
    assert found["state"] == "Cancelled"
    assert said in found["steps"][0]["error"]["message"]


def test_a_job_is_given_back_only_by_who_has_it(api: Api, mid: Mid) -> None:
    records(api)
    sys_id = api.post(URL, {"method": "POST"}).json["sys_id"]
    job = mid.job()
    mid.post("/results", ResultsRequest([], [Released(job.sys_id, "0" * 32, sent=True)]))
    assert api.details(sys_id)["state"] == "In Progress"
    mid.deliver(job)
    release(mid, job, sent=True)
    assert api.details(sys_id)["state"] == "Completed"
