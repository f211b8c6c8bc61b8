"""SOAP steps: what the versions ask for, MTOM, and faults."""

from __future__ import annotations

import email.parser
import email.policy
import ssl
from pathlib import Path

import pytest
from aiohttp import web

from openmid.midserver.outgoing import of, split
from openmid.midserver.soap import MOST_DETAIL, fault
from openmid.wire.probes import Part, ProbeResult, SoapFault, SoapProbe
from tests.midserver.conftest import Authority, Mid
from tests.midserver.partner import Partner

ENVELOPE_11 = "http://schemas.xmlsoap.org/soap/envelope/"
ENVELOPE_12 = "http://www.w3.org/2003/05/soap-envelope"

FAULT_11 = f"""\
<?xml version="1.0" encoding="utf-8"?>
<s:Envelope xmlns:s="{ENVELOPE_11}"><s:Body><s:Fault>
  <faultcode>s:Client.NoStock</faultcode><faultstring xml:lang="de"> Kein Vorrat für ä </faultstring>
  <detail><e:left xmlns:e="urn:shop">0</e:left></detail>
</s:Fault></s:Body></s:Envelope>"""
FAULT_12 = f"""\
<env:Envelope xmlns:env="{ENVELOPE_12}" xmlns:m="urn:shop"><env:Header/><env:Body><env:Fault>
  <env:Code><env:Value>env:Sender</env:Value><env:Subcode><env:Value>m:NoStock</env:Value></env:Subcode></env:Code>
  <env:Reason><env:Text xml:lang="en">none left</env:Text><env:Text xml:lang="de">keine</env:Text></env:Reason>
  <env:Detail><m:left>0</m:left></env:Detail>
</env:Fault></env:Body></env:Envelope>"""
FINE = f'<s:Envelope xmlns:s="{ENVELOPE_11}"><s:Body><Fault>not one</Fault></s:Body></s:Envelope>'


async def call(
    mid: Mid, authority: Authority, answer: web.Response | None = None, **more: object
) -> tuple[ProbeResult, Partner]:
    context = authority.server_context()
    context.verify_mode = ssl.CERT_NONE

    async def serve(_: web.BaseRequest) -> web.StreamResponse:
        return answer or web.Response(text=FINE, content_type="text/xml")

    async with Partner(context, serve=serve) as partner:
        more.setdefault("body", FINE)
        url = f"https://localhost:{partner.port}/stock"
        result = await mid.runner.run(SoapProbe(url, ca_certificates=authority.pem, **more))  # type: ignore[arg-type]
    return result, partner


async def test_version_1_1(mid: Mid, authority: Authority) -> None:
    result, partner = await call(mid, authority, action="urn:shop#order")
    request = partner.requests[0]
    assert (result.status_code, result.fault) == (200, None)
    assert (request.method, partner.bodies[0]) == ("POST", FINE)
    assert request.headers["Content-Type"] == "text/xml; charset=utf-8"
    assert request.headers["SOAPAction"] == '"urn:shop#order"'


async def test_version_1_2(mid: Mid, authority: Authority) -> None:
    _, partner = await call(mid, authority, version="1.2", action="urn:shop#order")
    request = partner.requests[0]
    assert request.headers["Content-Type"] == 'application/soap+xml; charset=utf-8; action="urn:shop#order"'
    assert "SOAPAction" not in request.headers


async def test_an_empty_action_is_said_in_1_1_only(mid: Mid, authority: Authority) -> None:
    _, first = await call(mid, authority)
    _, second = await call(mid, authority, version="1.2")
    assert first.requests[0].headers["SOAPAction"] == '""'
    assert second.requests[0].headers["Content-Type"] == "application/soap+xml; charset=utf-8"


async def test_the_users_own_content_type_counts(mid: Mid, authority: Authority) -> None:
    _, partner = await call(mid, authority, headers=[("content-type", "text/xml; charset=utf-16")])
    assert partner.requests[0].headers.getall("Content-Type") == ["text/xml; charset=utf-16"]


@pytest.mark.parametrize("version", ["1.1", "1.2"])
async def test_attachments_go_as_mtom(mid: Mid, authority: Authority, version: str) -> None:
    envelope = '<e xmlns:xop="http://www.w3.org/2004/08/xop/include"><xop:Include href="cid:photo@shop"/></e>'
    parts = [Part("photo@shop", "binary ö", content_type="image/png"), Part("plan", "x")]
    _, partner = await call(mid, authority, version=version, action="urn:a", body=envelope, parts=parts)
    kind = partner.requests[0].headers["Content-Type"]
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(
        f"Content-Type: {kind}\r\n\r\n{partner.bodies[0]}".encode()
    )
    inner = {"1.1": "text/xml", "1.2": "application/soap+xml"}[version]
    assert message.get_content_type() == "multipart/related"
    assert [message.get_param(name) for name in ("type", "start-info")] == ["application/xop+xml", inner]
    assert (message.get_param("action") == "urn:a") is (version == "1.2")
    assert ("SOAPAction" in partner.requests[0].headers) is (version == "1.1")
    root, photo, plan = message.iter_parts()
    assert root["Content-ID"] == message.get_param("start")
    assert (root.get_content_type(), root.get_param("type")) == ("application/xop+xml", inner)
    assert root.get_payload(decode=True) == envelope.encode()
    assert (photo["Content-ID"], photo.get_content_type()) == ("<photo@shop>", "image/png")
    assert photo.get_payload(decode=True) == "binary ö".encode()
    assert plan.get_content_type() == "application/octet-stream"


@pytest.mark.parametrize(
    "more",
    [
        {"body": ""},
        {"action": 'a"b'},
        {"action": "a\r\nX: y"},
        {"parts": [Part("a b", "x")]},
        {"parts": [Part("a>", "x")]},
        {"parts": [Part("a", "x", content_type="a\nb")]},
    ],
)
async def test_what_cannot_be_sent(mid: Mid, authority: Authority, more: dict[str, object]) -> None:
    result, partner = await call(mid, authority, **more)  # type: ignore[arg-type]
    assert result.failure
    assert result.failure.code == "request_invalid"
    assert not partner.requests


@pytest.mark.parametrize("status", [500, 200])
async def test_a_fault_of_1_1(mid: Mid, authority: Authority, status: int) -> None:
    answer = web.Response(text=FAULT_11, content_type="text/xml", status=status)
    result, _ = await call(mid, authority, answer)
    assert (result.status_code, result.failure, result.body) == (status, None, FAULT_11)
    assert result.fault == SoapFault(
        "Client.NoStock",
        "Kein Vorrat für ä",
        detail=f'<detail xmlns:s="{ENVELOPE_11}"><e:left xmlns:e="urn:shop">0</e:left></detail>',
    )


@pytest.mark.parametrize("status", [500, 400, 200])
async def test_a_fault_of_1_2(mid: Mid, authority: Authority, status: int) -> None:
    answer = web.Response(text=FAULT_12, content_type="application/soap+xml", status=status)
    result, _ = await call(mid, authority, answer, version="1.2")
    assert result.fault
    assert (result.fault.code, result.fault.subcode, result.fault.reason) == ("Sender", "NoStock", "none left")
    assert "<m:left>0</m:left>" in result.fault.detail


def test_a_fault_in_an_mtom_answer() -> None:
    body = (
        "--b\r\nContent-Type: image/png\r\nContent-ID: <photo>\r\n\r\nFault \r\n"
        f"--b\r\nContent-Type: application/xop+xml\r\nContent-ID: <root>\r\n\r\n{FAULT_12}\r\n--b--\r\n"
    )
    kind = 'multipart/related; type="application/xop+xml"; start="<root>"; boundary=b'
    found = fault(kind, body.encode())
    assert found
    assert found.subcode == "NoStock"


def test_a_part_whose_headers_cannot_be_read_makes_no_failure_of_an_answer() -> None:
    """Python's parser raises IndexError for this one."""
    part = b'--x\r\nContent-Disposition: ",*0*=:\r\n ",\r\n\r\n<a:Fault xmlns:a="u"/>\r\n--x--'
    assert fault("multipart/related; boundary=x", part) is None


def test_other_encodings_are_read() -> None:
    utf16 = FAULT_11.replace("utf-8", "utf-16").encode("utf-16")
    assert fault("text/xml; charset=utf-16", utf16)


@pytest.mark.parametrize("kind", ["text/xml; charset=utf-8", "text/xml"])
async def test_a_fault_whose_declaration_is_wrong_is_a_fault(mid: Mid, authority: Authority, kind: str) -> None:
    """.NET writes utf-16 into a text, and sends that in UTF-8."""
    body = FAULT_11.replace("utf-8", "utf-16").encode()
    result, _ = await call(mid, authority, web.Response(body=body, headers={"Content-Type": kind}))
    assert result.fault
    assert result.fault.reason == "Kein Vorrat für ä"


ENTITIES = "".join(f'<!ENTITY a{i + 1} "{f"&a{i};" * 10}">' for i in range(8))
BOMB = f'<!DOCTYPE x [<!ENTITY a0 "aaaaaaaaaa">{ENTITIES}]>'


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", FAULT_11),
        ("text/xml", "<s:Fault"),
        ("text/xml", "<x:Fault/>"),
        ("text/xml", FAULT_11.replace("schemas.xmlsoap", "other")),
        ("text/xml", FAULT_11.replace("<s:Envelope", f"{BOMB}<s:Envelope", 1).replace("NoStock", "&a8;")),
        (
            "text/xml",
            FAULT_11.replace("<s:Envelope", '<!DOCTYPE x SYSTEM "file:///etc/passwd"><s:Envelope', 1),
        ),
        ("text/xml", "<a>" * 100_000 + "<s:Fault/>"),
        ("multipart/related; boundary=b", FAULT_11),
        ("multipart/related", FAULT_11),
    ],
    ids=["no XML", "cut", "no prefix", "other", "bomb", "doctype", "deep", "no part", "no boundary"],
)
def test_what_is_no_fault(kind: str, body: str) -> None:
    assert fault(kind, body.encode()) is None


def test_the_detail_of_a_fault_is_bounded() -> None:
    found = fault("text/xml", FAULT_11.replace(">0<", f">{'x' * 1_000_000}<").encode())
    assert found
    assert len(found.detail) == MOST_DETAIL


def test_no_file_is_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the secret")
    entity = f'<!DOCTYPE x [<!ENTITY e SYSTEM "file://{secret}">]><s:Envelope'
    body = FAULT_11.replace("<s:Envelope", entity, 1).replace("s:Client.NoStock", "&e;")
    assert fault("text/xml", body.encode()) is None


def test_a_soap_request_is_a_post_whatever_the_probe_says() -> None:
    probe = SoapProbe("https://a.example/", method="GET", body=FINE)
    assert of(probe, split(probe.url), 443).method == "POST"
