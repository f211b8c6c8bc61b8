"""Clients that take their time: with raw sockets against the running application."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from openmid.instance import guard, serve
from tests.instance.partners import Api, Mid

PATIENCE = 20
"""Seconds: a socket that is not closed by then stays open."""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same limits, in tenths of seconds."""
    monkeypatch.setattr(serve, "TICKS", 1)
    for name in ("HEAD_S", "BODY_S", "STALL_S"):
        monkeypatch.setattr(guard, name, 0.3)


@pytest.fixture
def client(server: str) -> Iterator[socket.socket]:
    parts = urlsplit(server)
    with closing(socket.create_connection((parts.hostname, parts.port), PATIENCE)) as found:
        yield found


def test_a_client_that_says_nothing_is_let_go(client: socket.socket) -> None:
    assert_is_closed(client)


def test_half_a_header_is_not_waited_for(client: socket.socket) -> None:
    client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
    assert_is_closed(client)


def test_nor_in_the_second_request_of_a_connection(client: socket.socket) -> None:
    assert_is_answered(client)
    client.sendall(b"GET /health HTTP/1.1\r\n")
    assert_is_closed(client)


def test_a_body_that_trickles_is_not_waited_for(client: socket.socket) -> None:
    client.sendall(b"POST /api/mid/v1/enrol HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n{")
    assert_is_closed(client)


def test_an_answer_that_nobody_reads_is_not_kept(api: Api) -> None:
    parts = urlsplit(api.url)
    with closing(socket.socket()) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(PATIENCE)
        client.connect((parts.hostname, parts.port))
        asked = f"GET /static/nothing{'x' * 2000} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        with pytest.raises(OSError, match=r"reset|Broken pipe"):
            while True:
                client.sendall(asked)


def test_a_connection_between_two_requests_stays(client: socket.socket) -> None:
    for _ in range(2):
        assert_is_answered(client)
        client.settimeout(1)
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.settimeout(PATIENCE)


def test_a_held_claim_stays(mid: Mid) -> None:
    assert mid.claim(wait_ms=1500).status == 200


def test_one_connection_too_many_is_closed_and_the_others_work(
    server: str, client: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_is_answered(client)
    monkeypatch.setattr(guard.door, "most", 1)
    parts = urlsplit(server)
    with closing(socket.create_connection((parts.hostname, parts.port), PATIENCE)) as another:
        assert_is_closed(another)
    assert_is_answered(client)


def test_a_request_by_another_name_is_refused(client: socket.socket) -> None:
    """DNS rebinding: a page's own name may be made to point here."""
    client.sendall(b"GET /health HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
    received = b"".join(iter(lambda: client.recv(4096), b""))
    assert received.startswith(b"HTTP/1.1 400")
    assert b"unknown_host" in received


def assert_is_closed(client: socket.socket) -> None:
    """The server ends the connection, with or without a word."""
    try:
        while client.recv(4096):
            pass
    except ConnectionResetError:
        pass


def assert_is_answered(client: socket.socket) -> None:
    client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
    received = client.recv(4096)
    while not received.endswith(b"}"):
        received += client.recv(4096)
    assert received.startswith(b"HTTP/1.1 200")


class Pieces:
    """A transport that only notes."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.gone = False

    def is_closing(self) -> bool:
        return self.gone

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def close(self) -> None:
        self.written.append(b"closed")


async def test_head_and_body_of_a_small_answer_go_in_one_piece() -> None:
    transport = Pieces()
    joined = guard.Joined(transport)  # type: ignore[arg-type]
    joined.write(b"head ")
    joined.write(b"body")
    assert transport.written == []
    await asyncio.sleep(0)
    assert transport.written == [b"head body"]
    joined.write(b"head ")
    joined.write(large := b"x" * (guard.LARGE + 1))
    assert transport.written[1:] == [b"head " + large]
    joined.write(b"last")
    joined.close()
    assert transport.written[2:] == [b"last", b"closed"]


async def test_what_was_written_for_a_client_that_has_gone_is_dropped() -> None:
    transport = Pieces()
    guard.Joined(transport).write(b"answer")  # type: ignore[arg-type]
    transport.gone = True
    await asyncio.sleep(0)
    assert transport.written == []
