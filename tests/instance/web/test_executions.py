"""EXECUTION DETAILS without a browser."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from openmid.instance.web import waterfall
from openmid.wire.probes import EarlierAttempt, Failure, SoapFault, Timing
from tests.instance.partners import Api, Mid
from tests.instance.test_walk import PROOF, TLS, records
from tests.instance.web.conftest import client_of

PHASES = ("Queued", "Claimed", "DNS", "Connect", "TLS handshake", "Server", "Transfer")
EVIL = "</pre><script>alert(1)</script><img src=x onerror=alert(2)> {{ 7*7 }} x-data='alert(3)'"


@pytest.fixture
def alice(api: Api, mid: Mid) -> Iterator[Client]:
    """alice, with an action `call` on a profile, and a MID Server that proves FIPS Enforced Mode."""
    records(api, require_fips="true")
    mid.heartbeat(fips_enforced=True, proof=PROOF)
    return client_of("alice")


def started(api: Api) -> str:
    return str(api.execute("call").headers["location"].rsplit("/", 1)[1])


def shown(alice: Client, sys_id: str) -> str:
    answer = alice.get(f"/actions/execution/{sys_id}/change/")
    assert answer.status_code == 200
    return answer.content.decode()


def framed(alice: Client, sys_id: str, part: str = "body") -> str:
    """What the page's frame shows."""
    address = f"/actions/execution/{sys_id}/shown/0/{part}/"
    (frame,) = re.findall(f'<iframe[^>]*src="{address}"[^>]*>', shown(alice, sys_id))
    assert " sandbox " in frame
    answer = alice.get(address)
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "SAMEORIGIN"
    policy = "sandbox; default-src 'none'; style-src 'self'; frame-ancestors 'self'"
    assert answer.headers["Content-Security-Policy"] == policy
    inside = answer.content.decode().partition("<pre>\n")[2].removesuffix("</pre></body></html>\n")
    assert "<" not in inside
    return unescape(inside)


def test_it_is_live_until_it_has_ended(api: Api, mid: Mid, alice: Client) -> None:
    sys_id = started(api)
    live = f"/actions/execution/{sys_id}/live/"
    assert f'data-live="{live}"' in shown(alice, sys_id)
    waiting = alice.get(live).json()
    assert (waiting["ended"], "Status Code" in waiting["html"]) == (False, False)
    mid.deliver(mid.job(), body='{"b":[1,{"ä":null}]}', tls=TLS, fips_enforced=True)
    done = alice.get(live).json()
    assert (done["state"], done["ended"]) == ("Completed", True)
    html = shown(alice, sys_id)
    assert "data-live=" not in html
    assert done["html"] in html
    assert "<h1" in html
    assert ">EXECUTION DETAILS</h1>" in html


def test_what_it_shows(api: Api, mid: Mid, alice: Client) -> None:
    sys_id = started(api)
    mid.deliver(mid.job(), body='{"b":[1,{"ä":null}]}', headers=[("Set-Cookie", "geheim")], tls=TLS, fips_enforced=True)
    html = shown(alice, sys_id)
    for text in ("ACTION", "Step Output Data", "Status Code", "Integration Metadata", "Configuration"):
        assert text in html
    for text in ("data-status-code>200<", "TLS_AES_256_GCM_SHA384", "CN=client", "mauth://partner.example/v1/things"):
        assert text in html
    assert '"ä": null' in framed(alice, sys_id)
    assert "OpenSSL FIPS Provider 3.0.20" in html
    assert "geheim" not in html


def test_foreign_bytes_are_text(api: Api, mid: Mid, alice: Client) -> None:
    for body in (EVIL, json.dumps({"x": EVIL}), f"<html>{EVIL}</html>"):
        sys_id = started(api)
        mid.deliver(mid.job(), status_code=500, body=body, headers=[(EVIL, EVIL)])
        for html in (shown(alice, sys_id), alice.get(f"/actions/execution/{sys_id}/live/").json()["html"]):
            assert "<script>alert" not in html
            assert "<img src=x" not in html
            assert "{{ 7*7 }}" in html  # the header
        assert "alert(1)" in framed(alice, sys_id)


def test_the_page_runs_without_unsafe_eval_and_without_what_needs_it(api: Api, mid: Mid, alice: Client) -> None:
    answer = alice.get(f"/actions/execution/{started(api)}/change/")
    policy = dict(part.strip().partition(" ")[::2] for part in answer["Content-Security-Policy"].split(";"))
    assert (policy["default-src"], policy["script-src"], policy["style-src"]) == ("'none'", "'self'", "'self'")
    assert (policy["style-src-attr"], policy["frame-src"], policy["frame-ancestors"]) == ("'none'", "'self'", "'none'")
    text = answer.content.decode()
    assert "alpine" not in text
    assert "htmx" not in text
    assert "style=" not in text


def test_a_fault_is_shown_as_a_fault(api: Api, mid: Mid, alice: Client) -> None:
    sys_id = started(api)
    fault = SoapFault("soap:Server", "it broke", detail="<d><code>7</code></d>")
    mid.deliver(mid.job(), status_code=500, body="<x/>", fault=fault)
    assert "it broke" in shown(alice, sys_id)
    assert framed(alice, sys_id, "fault") == "<d>\n  <code>7</code>\n</d>"


@pytest.mark.parametrize(
    ("answer", "sent"),
    [
        ({"body": "\u00e9"}, b"\xc3\xa9"),
        ({"body": "\u00e9", "headers": [("content-type", 'text/plain; Charset="ISO-8859-1"')]}, b"\xe9"),
        (
            {"body": "<?xml version='1.0' encoding='cp1252'?>\u20ac", "headers": [("Content-Type", "text/xml")]},
            b"<?xml version='1.0' encoding='cp1252'?>\x80",
        ),
        (
            {"body": '<?xml version="1.0" encoding="utf-16"?>\u20ac', "headers": [("Content-Type", "text/xml")]},
            b'<?xml version="1.0" encoding="utf-16"?>\xe2\x82\xac',
        ),
        ({"body": "\u20ac", "headers": [("Content-Type", "text/plain; charset=latin-1")]}, b"\xe2\x82\xac"),
        ({"body": "x", "headers": [("Content-Type", "text/plain; charset=idna")]}, b"x"),
        ({"body": "AAH/", "body_is_base64": True}, b"\0\1\xff"),
        ({"body": "AAE=", "body_is_base64": True}, b"\0\1"),
    ],
)
def test_a_body_comes_back_as_it_was_sent(
    api: Api, mid: Mid, alice: Client, answer: dict[str, Any], sent: bytes
) -> None:
    sys_id = started(api)
    mid.deliver(mid.job(), **answer)
    assert alice.get(f"/actions/execution/{sys_id}/body/0/").content == sent
    (step,) = api.details(sys_id)["steps"]
    assert step["integration_metadata"]["payload_bytes"] == len(sent)
    assert f"Answer 200, {len(sent)} bytes" in [line["text"] for line in step["log"]]


@pytest.mark.parametrize(
    ("body", "inside"),
    [
        (
            '{"amount":10.50,"big": 1e400,"small":[-0.0,12345678901234567890.123]}',
            '{\n  "amount": 10.50,\n  "big": 1e400,\n  "small": [\n    -0.0,\n    12345678901234567890.123\n  ]\n}',
        ),
        ('{"half": "\\ud800", "\\u00e9\\n": "a\\"}{"}', '{\n  "half": "\\ud800",\n  "\u00e9\\n": "a\\"}{"\n}'),
        ('{"a": 1, "a": {}, "b": []}', '{\n  "a": 1,\n  "a": {},\n  "b": []\n}'),
        ('[[],[{}], "", null]', '[\n  [],\n  [\n    {}\n  ],\n  "",\n  null\n]'),
        ('{"a": 1} {', '{"a": 1} {'),
    ],
)
def test_pretty_is_the_same_document(api: Api, mid: Mid, alice: Client, body: str, inside: str) -> None:
    sys_id = started(api)
    mid.deliver(mid.job(), body=body)
    assert framed(alice, sys_id) == inside


def test_the_log_and_the_waterfall_have_every_phase(api: Api, mid: Mid, alice: Client) -> None:
    sys_id = started(api)
    job = mid.job()
    attempts = [EarlierAttempt(started=1, status_code=503, waited_ms=250)]
    timing = Timing(10, 20, 30, 40, 50, 150)
    mid.deliver(job, tls=TLS, timing=timing, attempts=attempts, redirects=["mauth://partner.example/v2"])
    (step,) = api.details(sys_id)["steps"]
    assert [line["text"] for line in step["log"]] == [
        "Put on the ECC queue for MID Server mid1",
        "Claimed by MID Server mid1",
        "Attempt 1: answer 503; waited 250 ms",
        "GET mauth://partner.example/v1/things",
        "Followed to mauth://partner.example/v2",
        f"Connected to {TLS.peer}: TLSv1.3 TLS_AES_256_GCM_SHA384, client certificate CN=client",
        "Answer 200, 0 bytes",
        "Completed",
    ]
    times = [line["time"] for line in step["log"]]
    assert times == sorted(times)
    spans = step["integration_metadata"]["timing_us"]
    assert min(spans.values()) >= 0
    taken = round(step["duration_ms"] * 1000)
    assert spans["queued"] + spans["claimed"] + spans["total"] == max(taken, spans["queued"] + spans["total"])
    html = shown(alice, sys_id)
    at = [html.index(f">{title}</th>") for title in PHASES]
    assert at == sorted(at)
    assert "Attempt 1: answer 503; waited 250 ms" in html


def test_a_call_without_an_answer_has_its_way_in_the_waterfall(api: Api, mid: Mid, alice: Client) -> None:
    sys_id = started(api)
    mid.deliver(mid.job(), status_code=None, failure=Failure("connection_refused", "nobody listens"))
    html = shown(alice, sys_id)
    assert ">Queued</th>" in html
    assert "connection_refused: nobody listens" in html
    assert ">DNS</th>" not in html


def test_a_body_is_downloaded_as_bytes_that_no_browser_renders(api: Api, mid: Mid, alice: Client) -> None:
    sys_id = started(api)
    raw = b"\x00<script>\xff"
    mid.deliver(mid.job(), body=base64.b64encode(raw).decode(), body_is_base64=True)
    answer = alice.get(f"/actions/execution/{sys_id}/body/0/")
    assert answer.content == raw
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "binary, 10 bytes" in shown(alice, sys_id)
    assert alice.get(f"/actions/execution/{sys_id}/body/1/").status_code == 404


def test_a_long_body_is_cut_on_the_page_only(api: Api, mid: Mid, alice: Client) -> None:
    sys_id = started(api)
    mid.deliver(mid.job(), body="a" * 300_000)
    assert "the first 200,000 characters are shown" in shown(alice, sys_id)
    assert len(framed(alice, sys_id)) == 200_000
    assert len(alice.get(f"/actions/execution/{sys_id}/body/0/").content) == 300_000


def test_an_unknown_execution_is_not_found(alice: Client) -> None:
    for page in ("change", "live"):
        assert alice.get(f"/actions/execution/{'0' * 32}/{page}/").status_code == 404


@pytest.mark.parametrize("path", ["/", "/actions/execution/", "/actions/action/", "/connections/midprotocolprofile/"])
def test_lists_ask_once_and_not_once_a_row(api: Api, mid: Mid, alice: Client, path: str) -> None:
    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert alice.get(path).status_code == 200
        return len(captured)

    started(api)
    few = queries()
    for number in range(5):
        api.action(f"call{number}", {"type": "REST", "connection_alias": "partner", "resource_path": "/"})
        api.create("mid_protocol_profile", protocol=f"p{number}", keystore_path="/k")
        started(api)
    assert queries() == few <= 20


def test_cancel_and_run_again(api: Api, mid: Mid, alice: Client) -> None:
    sys_id = started(api)
    page = shown(alice, sys_id)
    assert 'form="cancel-execution">Cancel<' in page
    assert ">Run again<" not in page
    cancelled = alice.post(f"/actions/execution/{sys_id}/cancel/")
    assert cancelled.headers["Location"].endswith(f"/{sys_id}/change/")
    page = shown(alice, sys_id)
    assert "cancelled before a MID Server made it" in page
    assert ">Cancel<" not in page
    again = alice.post(f"/actions/execution/{sys_id}/again/").headers["Location"]
    assert sys_id not in again
    mid.deliver(mid.job())
    assert "data-status-code>200<" in alice.get(again).content.decode()


def test_who_may_not_run_may_not_cancel(api: Api, mid: Mid, alice: Client) -> None:
    sys_id = started(api)
    auditor = User.objects.create_user("auditor", is_staff=True)
    auditor.groups.add(Group.objects.get(name="auditor"))
    alice.force_login(auditor)
    assert "Cancel<" not in shown(alice, sys_id)
    assert alice.post(f"/actions/execution/{sys_id}/cancel/").status_code == 403
    assert alice.post(f"/actions/execution/{sys_id}/again/").status_code == 403
    assert alice.get(f"/actions/execution/{sys_id}/cancel/").status_code == 403


@pytest.mark.parametrize(
    ("timing", "step_us", "expected"),
    [
        ({"dns": 100, "connect": 200, "tls": 300, "first_byte": 300, "transfer": 100, "total": 1000}, None,
         [("DNS", 0, 100), ("Connect", 100, 200), ("TLS handshake", 300, 300), ("Server", 600, 300), ("Transfer", 900, 100)]),  # noqa: E501
        ({"dns": -1, "connect": -1, "tls": -1, "first_byte": 400, "transfer": 0, "total": 500}, 1000,
         [("Queue and way", 0, 500), ("Server", 500, 400), ("Other", 900, 100)]),
        ({"queued": 0, "claimed": 100, "first_byte": 900, "total": 900}, 1000,
         [("Queued", 0, 4), ("Claimed", 0, 100), ("Server", 100, 900)]),
        ({"queued": 300, "claimed": 700, "total": -1}, 1000, [("Queued", 0, 300), ("Claimed", 300, 700)]),
        ({"dns": -1, "connect": 1, "tls": -1, "first_byte": -1, "transfer": -1, "total": 1_000_000}, None,
         [("Connect", 0, 4), ("Other", 0, 999)]),
        ({"total": -1}, 1000, []),
        ({}, None, []),
    ],
)  # fmt: skip
def test_the_waterfall_is_as_long_as_the_step(
    timing: dict[str, int], step_us: int | None, expected: list[tuple[str, int, int]]
) -> None:
    assert [(row["title"], row["x"], row["width"]) for row in waterfall.rows(timing, step_us)] == expected
