"""What `connector.py` expects of aiohttp. When this fails after an upgrade, read connector.py before anything else."""

from __future__ import annotations

import inspect
import re
from importlib.metadata import version
from pathlib import Path

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.helpers import parse_content_type
from yarl import URL

from openmid.midserver.connector import CURRENT, Attempt, Connector
from openmid.midserver.egress import Egress
from openmid.midserver.exchange import Destination
from tests.midserver.conftest import make_config


def test_the_minor_version_is_the_one_that_was_read() -> None:
    assert version("aiohttp").split(".")[:2] == ["3", "14"]


def test_the_method_that_is_overridden_is_the_one_that_was_read() -> None:
    method = inspect.signature(aiohttp.TCPConnector._wrap_create_connection)
    assert list(method.parameters) == ["self", "args", "addr_infos", "req", "timeout", "client_error", "kwargs"]
    source = inspect.getsource(aiohttp.TCPConnector._create_direct_connection)
    assert "self._wrap_create_connection(\n                    self._factory," in source
    assert list(inspect.signature(aiohttp.TCPConnector.connect).parameters) == ["self", "req", "traces", "timeout"]
    assert "socket_factory=self._socket_factory" in inspect.getsource(aiohttp.TCPConnector._wrap_create_connection)
    assert hasattr(ResponseHandler, "__weakref__")


def test_the_way_through_a_proxy_is_the_one_that_was_read() -> None:
    source = inspect.getsource(aiohttp.TCPConnector._create_proxy_connection)
    # Connects to the proxy in the way of any connection, says CONNECT, and begins TLS inside.
    assert "self._create_direct_connection(\n            proxy_req, []" in source
    assert "return await self._start_tls_connection(" in source
    names = list(inspect.signature(aiohttp.TCPConnector._start_tls_connection).parameters)
    assert names[:4] == ["self", "underlying_transport", "req", "timeout"]
    for name in ("_create_proxy_connection", "_create_connection"):
        assert list(inspect.signature(getattr(aiohttp.TCPConnector, name)).parameters)[1:] == [
            "req",
            "traces",
            "timeout",
        ]
    assert list(inspect.signature(aiohttp.TCPConnector._resolve_host).parameters) == ["self", "host", "port", "traces"]
    assert inspect.isdatadescriptor(ResponseHandler.should_close)


def test_what_an_exchange_uses_is_what_was_read() -> None:
    """exchange.py goes without aiohttp's request and response, and talks to what is below them."""
    parameters = inspect.signature(ResponseHandler.set_response_params).parameters
    assert {"skip_payload", "read_until_eof", "auto_decompress", "max_field_size"} <= set(parameters)
    assert list(inspect.signature(ResponseHandler._drain_helper).parameters) == ["self"]
    assert ConnectionKey._fields == (
        *("host", "port", "is_ssl", "ssl", "proxy", "proxy_auth", "proxy_headers_hash", "server_hostname"),
    )
    assert parse_content_type('text/plain; charset="utf-8"')[1]["charset"] == "utf-8"
    # All that the connector asks of a request; a Destination has it.
    asked = set(re.findall(r"\breq\.(\w+)", inspect.getsource(aiohttp.connector)))
    here = Destination(URL("https://localhost/"), None)
    assert [name for name in asked if not hasattr(here, name)] == []


class Lying(AbstractResolver):
    """A name server under somebody else's control."""

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        return [ResolveResult(hostname=host, host="127.0.0.1", port=port, family=2, proto=6, flags=0)]

    async def close(self) -> None:
        pass


async def test_what_counts_is_the_address_connected_to(tmp_path: Path) -> None:
    connector = Connector(Egress.of(make_config(tmp_path / "agent", '<allow host="partner.example"/>')))
    connector._resolver = Lying()
    attempt = Attempt("partner.example")
    token = CURRENT.set(attempt)
    async with aiohttp.ClientSession(connector=connector) as session:
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get("https://partner.example/")
    CURRENT.reset(token)
    assert (attempt.denied, attempt.peer, attempt.connected) == (("127.0.0.1",), "", 0)


async def test_every_socket_is_made_by_the_fence(tmp_path: Path) -> None:
    """Even where no attempt is followed, and whatever happens above it."""
    connector = Connector(Egress.of(make_config(tmp_path / "agent", "")))
    with pytest.raises(OSError, match="is denied"):
        connector._socket((2, 1, 6, "", ("127.0.0.1", 443)))
    await connector.close()
