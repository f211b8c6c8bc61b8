"""Answers as partners give them, well and badly: each is an answer, or one cause with a sentence; never somebody else's."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import time
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import brotli
import pytest

from openmid.midserver.tls_client import TlsClient
from openmid.wire.probes import MAX_BODY_BYTES, ProbeResult, RestProbe, Timeouts
from tests.midserver.conftest import Authority, Mid
from tests.midserver.partner import Talk, raw_server, talking_server

OK = b"HTTP/1.1 200 OK\r\n"


@asynccontextmanager
async def server(authority: Authority, talk: Talk) -> AsyncIterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.ca.issue_cert("localhost").configure_cert(context)
    async with talking_server(talk, context) as port:
        yield port


def saying(*said: bytes, pause: float = 0, close: bool = True) -> Talk:
    """Reads a request's head, and says that."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            for piece in said:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(pause)
            if close:
                return

    return talk


async def ask(mid: Mid, authority: Authority, port: int, **more: object) -> ProbeResult:
    return await mid.runner.run(RestProbe(f"https://localhost:{port}/", ca_certificates=authority.pem, **more))  # type: ignore[arg-type]


async def answer_to(mid: Mid, authority: Authority, *said: bytes, **more: object) -> ProbeResult:
    async with server(authority, saying(*said)) as port:
        return await ask(mid, authority, port, **more)


@pytest.mark.parametrize(
    ("said", "body"),
    [
        (OK + b"\r\nall until the end", "all until the end"),
        (b"HTTP/1.0 200 OK\r\n\r\nold", "old"),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold", "old"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nok", "ok"),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 3 + OK + b"Content-Length: 2\r\n\r\nok", "ok"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n2;x=y\r\nok\r\n0\r\nX-Trailer: t\r\n\r\n", "ok"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", ""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", ""),
        (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", "ok"),
        (
            OK + b"X-Folded: a\r\n b\r\nContent-Length: 2\r\n\r\nok",
            "ok",
        ),  # RFC 9112, 5.2: a space takes the fold's place
        (OK + b"Content-Length: 2\r\n\r\nok" + OK + b"Content-Length: 4\r\n\r\nEVIL", "ok"),
    ],
    ids=[
        "no length",
        "1.0",
        "1.0 length",
        "100",
        "103",
        "chunks",
        "204",
        "304",
        "no reason",
        "obs-fold",
        "two answers",
    ],
)
async def test_what_is_an_answer(mid: Mid, authority: Authority, said: bytes, body: str) -> None:
    result = await answer_to(mid, authority, said)
    assert result.failure is None, result.failure
    assert result.body == body


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (OK + b"Content-Length: 3\r\nContent-Length: 5\r\n\r\nabcde", "answer_invalid"),
        (OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "answer_invalid"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n", "answer_invalid"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nabc", "answer_invalid"),
        (OK + b"No colon\r\n\r\n", "answer_invalid"),
        (OK + b"X-Zero: a\0b\r\n\r\n", "answer_invalid"),
        (b"HTTP/1.1 banana\r\n\r\n", "answer_invalid"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n", "answer_invalid"),
        (OK + b"Content-Length: 9\r\n\r\nabcd", "connection_lost"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabc", "connection_lost"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "connection_lost"),
        (OK + b"Content-Le", "connection_lost"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "connection_lost"),
    ],
)
async def test_what_is_none(mid: Mid, authority: Authority, said: bytes, code: str) -> None:
    result = await answer_to(mid, authority, said)
    assert result.failure is not None, (result.status_code, result.body)
    assert result.failure.code == code, result.failure
    assert "{" not in result.failure.message
    assert "\n" not in result.failure.message


@pytest.mark.parametrize(
    "head",
    [b"X-Long: " + b"x" * 5_000_000 + b"\r\n", b"X-Short: 1\r\n" * 400_000, b"x" * 5_000_000],
    ids=["one", "many", "no end"],
)
async def test_a_header_section_of_5_mb_ends_in_a_sentence(mid: Mid, authority: Authority, head: bytes) -> None:
    result = await answer_to(mid, authority, OK + head + b"\r\n")
    assert result.failure
    assert result.failure.code == "answer_header_too_large", result.failure
    assert len(result.failure.message) < 400


async def test_a_header_as_long_as_real_ones_are_is_taken(mid: Mid, authority: Authority) -> None:
    result = await answer_to(mid, authority, OK + b"X-Policy: " + b"x" * 20_000 + b"\r\nContent-Length: 0\r\n\r\n")
    assert dict(result.headers)["X-Policy"] == "x" * 20_000


async def test_an_answer_that_nobody_asked_for_answers_no_other_request(mid: Mid, authority: Authority) -> None:
    """A kept connection on which bytes have come meanwhile is dropped: whose they are cannot be known."""
    spoken = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK + b"Content-Length: 2\r\n\r\nok")
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.write(OK + b"Content-Length: 4\r\n\r\nEVIL")
        await writer.drain()
        spoken.set()
        await reader.read()

    async with server(authority, talk) as port:
        for _ in range(3):
            spoken.clear()
            assert (await ask(mid, authority, port)).body == "ok"
            await spoken.wait()
            await asyncio.sleep(0.05)  # lets it reach this side; without that the test would merely be weaker


async def test_garbage_behind_an_answer_spoils_no_later_one(mid: Mid, authority: Authority) -> None:
    async with server(authority, saying(OK + b"Content-Length: 2\r\n\r\nok", b"\0\xff garbage", close=False)) as port:
        for _ in range(3):
            result = await ask(mid, authority, port)
            assert result.body == "ok" or (result.failure and result.failure.code == "answer_invalid")


async def test_byte_by_byte_is_an_answer_all_the_same(mid: Mid, authority: Authority) -> None:
    said = OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    result = await answer_to(mid, authority, *[bytes([one]) for one in said])
    assert result.body == "ok", result.failure


async def test_byte_by_byte_ends_when_the_time_is_over(mid: Mid, authority: Authority) -> None:
    async with server(authority, saying(OK + b"Content-Length: 9000\r\n\r\n", *[b"x"] * 9000, pause=0.01)) as port:
        result = await ask(mid, authority, port, timeout_ms=400)
    assert result.failure
    assert result.failure.code == "answer_unfinished", result.failure
    assert "0.4 s" in result.failure.message


async def test_hints_without_end_end_when_the_time_is_over(mid: Mid, authority: Authority) -> None:
    hints = [b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"] * 10_000
    async with server(authority, saying(*hints, pause=0.001)) as port:
        result = await ask(mid, authority, port, timeout_ms=300)
    assert result.failure
    assert result.failure.code == "answer_timeout", result.failure


async def test_a_switch_of_protocols_is_an_answer_and_the_end_of_its_connection(mid: Mid, authority: Authority) -> None:
    said = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\nnonsense"
    async with server(authority, saying(said, close=False)) as port:
        for _ in range(2):
            result = await ask(mid, authority, port, timeout_ms=5000)
            assert (result.status_code, result.body) == (101, ""), result.failure
            assert result.timing.tls >= 0


# Content codings


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


DATA = bytes(range(32, 127)) * 3000
CODINGS = {
    "gzip": gzip.compress(DATA),
    "x-gzip": gzip.compress(DATA),
    "deflate": zlib.compress(DATA),
    "Deflate": deflated(DATA),
    "br": brotli.compress(DATA),
    "GZIP": gzip.compress(DATA[:1000]) + gzip.compress(DATA[1000:]) + bytes(7),
}


def coded(coding: str, body: bytes) -> bytes:
    return OK + f"Content-Encoding: {coding}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@pytest.mark.parametrize("coding", CODINGS)
async def test_codings_are_taken_off(mid: Mid, authority: Authority, coding: str) -> None:
    result = await answer_to(mid, authority, coded(coding, CODINGS[coding]))
    assert result.failure is None, result.failure
    assert result.body.encode() == DATA


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br"])
async def test_a_coding_that_ends_early_is_noticed(mid: Mid, authority: Authority, coding: str) -> None:
    """The length was right: only the coding knows that something is missing."""
    for body in (CODINGS[coding][:-9], CODINGS[coding][:50], b"nonsense in place of it"):
        result = await answer_to(mid, authority, coded(coding, body))
        assert result.failure
        assert result.failure.code == "answer_invalid"
        assert coding in result.failure.message


async def test_an_unknown_coding_comes_as_it_is(mid: Mid, authority: Authority) -> None:
    result = await answer_to(mid, authority, coded("rot13", b"uryyb"))
    assert (result.body, dict(result.headers)["Content-Encoding"]) == ("uryyb", "rot13")


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br"])
async def test_a_bomb_ends_at_the_limit(mid: Mid, authority: Authority, coding: str) -> None:
    zeros = bytes(200 * 1024 * 1024)
    body = {"gzip": gzip.compress, "deflate": zlib.compress, "br": lambda data: brotli.compress(data, quality=3)}[
        coding
    ](zeros)
    result = await answer_to(mid, authority, coded(coding, body))
    assert result.failure
    assert result.failure.code == "response_too_large"


async def test_a_bomb_of_many_small_members_ends_too(mid: Mid, authority: Authority) -> None:
    result = await answer_to(mid, authority, coded("gzip", gzip.compress(b"") * 100_000))
    assert result.failure
    assert result.failure.code == "answer_invalid"


async def test_a_body_of_exactly_the_limit_is_taken(mid: Mid, authority: Authority) -> None:
    for size, taken in ((1000, True), (1001, False)):
        said = OK + f"Content-Length: {size}\r\n\r\n".encode() + b"x" * size
        result = await answer_to(mid, authority, said, max_body_bytes=1000)
        assert (result.failure is None) is taken
    assert MAX_BODY_BYTES == 5 * 1024 * 1024


# Time


async def test_each_phase_has_a_limit_of_its_own(mid: Mid, authority: Authority) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.ca.issue_cert("localhost").configure_cert(context)
    async with raw_server(None) as silent, raw_server(None, context) as mute:
        for port, limits, code in (
            (silent, Timeouts(tls_ms=200), "tls_timeout"),
            (mute, Timeouts(first_byte_ms=200), "answer_timeout"),
            (mute, Timeouts(connect_ms=20_000, tls_ms=20_000, first_byte_ms=200), "answer_timeout"),
        ):
            result = await ask(mid, authority, port, timeouts=limits)
            assert result.failure
            assert result.failure.code == code, result.failure
            assert "0.2 s" in result.failure.message


async def test_a_connection_that_is_not_accepted_has_a_limit_of_its_own(mid: Mid, authority: Authority) -> None:
    """A full backlog drops what comes: as a firewall does."""
    import socket

    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        result = await ask(mid, authority, full.getsockname()[1], timeouts=Timeouts(connect_ms=300))
    assert result.failure
    assert result.failure.code == "connection_timeout", result.failure
    assert "within 0.3 s" in result.failure.message


async def test_a_first_byte_in_time_lets_the_rest_take_its_time(mid: Mid, authority: Authority) -> None:
    said = (OK + b"Content-Length: 5\r\n\r\n", *[b"x"] * 5)
    async with server(authority, saying(*said, pause=0.1)) as port:
        result = await ask(mid, authority, port, timeouts=Timeouts(first_byte_ms=400))
    assert result.body == "xxxxx", result.failure


async def test_where_the_time_went(mid: Mid, authority: Authority) -> None:
    async with server(authority, saying(OK + b"Content-Length: 2\r\n\r\n", b"ok", pause=0.05, close=False)) as port:
        first, second = await ask(mid, authority, port), await ask(mid, authority, port)
    timing = first.timing
    assert min(timing.dns, timing.connect, timing.tls, timing.first_byte, timing.transfer) >= 0
    assert timing.total >= timing.dns + timing.connect + timing.tls + timing.first_byte + timing.transfer
    again = second.timing
    assert (again.dns, again.connect, again.tls) == (-1, -1, -1)
    assert again.total >= again.first_byte + again.transfer


async def test_loading_a_profile_is_not_the_calls_time(
    mid: Mid, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, spent = time.monotonic_ns, [0]
    build = TlsClient._new

    def slowly(client: TlsClient, trusted: str) -> ssl.SSLContext:
        spent[0] += 3600 * 10**9
        return build(client, trusted)

    monkeypatch.setattr(time, "monotonic_ns", lambda: now() + spent[0])
    monkeypatch.setattr(TlsClient, "_new", slowly)
    result = await answer_to(mid, authority, OK + b"Content-Length: 0\r\n\r\n")
    assert spent[0]
    assert 0 < result.timing.total < 3600 * 10**6


async def test_an_address_has_no_name_to_resolve(mid: Mid, authority: Authority) -> None:
    context = authority.server_context()
    context.verify_mode = ssl.CERT_NONE
    async with talking_server(saying(OK + b"Content-Length: 0\r\n\r\n"), context) as port:
        result = await mid.runner.run(RestProbe(f"https://127.0.0.1:{port}/", ca_certificates=authority.pem))
    assert result.status_code == 200, result.failure
    assert result.timing.dns == -1
