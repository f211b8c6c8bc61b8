"""Executions: states, errors, several steps, waiting, idempotency keys, and why no MID Server was chosen."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from openmid.instance.actions import details, outputs, runner
from openmid.instance.actions.models import Execution
from openmid.instance.ecc.models import EccQueueItem
from openmid.instance.ecc.writer import writer
from openmid.instance.mid.models import EnrolmentToken, MidServer
from openmid.instance.records import header_secrets
from openmid.wire.messages import ClaimAnswer, JobResult, ResultsAnswer, ResultsRequest
from openmid.wire.probes import Failure, ProbeResult
from tests.instance.conftest import both, validate
from tests.instance.partners import Api, Mid
from tests.instance.test_walk import PROOF, records


def run(api: Api, mid: Mid, **result: object) -> Any:
    """The details of `call` when its job has this result."""
    sys_id = api.execute("call").json["sys_id"]
    mid.deliver(mid.job(), **result)
    return api.details(sys_id)


def error(api: Api, name: str = "call") -> dict[str, str]:
    """The error with which `name` ends at once."""
    found = api.execute(name, wait=10).json
    assert found["state"] == "Error"
    told: dict[str, str] = found["steps"][0]["error"]
    assert set(told) == {"code", "message", "remedy"}
    return told


def test_a_partners_error_status_is_an_error_with_its_output(api: Api, mid: Mid) -> None:
    records(api)
    found = run(api, mid, status_code=400, body="what is this")
    (step,) = found["steps"]
    assert (found["state"], step["output"]["status_code"]) == ("Error", 400)
    assert step["error"]["code"] == "http_status"
    assert step["error"]["message"] == "partner.example answered 400 Bad Request"


@pytest.mark.parametrize(
    ("status", "state"), [(200, "Completed"), (204, "Completed"), (302, "Completed"), (599, "Error")]
)
def test_states_by_status(api: Api, mid: Mid, status: int, state: str) -> None:
    records(api)
    assert run(api, mid, status_code=status)["state"] == state


@both
def test_a_large_answer_is_read_while_others_are_served(api: Api, mid: Mid, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its outputs are read beside the loop, and before its unit of work begins: neither others' requests nor others'
    results wait for them; a small answer's are read within its unit."""
    records(api)
    wanted = {"name": "id", "source": "json_path", "expression": "$.id", "type": "integer"}
    api.action("reading", {"connection_alias": "partner", "outputs": [wanted]})
    read, let = threading.Event(), threading.Event()
    evaluate, threads = outputs.evaluate, dict[int, str]()

    def slowly(declared: Any, status_code: int, headers: Any, body: str) -> Any:
        found = evaluate(declared, status_code, headers, body)
        threads[found["id"]] = threading.current_thread().name
        if found["id"] == 1:
            read.set()
            assert let.wait(30)
        return found

    monkeypatch.setattr(outputs, "evaluate", slowly)
    first, second = (api.execute("reading").json["sys_id"] for _ in "ab")
    jobs = mid.claim(5_000, 2).message(ClaimAnswer).jobs
    with ThreadPoolExecutor() as pool:
        answered = pool.submit(mid.deliver, jobs[0], body='{"id": 1}' + " " * runner.LARGE)
        assert read.wait(30)
        assert mid.deliver(jobs[1], body='{"id": 2}').status == 200
        assert (api.details(first)["state"], api.details(second)["state"]) == ("In Progress", "Completed")
        let.set()
        assert answered.result(30).status == 200
    found = api.details(first)
    assert (found["state"], found["steps"][0]["outputs"]) == ("Completed", {"id": 1})
    assert threads[1].startswith("openmid-outputs")
    assert not threads[2].startswith("openmid-outputs")


def test_of_two_large_answers_of_one_job_the_one_under_the_lease_in_force_counts(api: Api, mid: Mid) -> None:
    records(api)
    wanted = {"name": "id", "source": "json_path", "expression": "$.id", "type": "integer"}
    api.action("reading", {"connection_alias": "partner", "outputs": [wanted]})
    sys_id = api.execute("reading").json["sys_id"]
    lost = mid.job()
    writer().run(lambda connection: connection.change("UPDATE ecc_queue SET lease_until = 1"))
    writer().run(runner.lapse)
    pairs = [(mid.job(), 2), (lost, 1)]
    answers = [ProbeResult(1, 200, body=f'{{"id": {number}}}' + " " * runner.LARGE) for _, number in pairs]
    results = [JobResult(job.sys_id, job.lease, each) for (job, _), each in zip(pairs, answers, strict=True)]
    assert mid.post("/results", ResultsRequest(results)).message(ResultsAnswer).late == [lost.sys_id]
    assert api.details(sys_id)["steps"][0]["outputs"] == {"id": 2}


def test_a_failed_call_tells_the_mid_servers_words(api: Api, mid: Mid) -> None:
    records(api)
    failure = Failure("keystore_wrong_password", "the password of /client.bcfks is wrong", "enter it again")
    found = run(api, mid, status_code=None, failure=failure)
    (step,) = found["steps"]
    assert (step["state"], step["output"]) == ("Error", {})
    assert step["error"] == {"code": failure.code, "message": failure.message, "remedy": failure.remedy}


def test_steps_run_one_after_the_other(api: Api, mid: Mid) -> None:
    records(api)
    steps = [{"name": name, "connection_alias": "partner", "resource_path": name} for name in ("one", "two", "three")]
    api.action("steps", *steps)
    sys_id = api.execute("steps").json["sys_id"]
    assert [step["state"] for step in api.details(sys_id)["steps"]] == ["In Progress", "Waiting", "Waiting"]
    mid.deliver(mid.job())
    job = mid.job()
    assert job.decoded().url == "mauth://partner.example/two"
    mid.deliver(job, status_code=500)
    found = api.details(sys_id)
    assert (found["state"], [step["state"] for step in found["steps"]]) == (
        "Error",
        ["Completed", "Error", "Cancelled"],
    )
    assert mid.claim().message(ClaimAnswer).jobs == []


def test_a_step_with_its_url_inline(api: Api, mid: Mid) -> None:
    records(api)
    api.action("inline", {"base_url": "https://a.example/x/", "resource_path": "/y", "method": "POST", "body": "b"})
    api.action("mutual", {"base_url": "mauth://a.example", "headers": {"Authorization": "Bearer s3cret", "X": "y"}})
    api.execute("inline")
    probe = mid.job().decoded()
    assert (probe.url, probe.method, probe.body) == ("https://a.example/x/y", "POST", "b")
    told = api.execute("mutual").json["steps"][0]
    assert mid.job().decoded().headers == [("Authorization", "Bearer s3cret"), ("X", "y")]
    assert told["configuration"]["headers"] == [["Authorization", "********"], ["X", "y"]]
    assert told["integration_metadata"]["mid_protocol_profile"] == "mauth"


def test_headers_that_carry_secrets_are_masked() -> None:
    secret = (
        "Authorization",
        "proxy-authorization",
        "Set-Cookie",
        "X-Sn-Apikey",
        "api-key",
        "X-Vault-Token",
        "X-Secret",
    )
    shown = ("WWW-Authenticate", "Content-Type", "Location", "X-Request-Id")
    masked = header_secrets.masked([(name, "value") for name in secret + shown])
    assert masked == [[name, "********"] for name in secret] + [[name, "value"] for name in shown]


def test_prefer_wait(api: Api, mid: Mid) -> None:
    records(api)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(api.execute, "call", 30)
        mid.deliver(mid.job(), body="here")
        reply = waiting.result()
    assert (reply.status, reply.headers["preference-applied"]) == (200, "wait=30")
    assert reply.json["steps"][0]["output"]["body"] == "here"
    late = api.execute("call", 1)
    assert (late.status, late.json["state"]) == (202, "In Progress")
    assert late.headers["location"] == f"/api/v1/executions/{late.json['sys_id']}"


def test_prefer_return_minimal(api: Api, mid: Mid) -> None:
    records(api)
    path = "/api/v1/actions/call/execute"
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(api.post, path, {}, Prefer="wait=30", prefer="return=minimal")  # two lines are one list
        mid.deliver(mid.job(), body="here", headers=[("Set-Cookie", "s3cret")])
        reply = waiting.result()
    whole = api.details(reply.json["sys_id"])
    (step,) = whole["steps"]
    assert (reply.status, reply.headers["preference-applied"]) == (200, "wait=30, return=minimal")
    assert reply.json == {
        **{name: whole[name] for name in ("sys_id", "state", "outputs")},
        "steps": [{name: step[name] for name in ("name", "state", "outputs", "output", "error")}],
    }
    assert step["output"]["headers"] == [["Set-Cookie", "********"]]
    later = api.post(path, {}, Prefer="return=minimal")
    assert (later.status, later.json["state"]) == (202, "In Progress")
    mid.deliver(mid.job(), status_code=500)
    told = api.request("GET", later.headers["location"], Prefer="return=minimal").json
    assert told["steps"][0]["error"] == api.details(told["sys_id"])["steps"][0]["error"]


def test_idempotency_keys(api: Api, mid: Mid) -> None:
    records(api)
    api.action("other", {"connection_alias": "partner"})
    first, second = (api.execute("call", Idempotency_Key="k1") for _ in range(2))
    assert first.json["sys_id"] == second.json["sys_id"]
    assert api.execute("call", Idempotency_Key="k2").json["sys_id"] != first.json["sys_id"]
    assert Execution.objects.count() == 2
    reused = api.execute("other", Idempotency_Key="k1")
    assert (reused.status, "another call" in reused.json["error"]["message"]) == (422, True)
    assert api.execute("call", Idempotency_Key="k" * 256).status == 400


def test_what_is_not_there(api: Api) -> None:
    assert api.execute("nobody").status == 404
    assert api.get("/api/v1/executions/nothing").status == 404
    records(api)
    assert api.post("/api/v1/actions/call/execute", {"inputs": {"a": 1}}).status == 400
    assert api.request("POST", "/api/v1/actions/call/execute", b"{").status == 400


def test_a_lost_job_ends_its_step(api: Api, mid: Mid) -> None:
    records(api)
    api.action("post", {"connection_alias": "partner", "method": "POST"})
    sys_id = api.execute("post").json["sys_id"]
    job = mid.job()
    writer().run(lambda connection: connection.change("UPDATE ecc_queue SET lease_until = 1"))
    writer().run(runner.lapse)
    found = api.details(sys_id)
    assert (found["state"], found["steps"][0]["error"]["code"]) == ("Error", "outcome_unknown")
    mid.deliver(job)
    assert api.details(sys_id) == found
    assert EccQueueItem.objects.get(response_to=job.sys_id).error_string.startswith("late")


@pytest.mark.parametrize("how", ["invalidate", "rekey", "delete"])
def test_the_waiting_calls_of_a_mid_server_that_is_trusted_no_more_end_at_once(api: Api, mid: Mid, how: str) -> None:
    records(api)
    with ThreadPoolExecutor() as pool:
        sys_id = api.execute("call").json["sys_id"]
        waiting = pool.submit(api.execute, "call", 10)
        record = api.get("/api/now/table/ecc_agent").result[0]["sys_id"]
        if how == "delete":
            assert api.request("DELETE", f"/api/now/table/ecc_agent/{record}").status == 204
        else:
            assert api.post(f"/api/v1/mid-servers/mid1/{how}", {}).status == 200
        assert waiting.result().json["state"] == "Error"
    (step,) = api.details(sys_id)["steps"]
    assert step["error"]["code"] == ("no_mid_server" if how == "delete" else "mid_server_not_validated")
    assert EccQueueItem.objects.filter(state="ready").count() == 0


def test_why_no_mid_server_was_chosen(api: Api) -> None:
    records(api)
    assert error(api)["code"] == "no_mid_server"
    mid = Mid(api.url, "mid1")
    mid.enrol(EnrolmentToken.issue("mid1")[1])
    assert error(api)["message"] == "MID Server mid1 is not validated"
    validate(api, mid)
    assert error(api)["message"] == "MID Server mid1 is Down: it has not been heard of for 15 seconds"
    mid.heartbeat()
    assert api.execute("call").json["state"] == "In Progress"
    connection = api.get("/api/now/table/http_connection").result[0]
    api.request("PATCH", f"/api/now/table/http_connection/{connection['sys_id']}", b'{"require_fips": "true"}')
    assert error(api)["code"] == "mid_server_not_fips_enforced"
    mid.heartbeat(fips_enforced=True, proof=PROOF)
    assert api.execute("call").json["state"] == "In Progress"
    profile = api.get("/api/now/table/mid_protocol_profile").result[0]
    api.request("PATCH", f"/api/now/table/mid_protocol_profile/{profile['sys_id']}", b'{"applies_to": "specific"}')
    assert "it does not apply" in error(api)["message"]
    api.request("PATCH", f"/api/now/table/http_connection/{connection['sys_id']}", b'{"active": "false"}')
    assert error(api)["code"] == "no_active_connection"


def test_a_protocol_that_is_gone(api: Api, mid: Mid) -> None:
    api.create("mid_protocol_profile", protocol="old", keystore_path="/x")
    api.action("call", {"base_url": "old://a.example"})
    profile = api.get("/api/now/table/mid_protocol_profile").result[0]
    api.request("DELETE", f"/api/now/table/mid_protocol_profile/{profile['sys_id']}")
    assert error(api)["code"] == "unknown_protocol"


@pytest.mark.parametrize(
    ("step", "sentence"),
    [
        ({}, "steps[0].connection_alias: Choose a connection alias."),
        ({"connection_alias": "nobody"}, "no Connection & Credential Alias nobody"),
        ({"base_url": "ftp://x"}, "steps[0].base_url: "),
        ({"base_url": "nobody://x"}, "steps[0].base_url: "),
        ({"base_url": "https://x", "method": "BREW"}, "steps[0].method: "),
        ({"base_url": "https://x", "resource_path": "/a?b=c"}, "steps[0].resource_path: "),
        ({"base_url": "https://x", "headers": {"a b": "c"}}, "steps[0].headers: "),
        ({"base_url": "https://x", "headers": [["Host", "c"]]}, "The MID Server sets Host itself."),
        ({"base_url": "https://x", "headers": [["a", "b\r\nc: d"]]}, "line break"),
        ({"base_url": "https://x", "headers": [["a", "b\x0bc"]]}, "control character"),
        ({"base_url": "https://x", "headers": [["Expect", "100-continue"]]}, "The MID Server sets Expect itself."),
        ({"base_url": "https://x", "headers": "a: b"}, "pairs"),
        ({"base_url": "https://x\n.y"}, "no spaces, line breaks"),
        ({"base_url": "\x01https://x"}, "no spaces, line breaks"),
        ({"base_url": "HTTPS://x"}, "a protocol that is known here"),
        ({"base_url": "https://x?"}, "no ? and no #"),
        ({"base_url": "https://x#"}, "no ? and no #"),
        ({"base_url": "https://münchen.example"}, "in its xn-- form"),
        ({"base_url": "https://x", "type": "FTP"}, "REST or SOAP"),
        ({"base_url": "https://x", "nonsense": 1}, "a step of type REST has"),
    ],
)
def test_a_step_that_cannot_be(api: Api, step: dict[str, object], sentence: str) -> None:
    reply = api.post("/api/v1/actions", {"name": "call", "steps": [step]})
    assert reply.status == 400
    assert sentence in reply.json["error"]["detail"]
    assert api.get("/api/v1/actions").result == []


def test_actions_have_names(api: Api, mid: Mid) -> None:
    step = {"base_url": "https://x"}
    api.action("Call partner", step)
    for name, sentence in (("Call partner", "exists already"), ("a/b", "letters"), ("", "required")):
        assert sentence in api.post("/api/v1/actions", {"name": name, "steps": [step]}).json["error"]["detail"]
    assert api.post("/api/v1/actions", {"name": "x", "steps": []}).status == 400
    assert api.get("/api/v1/actions/Call%20partner").result["steps"][0]["base_url"] == "https://x"
    assert api.execute("Call%20partner").status == 202
    assert api.request("DELETE", "/api/v1/actions/Call%20partner").status == 204
    assert api.execute("Call%20partner").status == 404


def test_the_same_function_makes_the_pages_details(api: Api, mid: Mid) -> None:
    records(api)
    sys_id = runner.test("call", "alice", {})
    assert details.details(sys_id)["state"] == "In Progress"
    mid.deliver(mid.job())
    assert details.state(sys_id) == "Completed"
    assert MidServer.objects.get().status == "Up"
