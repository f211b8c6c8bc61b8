"""Actions with inputs, pills, outputs, SOAP steps and versions, through the API and a MID Server's hands."""

from __future__ import annotations

import json
from typing import Any

import pytest

from openmid.wire.messages import ClaimAnswer, JobResult, ResultsRequest
from openmid.wire.probes import ProbeResult, SoapFault, SoapProbe
from tests.instance.conftest import both
from tests.instance.partners import Api, Mid

TOKEN = {
    "name": "Get token",
    "base_url": "https://partner.example",
    "method": "POST",
    "resource_path": "/token/{{inputs.client}}",
    "body_kind": "form",
    "form": [["scope", "{{inputs.scope}}"]],
    "outputs": [{"name": "token", "source": "json_path", "expression": "$.access_token"}],
}
ORDER = {
    "name": "Order",
    "base_url": "https://partner.example/v1",
    "method": "POST",
    "resource_path": "/orders",
    "headers": [["X-Token", "{{steps.Get token.outputs.token}}"]],
    "body_kind": "json",
    "body": '{"count": {{inputs.count}}, "note": "for {{inputs.client}}", "was": {{steps.Get token.status_code}}}',
    "outputs": [{"name": "id", "source": "json_path", "expression": "$.id", "type": "integer"}],
}
ACTION: dict[str, Any] = {
    "name": "order",
    "inputs": [
        {"name": "client", "mandatory": True},
        {"name": "scope", "default": "orders"},
        {"name": "count", "type": "integer", "default": 1},
    ],
    "outputs": [
        {"name": "order", "value": "{{steps.Order.outputs.id}}"},
        {"name": "said", "value": "{{inputs.count}}!"},
    ],
    "steps": [TOKEN, ORDER],
}


def made(api: Api, **changes: Any) -> Any:
    answer = api.post("/api/v1/actions", ACTION | changes)
    assert answer.status == 201, answer.json
    return answer.result


def run(api: Api, inputs: dict[str, Any], name: str = "order") -> str:
    answer = api.post(f"/api/v1/actions/{name}/execute", {"inputs": inputs})
    assert answer.status == 202, answer.json
    return str(answer.json["sys_id"])


def test_values_flow_from_step_to_step(api: Api, mid: Mid) -> None:
    made(api)
    sys_id = run(api, {"client": 'A"/b', "count": "3"})
    first = mid.job()
    probe = first.decoded()
    assert (probe.url, probe.body) == ("https://partner.example/token/A%22%2Fb", "scope=orders")
    assert probe.headers == [("Content-Type", "application/x-www-form-urlencoded")]
    mid.deliver(first, body='{"access_token": "t0k"}')
    second = mid.job()
    probe = second.decoded()
    assert ("X-Token", "t0k") in probe.headers
    assert json.loads(probe.body) == {"count": 3, "note": 'for A"/b', "was": 200}
    before = first.decoded().traceparent
    assert probe.traceparent[3:35] == before[3:35]  # one trace, and a span for each step
    assert probe.traceparent[36:52] != before[36:52]
    mid.deliver(second, body='{"id": 99}')
    found = api.details(sys_id)
    assert (found["state"], found["outputs"]) == ("Completed", {"order": 99, "said": "3!"})
    assert found["inputs"] == {"client": 'A"/b', "scope": "orders", "count": 3}
    assert [step["outputs"] for step in found["steps"]] == [{"token": "t0k"}, {"id": 99}]
    assert json.loads(found["steps"][1]["configuration"]["body"])["count"] == 3
    again = api.post(f"/api/v1/executions/{sys_id}/run-again", {}).json
    assert again["inputs"] == found["inputs"]


def test_a_token_in_a_header_goes_from_step_to_step(api: Api, mid: Mid) -> None:
    sends = {"headers": [["X-Auth-Token", "{{steps.A.headers.X-Subject-Token}}"]]}
    steps = [{"name": name, "base_url": "https://partner.example"} for name in ("A", "B")]
    assert api.post("/api/v1/actions", {"name": "token", "steps": [steps[0], steps[1] | sends]}).status == 201
    sys_id = api.execute("token").json["sys_id"]
    mid.deliver(mid.job(), headers=[("X-Subject-Token", "s3cret")])
    assert ("X-Auth-Token", "s3cret") in mid.job().decoded().headers
    assert b"s3cret" not in api.get(f"/api/v1/executions/{sys_id}").raw


def test_what_was_read_does_not_fit(api: Api, mid: Mid) -> None:
    made(api)
    sys_id = run(api, {"client": "a"})
    mid.deliver(mid.job(), body="not json")
    found = api.details(sys_id)
    assert (found["state"], found["steps"][0]["error"]["code"]) == ("Error", "output_not_read")
    assert "the body is not JSON" in found["steps"][0]["error"]["message"]
    assert found["steps"][1]["state"] == "Cancelled"


@pytest.mark.parametrize("body", ["[" * 200 + "]" * 200, json.dumps({"id": "\ud800"})], ids=["deep", "half"])
@both
def test_an_answer_that_nobody_can_read_takes_no_other_with_it(instance: object, api: Api, mid: Mid, body: str) -> None:
    """A MID Server delivers until it is heard: what the instance cannot take would keep everything behind it."""
    reads = {"outputs": [{"name": "id", "source": "json_path", "expression": "$..id", "type": "json"}]}
    steps = [{"base_url": "https://partner.example", **reads}, {"base_url": "https://partner.example"}]
    assert api.post("/api/v1/actions", {"name": "read", "steps": steps}).status == 201
    bad, good = (api.execute("read").json["sys_id"] for _ in range(2))
    jobs = mid.claim(limit=2).message(ClaimAnswer).jobs
    bodies = zip(jobs, (body, '{"id": 1}'), strict=True)
    results = [JobResult(job.sys_id, job.lease, ProbeResult(1, status_code=200, body=text)) for job, text in bodies]
    assert mid.post("/results", ResultsRequest(results)).status == 200
    assert api.details(bad)["steps"][0]["error"]["code"] == "output_not_read"
    assert api.details(good)["steps"][0]["outputs"] == {"id": [1]}


@both
def test_what_a_partner_calls_an_attachment_is_looked_for_only_where_it_may_be_one(
    instance: object, api: Api, mid: Mid
) -> None:
    reads = {"outputs": [{"name": "id", "source": "json_path", "expression": "$.id"}]}
    sends = {"method": "POST", "body_kind": "binary", "attachment": "{{steps.A.outputs.id}}"}
    steps = [{"name": "A", "base_url": "https://partner.example", **reads}]
    steps.append({"name": "B", "base_url": "https://partner.example", **sends})
    assert api.post("/api/v1/actions", {"name": "send", "steps": steps}).status == 201
    sys_id = api.execute("send").json["sys_id"]
    assert mid.deliver(mid.job(), body=json.dumps({"id": "a\0"})).status == 200
    assert api.details(sys_id)["steps"][1]["error"]["code"] == "bad_input"


def test_a_value_that_no_request_can_hold_fails_its_step(api: Api, mid: Mid) -> None:
    made(api)
    sys_id = run(api, {"client": "a"})
    mid.deliver(mid.job(), body=json.dumps({"access_token": "a\r\nHost: evil"}))
    step = api.details(sys_id)["steps"][1]
    assert (step["state"], step["error"]["code"]) == ("Error", "bad_input")
    assert "line break" in step["error"]["message"]


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({}, "input client is missing"),
        ({"client": "a", "count": "x"}, "count is not of type"),
        ({"no": 1}, "no input no"),
    ],
)
def test_inputs_that_do_not_fit(api: Api, inputs: dict[str, Any], said: str) -> None:
    made(api)
    answer = api.post("/api/v1/actions/order/execute", {"inputs": inputs})
    assert answer.status == 400
    assert said in answer.json["error"]["message"]


def step(**changes: Any) -> dict[str, Any]:
    return {"base_url": "https://x.example", "name": "Only", **changes}


@pytest.mark.parametrize(
    ("action", "said"),
    [
        ({"steps": [step(body="{{inputs.nobody}}")]}, "steps[0].body: {{inputs.nobody}}: the action has no such input"),
        ({"steps": [step(headers=[["X-A", "{{steps.Only.body}}"]])]}, "no step before this one is named Only"),
        ({"steps": [step(query=[["q", "{{steps.Only}}"]])]}, "is not a data pill"),
        ({"steps": [TOKEN, step(body="{{steps.Get token.outputs.id}}")]}, "has no such output; it has token"),
        ({"steps": [step(save_as="{{inputs.id}}.pdf")]}, "steps[0].save_as: “{{inputs.id}}.pdf”: data pills are not"),
        ({"steps": [step(base_url="https://x.example/{{inputs.id}}")]}, "data pills are not filled in here"),
        ({"steps": [step(type="SOAP", body="<a/>", soap_action="urn:{{inputs.id}}")]}, "not filled in here"),
        ({"steps": [step(query=[["{{inputs.id}}", "1"]])]}, "not filled in here"),
        (
            {"steps": [step(body_kind="multipart", parts=[{"name": "a", "content_type": "{{inputs.id}}"}])]},
            "not filled in here",
        ),
        ({"steps": [step(body_kind="json", body="{")]}, "The body is not JSON"),
        ({"steps": [step(body_kind="binary")]}, "Choose the attachment"),
        ({"steps": [step(body_kind="multipart", parts=[{"name": ""}])]}, "A part has a name"),
        ({"steps": [step(outputs=[{"name": "x", "source": "json_path", "expression": "x"}])]}, "is not understood"),
        ({"steps": [step(type="SOAP")]}, "needs an envelope"),
        ({"steps": [step(type="SOAP", body="<a>")]}, "The envelope is not XML"),
        ({"steps": [step(type="SOAP", body="<!DOCTYPE a><a/>")]}, "DOCTYPE"),
        ({"steps": [step(type="SOAP", method="GET", body="<a/>")]}, "a step of type SOAP has"),
        ({"steps": [step()], "outputs": [{"name": "x", "value": "{{steps.Y.body}}"}]}, "named Y"),
        ({"steps": [step()], "inputs": [{"name": "x", "type": "date"}]}, "inputs: "),
    ],
)
def test_what_cannot_be_saved(api: Api, action: dict[str, Any], said: str) -> None:
    whole = {"name": "bad", "inputs": ACTION["inputs"], **action}
    answer = api.post("/api/v1/actions", whole)
    assert answer.status == 400
    assert said in answer.json["error"]["detail"]
    assert api.get("/api/v1/actions/bad").status == 404


ENVELOPE = (
    '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><n>{{inputs.n}}</n></s:Body></s:Envelope>'
)
SOAP = {
    "type": "SOAP",
    "name": "Ask",
    "base_url": "https://soap.example/ws",
    "soap_action": "urn:ask",
    "body": ENVELOPE,
    "outputs": [{"name": "answer", "source": "xpath", "expression": "//*[local-name()='answer']", "type": "integer"}],
}


def test_a_soap_step(api: Api, mid: Mid) -> None:
    made(api, name="soap", inputs=[{"name": "n"}], steps=[SOAP], outputs=[])
    sys_id = run(api, {"n": "<&>"}, "soap")
    job = mid.job()
    probe = job.decoded()
    assert isinstance(probe, SoapProbe)
    assert (probe.method, probe.version, probe.action) == ("POST", "1.1", "urn:ask")
    assert "<n>&lt;&amp;&gt;</n>" in probe.body
    mid.deliver(job, body="<e><answer>42</answer></e>")
    (found,) = api.details(sys_id)["steps"]
    assert (found["type"], found["outputs"], found["error"]) == ("SOAP", {"answer": 42}, None)
    assert (found["configuration"]["soap_version"], found["configuration"]["soap_action"]) == ("1.1", "urn:ask")


def test_a_soap_step_that_cannot_begin_is_one(api: Api, mid: Mid) -> None:
    api.create("sys_alias", name="nowhere", connection_type="http_connection")
    step = {key: value for key, value in SOAP.items() if key != "base_url"} | {"connection_alias": "nowhere"}
    made(api, name="soap", inputs=[{"name": "n"}], steps=[step], outputs=[])
    (found,) = api.details(run(api, {}, "soap"))["steps"]
    assert (found["type"], found["error"]["code"]) == ("SOAP", "no_active_connection")


def test_a_soap_fault(api: Api, mid: Mid) -> None:
    made(api, name="soap", inputs=[{"name": "n"}], steps=[SOAP], outputs=[])
    sys_id = run(api, {}, "soap")
    mid.deliver(mid.job(), status_code=500, body="<f/>", fault=SoapFault("Client", "no such order", detail="<d/>"))
    (found,) = api.details(sys_id)["steps"]
    assert found["error"]["code"] == "soap_fault"
    assert "answered a SOAP fault, Client: no such order" in found["error"]["message"]
    assert found["output"]["fault"]["detail"] == "<d/>"


def test_publish_runs_what_was_published(api: Api, mid: Mid) -> None:
    made(api)
    assert api.post("/api/v1/actions/order/publish", {}).result["published"] == 1
    draft = {**ACTION, "steps": [step()], "inputs": [], "outputs": []}
    assert api.request("PUT", "/api/v1/actions/order", json.dumps(draft).encode()).result["published"] == 1
    sys_id = run(api, {"client": "a"})
    assert "token/a" in mid.job().decoded().url
    assert api.details(sys_id)["version"] == 1
    assert api.post("/api/v1/actions/order/publish", {}).result["published"] == 2
    run(api, {})
    assert mid.job().decoded().url == "https://x.example"
    versions = api.get("/api/v1/actions/order/versions").result
    assert [(each["version"], each["published_by"], each["current"]) for each in versions] == [
        (2, "alice", True),
        (1, "alice", False),
    ]
    assert len(api.post("/api/v1/actions/order/restore", {"version": 1}).result["steps"]) == 2
    assert api.post("/api/v1/actions/order/restore", {"version": 9}).status == 400


def test_copy_and_round_trip(api: Api, mid: Mid) -> None:
    made(api)
    copied = api.post("/api/v1/actions/order/copy", {"name": "order 2"})
    assert copied.status == 201
    document = {name: copied.result[name] for name in ("name", "description", "inputs", "outputs", "steps")}
    same = api.request("PUT", "/api/v1/actions/order%202", json.dumps(document).encode())
    assert same.status == 200, same.json
    assert same.result["steps"] == copied.result["steps"] == api.get("/api/v1/actions/order").result["steps"]
    assert api.post("/api/v1/actions/order/copy", {"name": "order"}).status == 400
