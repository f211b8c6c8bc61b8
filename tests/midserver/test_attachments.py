"""Bodies that stream: from the instance to the partner, from the partner to the instance, in constant memory."""

from __future__ import annotations

import asyncio
import contextlib
import email.parser
import email.policy
import gzip
import json
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from msgspec import Raw

from openmid.midserver import tls
from openmid.midserver.attachments import InstanceAttachments
from openmid.midserver.call_error import CallError
from openmid.midserver.http import Host, RestRunner
from openmid.midserver.instance_client import InstanceClient
from openmid.wire.messages import Job
from openmid.wire.probes import Attachment, Part, ProbeResult, RestProbe, RetryPolicy, SoapProbe, Timeouts
from tests.midserver.conftest import Authority, Mid
from tests.midserver.partner import Serve, talking_server

JOB = Job("job-1", "lease-1", 0, Raw(b"{}"))


class Store:
    """The instance's half, as its two routes are agreed (`attachments.py` says how)."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.stored: list[tuple[dict[str, str], bytes]] = []
        self.status = 200
        self.cut = 0
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        self.headers.append(dict(request.headers))
        self.paths.append(request.path)
        if self.status != 200:
            refusal = {"code": "no", "message": "that is not yours"}
            return web.json_response(refusal, status=self.status)
        if request.method == "GET":
            return await self._give(request)
        data = b"".join([chunk async for chunk in request.content.iter_any()])
        self.stored.append((dict(request.query), data))
        return web.json_response({"sys_id": "f" * 32, "size_bytes": len(data)})

    async def _give(self, request: web.BaseRequest) -> web.StreamResponse:
        data = self.files[request.path.rpartition("/")[2]]
        if not self.cut:
            return web.Response(body=data)
        response = web.StreamResponse(headers={"Content-Length": str(len(data))})
        await response.prepare(request)
        await response.write(data[: self.cut])
        assert request.transport
        request.transport.close()
        return response


@contextlib.asynccontextmanager
async def serving(serve: Serve, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    runner = web.ServerRunner(web.Server(serve), shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


class Bench:
    def __init__(self, mid: Mid, authority: Authority, session: aiohttp.ClientSession, port: int, store: Store) -> None:
        self.store = store
        self.authority = authority
        self.attachments = InstanceAttachments(
            lambda method, path, **more: session.request(method, f"http://127.0.0.1:{port}{path}", **more)
        )
        host = Host("mid-test", Path("config.xml"), False)
        self.runner = RestRunner(mid.registry, host, attachments=self.attachments)

    async def call(self, port: int, path: str = "/", **more: object) -> ProbeResult:
        url = f"https://localhost:{port}{path}"
        return await self.runner.run(RestProbe(url, ca_certificates=self.authority.pem, **more), JOB)  # type: ignore[arg-type]


@pytest.fixture
async def bench(mid: Mid, authority: Authority) -> AsyncIterator[Bench]:
    store = Store()
    async with serving(store) as port, aiohttp.ClientSession() as session:
        yield Bench(mid, authority, session, port, store)


@pytest.fixture
def context(authority: Authority) -> ssl.SSLContext:
    made = authority.server_context()
    made.verify_mode = ssl.CERT_NONE
    return made


class Taking:
    """A partner that keeps what it is sent."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        self.headers.append(dict(request.headers))
        self.bodies.append(b"".join([chunk async for chunk in request.content.iter_any()]))
        if request.path == "/moved" or (request.path == "/busy" and len(self.bodies) == 1):
            return web.Response(status=307 if request.path == "/moved" else 503, headers={"Location": "/there"})
        return web.Response(text=f"{len(self.bodies[-1])} bytes")


DATA = bytes(range(256)) * 4096


async def test_a_request_carries_an_attachment(bench: Bench, context: ssl.SSLContext) -> None:
    bench.store.files["a1"] = DATA
    taking = Taking()
    async with serving(taking, context) as port:
        result = await bench.call(port, method="PUT", attachment=Attachment("a1", len(DATA), "image/png", "x.png"))
    assert result.body == f"{len(DATA)} bytes", result.failure
    assert taking.bodies == [DATA]
    assert taking.headers[0]["Content-Length"] == str(len(DATA))
    assert taking.headers[0]["Content-Type"] == "image/png"
    assert result.tls.server_issuer  # the way to the instance has not mixed with that to the partner


async def test_it_is_sent_anew_after_a_redirect_and_in_another_attempt(bench: Bench, context: ssl.SSLContext) -> None:
    bench.store.files["a1"] = DATA
    taking = Taking()
    attachment = Attachment("a1", len(DATA))
    async with serving(taking, context) as port:
        await bench.call(port, "/moved", method="PUT", attachment=attachment, max_redirects=1)
        assert taking.bodies == [DATA, DATA]
        taking.bodies.clear()
        policy = RetryPolicy(count=1, kind="fixed", interval_ms=1)
        await bench.call(port, "/busy", method="PUT", attachment=attachment, retry=policy)
        assert taking.bodies == [DATA, DATA]


async def test_a_form_with_files(bench: Bench, context: ssl.SSLContext) -> None:
    bench.store.files["a1"] = DATA
    taking = Taking()
    parts = [
        Part("text", "grüß\r\n--x"),
        Part('na"me', "v", content_type="text/csv", file_name="ä.csv"),
        Part("file", attachment=Attachment("a1", len(DATA), "image/png", "x.png")),
    ]
    async with serving(taking, context) as port:
        result = await bench.call(port, method="POST", parts=parts, headers=[("Content-Type", "multipart/form-data")])
    assert result.status_code == 200, result.failure
    kind = taking.headers[0]["Content-Type"]
    head = f"Content-Type: {kind}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + taking.bodies[0])
    found = [(part.get_content_type(), part.get_payload(decode=True)) for part in message.iter_parts()]
    assert found == [("text/plain", "grüß\r\n--x".encode()), ("text/csv", b"v"), ("image/png", DATA)]
    assert b'name="na%22me"; filename="\xc3\xa4.csv"' in taking.bodies[0]
    assert b'name="file"; filename="x.png"' in taking.bodies[0]


async def test_a_form_without_files_is_a_body_of_its_own(bench: Bench, context: ssl.SSLContext) -> None:
    taking = Taking()
    async with serving(taking, context) as port:
        headers = [("Content-Type", "application/x-www-form-urlencoded")]
        await bench.call(port, method="POST", body="a=1&b=%C3%A4", headers=headers)
        await bench.call(port, method="POST", body="AAEC/w==", body_is_base64=True)
    assert taking.bodies == [b"a=1&b=%C3%A4", b"\0\1\2\xff"]


@pytest.mark.parametrize(
    ("kind", "sent"),
    [
        ("text/xml; charset=ISO-8859-1", b"\xe9"),
        ('text/plain; Charset="utf-16le"', b"\xe9\0"),
        ("text/plain", b"\xc3\xa9"),
        ("text/plain; charset=no-such", b"\xc3\xa9"),
        ("text/plain; charset=base64", b"\xc3\xa9"),
        ("text/plain; charset=punycode", b"\xc3\xa9"),
    ],
)
async def test_a_text_is_sent_as_its_content_type_says(
    bench: Bench, context: ssl.SSLContext, kind: str, sent: bytes
) -> None:
    taking = Taking()
    async with serving(taking, context) as port:
        await bench.call(port, method="POST", body="\u00e9", headers=[("content-type", kind)])
    assert taking.bodies == [sent]
    assert taking.headers[0]["Content-Type"] == kind


@pytest.mark.parametrize(
    "more",
    [
        {"body": "\u20ac", "headers": [("Content-Type", "text/plain; charset=latin-1")]},
        {"body": "no base64!", "body_is_base64": True},
        {"body": "a", "parts": [Part("b", "c")]},
        {"parts": [Part("b", "c", content_type="text/plain\r\nX: y")]},
        {"attachment": Attachment("a1", 1, "text/plain\nX: y")},
    ],
)
async def test_a_body_that_cannot_be_sent(bench: Bench, more: dict[str, object]) -> None:
    result = await bench.call(1, **more)  # type: ignore[arg-type]
    assert result.failure
    assert result.failure.code == "request_invalid"


async def test_an_attachment_that_is_not_given_out(bench: Bench, context: ssl.SSLContext) -> None:
    bench.store.status = 403
    async with serving(Taking(), context) as port:
        result = await bench.call(port, method="PUT", attachment=Attachment("a1", 5))
    assert result.failure
    assert result.failure.code == "attachment_unavailable"
    assert "the attachment a1 is not given out: that is not yours (403)" in result.failure.message


@pytest.mark.parametrize("size", [len(DATA) - 1, len(DATA) + 1])
async def test_an_attachment_of_another_size(bench: Bench, context: ssl.SSLContext, size: int) -> None:
    bench.store.files["a1"] = DATA
    async with serving(Taking(), context) as port:
        result = await bench.call(port, method="PUT", attachment=Attachment("a1", size, file_name="x.png"))
    assert result.failure
    assert result.failure.code == "attachment_unavailable"
    assert "x.png has not the size" in result.failure.message


async def test_an_attachment_that_ends_under_way(bench: Bench, context: ssl.SSLContext) -> None:
    bench.store.files["a1"] = DATA
    bench.store.cut = 70_000
    async with serving(Taking(), context) as port:
        result = await bench.call(port, method="PUT", attachment=Attachment("a1", len(DATA)))
    assert result.failure
    assert result.failure.code == "attachment_unavailable"


async def test_an_answer_becomes_an_attachment(bench: Bench, context: ssl.SSLContext) -> None:
    async def serve(_: web.BaseRequest) -> web.StreamResponse:
        headers = {"Content-Encoding": "gzip", "Content-Type": "application/pdf"}
        return web.Response(body=gzip.compress(DATA * 10), headers=headers)

    async with serving(serve, context) as port:
        result = await bench.call(port, save_as="report.pdf")
    assert result.attachment == Attachment("f" * 32, len(DATA) * 10, "application/pdf", "report.pdf"), result.failure
    assert (result.status_code, result.body) == (200, "")
    query, body = bench.store.stored[0]
    assert body == DATA * 10
    assert query == {
        "job": "job-1",
        "lease": "lease-1",
        "file_name": "report.pdf",
        "content_type": "application/pdf",
    }
    assert bench.store.headers[0]["Transfer-Encoding"] == "chunked"


async def test_a_strange_content_type_is_kept_as_far_as_it_can_be(bench: Bench, context: ssl.SSLContext) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Type: a/\xff" + b"b" * 9000 + b"\r\n\r\nx")

    async with talking_server(talk, context) as port:
        result = await bench.call(port, save_as="x")
    assert result.attachment, result.failure
    assert bench.store.stored[0][0]["content_type"] == "a/?" + "b" * 197


async def test_an_answer_that_calls_for_another_attempt_is_not_kept(bench: Bench, context: ssl.SSLContext) -> None:
    async with serving(Taking(), context) as port:
        policy = RetryPolicy(count=1, kind="fixed", interval_ms=1)
        result = await bench.call(port, "/busy", method="PUT", save_as="x", retry=policy)
    assert result.status_code == 200
    assert [body for _, body in bench.store.stored] == [b"0 bytes"]


async def test_a_refusal_is_no_attachment(bench: Bench, context: ssl.SSLContext) -> None:
    page = "<html>400 No required SSL certificate was sent</html>"
    fault = (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault>'
        "<faultcode>s:Client</faultcode><faultstring>none left</faultstring></s:Fault></s:Body></s:Envelope>"
    )

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/soap":
            return web.Response(status=500, text=fault, content_type="text/xml")
        return web.Response(status=400, text=page, content_type="text/html")

    async with serving(serve, context) as port:
        result = await bench.call(port, save_as="report.pdf")
        assert (result.status_code, result.body, result.attachment) == (400, page, None)
        probe = SoapProbe(
            f"https://localhost:{port}/soap", body="<x/>", save_as="x", ca_certificates=bench.authority.pem
        )
        result = await bench.runner.run(probe, JOB)
    assert result.fault
    assert result.fault.reason == "none left"
    assert not bench.store.stored


async def test_a_bomb_is_not_saved(bench: Bench, context: ssl.SSLContext) -> None:
    bomb = gzip.compress(bytes(50_000_000))

    async def serve(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=bomb, headers={"Content-Encoding": "gzip"})

    async with serving(serve, context) as port:
        result = await bench.call(port, save_as="x", max_body_bytes=1_000_000)
    assert result.failure
    assert result.failure.code == "response_too_large"
    assert not bench.store.stored


async def test_a_partner_that_breaks_off_is_not_the_instances_fault(bench: Bench, context: ssl.SSLContext) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + bytes(200_000))
        await writer.drain()

    async with talking_server(talk, context) as port:
        result = await bench.call(port, save_as="x")
    assert result.failure
    assert result.failure.code == "connection_lost", result.failure
    assert not bench.store.stored


async def test_an_instance_that_does_not_take_it(bench: Bench, context: ssl.SSLContext) -> None:
    bench.store.status = 507
    async with serving(Taking(), context) as port:
        result = await bench.call(port, save_as="x")
    assert result.failure
    assert result.failure.code == "attachment_not_stored"
    assert "that is not yours (507)" in result.failure.message


async def test_an_instance_that_is_away(bench: Bench) -> None:
    async def nothing() -> AsyncIterator[bytes]:
        yield b"x"

    async with aiohttp.ClientSession() as session:
        away = InstanceAttachments(
            lambda method, path, **more: session.request(method, f"http://127.0.0.1:9{path}", **more)
        )
        with pytest.raises(CallError, match="did not come"):
            await anext(aiter(away.open("a1")))
        with pytest.raises(CallError):
            await away.store("j", "l", "x", "y", nothing())


async def test_a_partner_that_answers_before_it_has_read_the_request(bench: Bench, context: ssl.SSLContext) -> None:
    bench.store.files["a1"] = data = bytes(20_000_000)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 8\r\nConnection: close\r\n\r\ntoo much")
        await writer.drain()
        await reader.read()  # a client that goes on sending is let go on

    async with talking_server(talk, context) as port:
        result = await bench.call(port, method="PUT", attachment=Attachment("a1", len(data)))
    assert (result.status_code, result.body) == (413, "too much"), result.failure


async def test_an_upload_that_ends_behind_its_answer_harms_nothing(bench: Bench, context: ssl.SSLContext) -> None:
    """The limit for the first byte begins at the request's end: here the answer has long begun."""
    bench.store.files["a1"] = data = bytes(5_000_000)

    connections = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nok")
            await writer.drain()
            await reader.readexactly(len(data))
            await asyncio.sleep(0.1)
            writer.write(b"ay")
            await writer.drain()

    async with talking_server(talk, context) as port:
        for _ in range(2):
            limits = Timeouts(first_byte_ms=5000)
            result = await bench.call(port, method="PUT", attachment=Attachment("a1", len(data)), timeouts=limits)
            assert (result.status_code, result.body) == (200, "okay"), result.failure
    assert connections == 1


async def test_the_way_is_the_instance_clients(authority: Authority, context: ssl.SSLContext) -> None:
    store = Store()
    store.files["a1"] = DATA
    async with serving(store, context) as port:
        trusted = tls.client_context(authority.pem, enforced=False)
        client = InstanceClient(f"https://localhost:{port}", trusted, Path("ca.pem"))
        client.authorise("0" * 32, "the-credential")
        attachments = InstanceAttachments(client.stream)
        got = b"".join([chunk async for chunk in attachments.open("a1")])
        stored = await attachments.store("j", "l", "x", "text/plain", attachments.open("a1"))
        await client.close()
    assert (got, stored.size_bytes) == (DATA, len(DATA))
    assert {headers["Authorization"] for headers in store.headers} == {f"Bearer {'0' * 32}.the-credential"}
    assert set(store.paths) == {"/api/mid/v1/attachments/a1", "/api/mid/v1/attachments"}


async def test_a_partner_that_does_not_read(bench: Bench, context: ssl.SSLContext) -> None:
    bench.store.files["a1"] = data = bytes(20_000_000)

    async def talk(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(20)

    async with talking_server(talk, context) as port:
        limits = Timeouts(first_byte_ms=100)  # counts from the request's end
        attachment = Attachment("a1", len(data))
        result = await bench.call(port, method="PUT", attachment=attachment, timeout_ms=500, timeouts=limits)
    assert result.failure
    assert result.failure.code == "request_timeout", result.failure
    assert "0.5 s" in result.failure.message


BIG = 300 * 1024 * 1024


async def test_300_mb_both_ways_in_constant_memory(authority: Authority, bcfks: Path, context: ssl.SSLContext) -> None:
    """The MID Server's half in a process of its own, which says what it took at most."""
    chunk = bytes(range(256)) * 256
    taken = {"partner": 0, "instance": 0}

    async def give(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(BIG)})
        await response.prepare(request)
        for _ in range(BIG // len(chunk)):
            await response.write(chunk)
        return response

    async def partner(request: web.BaseRequest) -> web.StreamResponse:
        async for some in request.content.iter_any():
            taken["partner"] += len(some)
        return await give(request)

    async def instance(request: web.BaseRequest) -> web.StreamResponse:
        if request.method == "GET":
            return await give(request)
        async for some in request.content.iter_any():
            taken["instance"] += len(some)
        return web.json_response({"sys_id": "f" * 32, "size_bytes": taken["instance"]})

    async with serving(partner, context) as partner_port, serving(instance) as instance_port:
        arguments = [sys.executable, "-m", "tests.midserver.streaming", str(partner_port), str(instance_port), str(BIG)]
        process = await asyncio.create_subprocess_exec(
            *arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
        )
        out, _ = await process.communicate(authority.pem.encode())
    said = json.loads(out.splitlines()[-1])
    assert said["failure"] is None
    assert (said["size"], taken) == (BIG, {"partner": BIG, "instance": BIG})
    print(f"grown by {said['grown'] / 1024 / 1024:.1f} MB")
    assert said["grown"] < 40 * 1024 * 1024
