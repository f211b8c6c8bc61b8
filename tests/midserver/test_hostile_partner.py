"""A partner that means harm: what it answers ends one call, and nothing else."""

from __future__ import annotations

import asyncio
import itertools
import ssl
import zlib

import pytest
from msgspec import Raw

from openmid.midserver.worker import Worker
from openmid.wire.codec import decode, encode
from openmid.wire.messages import Job, JobResult
from openmid.wire.probes import MAX_BODY_BYTES, RestProbe
from tests.midserver.conftest import Authority, Mid
from tests.midserver.partner import raw_server


def answer(body: bytes, *headers: str) -> bytes:
    head = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(head).encode("latin-1") + body


async def delivered(mid: Mid, authority: Authority, said: bytes, **probe: object) -> JobResult:
    """What the instance would read of this answer."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.ca.issue_cert("localhost").configure_cert(context)
    async with raw_server(said, context) as port:
        asked = RestProbe(f"https://localhost:{port}/", ca_certificates=authority.pem, **probe)  # type: ignore[arg-type]
        return decode(encode(await Worker(mid.runner).run(Job("job", "lease", 0, Raw(encode(asked))))), JobResult)


@pytest.mark.parametrize(
    ("charset", "body"),
    [
        ("utf-7", b"+2AA-"),  # half of a surrogate pair
        ("unicode_escape", rb"\ud800"),
        ("raw_unicode_escape", rb"\ud800"),
        ("utf-16-le", b"\x00\xd8"),
        ("undefined", b"x"),
        ("idna", b"xn--a" * 9),
        ("punycode", b"a" * 200_000 + b"-" + b"b" * 200_000),  # minutes of work for Python
        ("no-such-charset", b"x"),
        ("utf-8", b"\xff"),
    ],
)
async def test_what_is_no_text_comes_back_as_bytes(mid: Mid, authority: Authority, charset: str, body: bytes) -> None:
    said = answer(body, f"Content-Type: text/plain; charset={charset}")
    result = (await delivered(mid, authority, said)).result
    assert result.failure is None
    assert result.body_is_base64


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/xml", '<?xml version="1.0" encoding="ISO-8859-1"?><a>\u00e9</a>'.encode("latin-1")),
        (
            "application/soap+xml; action=x",
            "<?xml version='1.0' encoding = 'windows-1252'?><a>\u20ac</a>".encode("cp1252"),
        ),
        ("text/xml", '<?xml version="1.0" encoding="utf-16"?><a>\u00e9</a>'.encode()),  # as .NET does
        ("text/xml", '<?xml version="1.0" encoding="us-ascii"?><a>\u00e9</a>'.encode()),
        ("text/xml", '<?xml version="1.0" encoding="no-such"?><a>\u00e9</a>'.encode()),
        ("text/xml; charset=utf-8", '<?xml version="1.0" encoding="ISO-8859-1"?><a>\u00e9</a>'.encode()),
    ],
)
async def test_xml_says_itself_how_it_is_encoded(mid: Mid, authority: Authority, kind: str, body: bytes) -> None:
    result = (await delivered(mid, authority, answer(body, f"Content-Type: {kind}"))).result
    assert not result.body_is_base64
    assert result.body.rpartition("?>")[2] in ("<a>\u00e9</a>", "<a>\u20ac</a>")


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_a_bomb_is_an_answer_that_is_too_large(mid: Mid, authority: Authority, coding: str) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31 if coding == "gzip" else 15)
    body = packer.compress(bytes(MAX_BODY_BYTES * 4)) + packer.flush()
    said = answer(body, f"Content-Encoding: {coding}")
    result = (await delivered(mid, authority, said)).result
    assert result.failure
    assert result.failure.code == "response_too_large"


async def test_a_query_does_not_show_in_a_failure(mid: Mid, authority: Authority) -> None:
    said = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabcde"
    result = (await delivered(mid, authority, said, query=[("api_key", "hidden-in-a-query")])).result
    assert result.failure
    assert result.failure.code == "answer_invalid"
    assert "Duplicate Content-Length" in result.failure.message
    assert "hidden-in-a-query" not in result.failure.message


async def test_a_partner_that_hangs_up_and_lets_nobody_in_again_has_an_outcome_that_the_instance_takes(
    mid: Mid, authority: Authority
) -> None:
    """The second connection, which exchange.py makes by itself, has no handshake: it must not show the first one's."""
    context = authority.server_context()
    connections = itertools.count()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if next(connections) == 0:
            await writer.start_tls(context)
            await reader.readuntil(b"\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1")
    asked = RestProbe(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/", ca_certificates=authority.pem)
    async with server:
        said = encode(await Worker(mid.runner).run(Job("job", "lease", 0, Raw(encode(asked)))))
    assert next(connections) == 2
    result = decode(said, JobResult).result
    assert result.failure
    assert result.timing.tls == -1
