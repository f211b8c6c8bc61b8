"""One exchange with a partner: what goes on the wire, and what is sent again by itself."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from yarl import URL

from openmid.midserver import proxy, tls, tls_client
from openmid.midserver.connector import Connector
from openmid.midserver.egress import Egress
from openmid.midserver.exchange import LARGE, Destination, exchange, head
from openmid.wire.probes import ProbeResult, RestProbe
from tests.midserver.conftest import Authority, Mid, make_config
from tests.midserver.partner import talking_server

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class Server:
    """Answers every request, but hangs up on the second one of its first connection once it has read that whole."""

    hangs_up: bool = True
    port: int = 0
    requests: list[tuple[str, bytes]] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                said = (await reader.readuntil(b"\r\n\r\n")).decode()
                lengths = [line for line in said.lower().splitlines() if line.startswith("content-length:")]
                body = await reader.readexactly(int(lengths[0].partition(":")[2])) if lengths else b""
                self.requests.append((said, body))
                if self.hangs_up and len(self.requests) == 2:
                    break
                writer.write(OK)
        except asyncio.IncompleteReadError:
            pass
        writer.close()

    async def ask(self, mid: Mid, authority: Authority, method: str, **more: object) -> ProbeResult:
        url = f"https://localhost:{self.port}/a?b=c"
        return await mid.runner.run(RestProbe(url, method=method, ca_certificates=authority.pem, **more))  # type: ignore[arg-type]


def anybody(authority: Authority) -> ssl.SSLContext:
    """A server that asks for no client certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.ca.issue_cert("localhost").configure_cert(context)
    return context


@asynccontextmanager
async def serving(authority: Authority, *, hangs_up: bool = True) -> AsyncIterator[Server]:
    found = Server(hangs_up)
    async with await asyncio.start_server(found.serve, "127.0.0.1", ssl=anybody(authority)) as server:
        found.port = server.sockets[0].getsockname()[1]
        yield found


@pytest.mark.parametrize("size", [0, 10, LARGE + 10])
async def test_a_kept_connection_that_turns_out_to_be_closed_costs_an_idempotent_call_nothing(
    mid: Mid, authority: Authority, size: int
) -> None:
    body = "x" * size
    async with serving(authority) as server:
        await server.ask(mid, authority, "GET")
        result = await server.ask(mid, authority, "PUT", body=body)
    assert (result.failure, result.body) == (None, "ok")
    assert [len(sent) for _, sent in server.requests] == [0, size, size]
    assert server.requests[2][1] == body.encode()


async def test_what_is_not_idempotent_is_sent_once(mid: Mid, authority: Authority) -> None:
    async with serving(authority) as server:
        await server.ask(mid, authority, "GET")
        result = await server.ask(mid, authority, "POST", body="x")
    assert result.failure
    assert len(server.requests) == 2


async def test_the_request_as_it_goes_on_the_wire(mid: Mid, authority: Authority) -> None:
    async with serving(authority, hangs_up=False) as server:
        await server.ask(mid, authority, "GET")
        await server.ask(mid, authority, "post")
        await server.ask(
            mid, authority, "PUT", body="xy", headers=[("Host", "a"), ("user-agent", "mine"), ("host", "b"), ("X", "ü")]
        )
    bare, empty, own = (said.split("\r\n")[:-2] for said, _ in server.requests)
    assert bare[0] == "GET /a?b=c HTTP/1.1"
    assert bare[1] == f"Host: localhost:{server.port}"
    assert [line.partition(":")[0] for line in bare[2:]] == ["User-Agent", "Accept"]
    assert (empty[0], empty[-1]) == ("POST /a?b=c HTTP/1.1", "Content-Length: 0")
    assert own[1:] == ["Accept: */*", "user-agent: mine", "host: b", "X: ü", "Content-Length: 2"]


@pytest.mark.parametrize("first", [b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", b"220 mail.example\r\n", b""])
async def test_a_partner_that_speaks_or_hangs_up_first_is_not_connected_to_again_and_again(
    mid: Mid, authority: Authority, first: bytes
) -> None:
    """With the end of its handshake: it would do so on every connection, as long as the call has time."""
    connections = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        writer.write(first)
        await reader.read(1 if first else 0)

    context = anybody(authority)
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # there the server has the last word
    async with talking_server(talk, context) as port:
        asked = RestProbe(f"https://localhost:{port}/", method="POST", ca_certificates=authority.pem)
        result = await mid.runner.run(asked)
    code = result.failure.code if result.failure else ""
    assert connections == 1
    assert result.status_code == 503 or code in ("answer_invalid", "connection_lost")


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nX: y", "a\rX: y", "a\0"])
def test_no_header_ends_its_line_early(value: str) -> None:
    """Not even one that is not the user's: a credential's, a trace's."""
    with pytest.raises(ValueError, match="a header holds a line break or a zero byte"):
        head("GET", URL("https://partner.example/"), [("Authorization", value)], None)


class ClosesBehind(threading.Thread):
    """Answers one request with so many bytes, and closes when the kernel has them: not when they were read."""

    def __init__(self, context: ssl.SSLContext, size: int) -> None:
        super().__init__(daemon=True)
        self._context, self._size = context, size
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * size)
        self.port: int = self._listener.getsockname()[1]

    def run(self) -> None:
        plain, _ = self._listener.accept()
        with self._listener, self._context.wrap_socket(plain, server_side=True) as connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % self._size + b"x" * self._size)


async def test_what_a_partner_sent_before_it_closed_is_read_however_late(authority: Authority, tmp_path: Path) -> None:
    """uvloop 0.23 fails this: with its reading paused it drops what is left when the connection ends."""
    size = 800_000
    server = ClosesBehind(anybody(authority), size)
    server.start()
    connector, url = Connector(Egress.of(make_config(tmp_path / "agent"))), URL(f"https://localhost:{server.port}/")
    way = Destination(url, tls.client_context(authority.pem, enforced=False))
    answer = await exchange(connector, way, "GET", head("GET", url, [], None))
    await asyncio.to_thread(server.join, 30)
    came = 0
    while chunk := await answer.read():
        came += len(chunk)
    await answer.finish()
    await connector.close()
    assert came == size


def test_no_more_contexts_are_held_than_there_may_be(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls_client, "MOST_CONTEXTS", 2)
    client = tls_client.TlsClient(None, Egress([]), enforced=False)
    for number in range(9):
        client.destination(URL(f"https://{number}.example/"), authority.pem + "\n" * number, proxy.NONE)
        assert len({each.ssl for each in client._destinations.values()}) <= 2
    last = client.destination(URL("https://8.example/again"), authority.pem + "\n" * 8, proxy.NONE)
    assert last is client.destination(URL("https://8.example/"), authority.pem + "\n" * 8, proxy.NONE)
