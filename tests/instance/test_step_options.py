"""What a REST step says about redirects, retries and failure: planned, validated, shown."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db.models import Count

from openmid.instance.actions import progress, runner
from openmid.instance.actions.models import Execution, StepExecution
from openmid.instance.actions.planner import Plan
from openmid.instance.actions.prepared import Step
from openmid.instance.ecc.writer import writer
from openmid.instance.folder import Folder
from openmid.wire.probes import EarlierAttempt, Failure, RetryPolicy
from tests.instance.conftest import both
from tests.instance.partners import Api, Mid
from tests.instance.test_walk import records

POLICY = {
    "kind": "fixed",
    "count": 3,
    "interval_ms": 250,
    "max_elapsed_ms": 5_000,
    "statuses": [500, 503],
    "failures": ["connection_refused", "tls_failed"],
    "any_method": True,
}


def step(**more: Any) -> dict[str, Any]:
    return {"connection_alias": "partner", "method": "POST", **more}


def test_a_step_follows_redirects_and_never_repeats_unless_it_says_so(api: Api, mid: Mid) -> None:
    records(api)
    api.execute("call")
    probe = mid.job().decoded()
    assert (probe.max_redirects, probe.retry) == (5, RetryPolicy())


def test_a_retry_policy_reaches_the_mid_server_and_its_lease_is_as_long(api: Api, mid: Mid) -> None:
    records(api)
    (made,) = api.action("again", step(retry=POLICY, follow_redirects=False))["steps"]
    assert (made["retry"], made["follow_redirects"], made["on_failure"]) == (POLICY, False, "stop")
    sys_id = api.execute("again").json["sys_id"]
    job = mid.job()
    probe = job.decoded()
    failures = ["connection_refused", "tls_failed"]
    assert probe.retry == RetryPolicy("fixed", 3, 250, 5_000, (500, 503), failures, any_method=True)
    assert (probe.max_redirects, job.repeatable) == (0, True)
    assert job.lease_us >= (probe.timeout_ms + 5_000) * 1000
    shown = api.details(sys_id)["steps"][0]["configuration"]["retry"]
    assert (shown["count"], shown["failures"]) == (3, failures)


def test_a_published_step_keeps_its_failures_and_the_draft_gets_them_back(api: Api, mid: Mid) -> None:
    records(api)
    api.action("again", step(retry=POLICY))
    assert api.post("/api/v1/actions/again/publish", {}).result["published"] == 1
    changed = {"name": "again", "steps": [step(retry=POLICY | {"failures": []})]}
    assert api.request("PUT", "/api/v1/actions/again", json.dumps(changed).encode()).status == 200
    api.execute("again")
    assert mid.job().decoded().retry.failures == POLICY["failures"]
    (restored,) = api.post("/api/v1/actions/again/restore", {"version": 1}).result["steps"]
    assert restored["retry"] == POLICY


def test_what_may_be_repeated_is_repeatable_without_retries_of_its_own(api: Api, mid: Mid) -> None:
    records(api)
    api.action("again", step(retry={"any_method": True}))
    api.execute("again")
    assert mid.job().repeatable


@pytest.mark.parametrize(
    ("more", "member"),
    [
        ({"retry": {"count": 21}}, "retry.count"),
        ({"retry": {"count": -1}}, "retry.count"),
        ({"retry": {"kind": "often"}}, "retry.kind"),
        ({"retry": {"interval_ms": 600_001}}, "retry.interval_ms"),
        ({"retry": {"statuses": [200]}}, "retry.statuses"),
        ({"retry": {"statuses": "503"}}, "retry.statuses"),
        ({"retry": {"failures": ["connection_refusd"]}}, "retry.failures"),
        ({"retry": {"failures": ["profile_not_loaded"]}}, "retry.failures"),
        ({"retry": {"failures": "connection_refused"}}, "retry.failures"),
        ({"retry": {"failures": [1]}}, "retry.failures"),
        ({"retry": {"any_method": "yes"}}, "retry.any_method"),
        ({"retry": {"nonsense": 1}}, "retry"),
        ({"retry": [1]}, "retry"),
        ({"follow_redirects": 1}, "follow_redirects"),
        ({"on_failure": "shrug"}, "on_failure"),
    ],
)
def test_what_a_step_cannot_say_is_named(api: Api, more: dict[str, Any], member: str) -> None:
    records(api)
    reply = api.post("/api/v1/actions", {"name": "bad", "steps": [step(**more)]})
    assert reply.status == 400
    assert f"steps[0].{member}" in reply.json["error"]["message"]


def test_the_execution_goes_on_after_a_step_that_may_fail(api: Api, mid: Mid) -> None:
    records(api)
    api.action("both", step(name="one", on_failure="continue"), step(name="two"))
    sys_id = api.execute("both").json["sys_id"]
    mid.deliver(mid.job(), status_code=500)
    mid.deliver(mid.job())
    found = api.details(sys_id)
    assert (found["state"], [each["state"] for each in found["steps"]]) == ("Completed", ["Error", "Completed"])
    assert found["steps"][0]["error"]["code"] == "http_status"


def test_a_step_that_cannot_begin_may_fail_too(api: Api, mid: Mid) -> None:
    records(api)
    api.create("sys_alias", name="empty", connection_type="http_connection")
    api.action("both", step(connection_alias="empty", on_failure="continue"), step(name="two"))
    sys_id = api.execute("both").json["sys_id"]
    mid.deliver(mid.job())
    found = api.details(sys_id)
    assert (found["state"], [each["state"] for each in found["steps"]]) == ("Completed", ["Error", "Completed"])


@both
def test_any_number_of_steps_that_cannot_begin_may_fail(instance: Folder) -> None:
    """One after the other: their number is nobody's depth of calls."""
    unable = Step.of("no", Plan("empty", "", "", "", failure=Failure("no_active_connection", "none"), goes_on=True))
    new = runner.AD_HOC | {"action_name": "many", "sys_id": "e" * 32, "now": 1, "user": "alice", "key": None}
    writer().run(lambda connection: progress.start(connection, new, (unable,) * 1200))
    assert Execution.objects.get().state == "Completed"
    assert set(StepExecution.objects.values_list("state").annotate(Count("pk")).order_by()) == {("Error", 1200)}


def test_cancelling_ends_the_execution_whatever_its_steps_say(api: Api, mid: Mid) -> None:
    records(api)
    api.action("both", step(on_failure="continue"), step())
    sys_id = api.execute("both").json["sys_id"]
    assert api.post(f"/api/v1/executions/{sys_id}/cancel", None).json["state"] == "Cancelled"
    assert [each["state"] for each in api.details(sys_id)["steps"]] == ["Cancelled", "Cancelled"]


def test_earlier_attempts_and_redirects_are_shown(api: Api, mid: Mid) -> None:
    records(api)
    sys_id = api.execute("call").json["sys_id"]
    attempts = [EarlierAttempt(1, 503, None, 250), EarlierAttempt(2, None, Failure("timed_out", "too slow"), 500)]
    mid.deliver(mid.job(), attempts=attempts, redirects=["https://elsewhere.example/x"])
    meta = api.details(sys_id)["steps"][0]["integration_metadata"]
    assert [(each["status_code"], each["waited_ms"]) for each in meta["attempts"]] == [(503, 250), (None, 500)]
    assert meta["attempts"][1]["error"]["code"] == "timed_out"
    assert meta["redirects"] == ["https://elsewhere.example/x"]
