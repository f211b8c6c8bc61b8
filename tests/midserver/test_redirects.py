"""Redirects: what follows, what goes with it, and above all what does not (RFC 9110, 15.4)."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from yarl import URL

from openmid.midserver.call_error import CallError
from openmid.midserver.credentials import Credentials, OpenedCredential
from openmid.midserver.http import Host, RestRunner
from openmid.midserver.outgoing import Request
from openmid.midserver.redirects import onward
from openmid.wire.probes import ProbeResult, RestProbe
from tests.midserver.conftest import Authority, Mid
from tests.midserver.partner import Partner

ROUTES = dict[str, tuple[int, str]]


def routes(found: ROUTES) -> Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]:
    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        status, location = found.get(request.path, (200, ""))
        if not location:
            return web.Response(text=f"{request.method} {request.path}")
        return web.Response(status=status, headers={"Location": location}, text="this way")

    return serve


@asynccontextmanager
async def other(authority: Authority, found: ROUTES | None = None) -> AsyncIterator[Partner]:
    """Another origin, that would take a client certificate, but does not demand one."""
    context = authority.server_context()
    context.verify_mode = ssl.CERT_OPTIONAL
    async with Partner(context, serve=routes({} if found is None else found)) as running:
        yield running


async def run(mid: Mid, authority: Authority, port: int, path: str, **more: object) -> ProbeResult:
    more.setdefault("max_redirects", 5)
    url = f"mauth://localhost:{port}{path}"
    return await mid.runner.run(RestProbe(url, ca_certificates=authority.pem, **more))  # type: ignore[arg-type]


async def test_within_the_origin_everything_goes_with_it(mid: Mid, authority: Authority, bcfks: Path) -> None:
    await mid.register(bcfks)
    async with Partner(authority.server_context(), serve=routes({"/a": (307, "/b?x=1"), "/b": (308, "c")})) as partner:
        headers = [("Authorization", "Bearer own"), ("X-Key", "k")]
        result = await run(mid, authority, partner.port, "/a", method="POST", body="{}", headers=headers)
    assert (result.status_code, result.body) == (200, "POST /c")
    assert partner.bodies == ["{}", "{}", "{}"]
    assert [request.headers["Authorization"] for request in partner.requests] == ["Bearer own"] * 3
    assert result.redirects == [f"https://localhost:{partner.port}{path}" for path in ("/b?x=1", "/c")]
    assert "CN=mymtlsclientcert" in result.tls.client_subject
    assert len(partner.connections) == 1  # small bodies that nobody wants do not cost the connection


async def test_the_partners_own_https_url_is_the_same_origin(mid: Mid, authority: Authority, bcfks: Path) -> None:
    await mid.register(bcfks)
    found: ROUTES = {}
    async with Partner(authority.server_context(), serve=routes(found)) as partner:
        found["/a"] = (302, f"https://localhost:{partner.port}/b")
        result = await run(mid, authority, partner.port, "/a")
    assert result.body == "GET /b"
    assert partner.peers[-1]


async def test_nothing_that_identifies_us_goes_to_another_origin(
    mid: Mid, authority: Authority, bcfks: Path, tmp_path: Path
) -> None:
    await mid.register(bcfks)
    credentials = Credentials()
    credentials.replace([OpenedCredential("c1", "api_key", "the-key-itself", name="X-Api-Key")])
    runner = RestRunner(mid.registry, Host("mid-test", tmp_path, False), credentials=credentials)
    found: ROUTES = {}
    async with other(authority) as elsewhere, Partner(authority.server_context(), serve=routes(found)) as partner:
        found["/a"] = (302, f"https://localhost:{elsewhere.port}/b")
        probe = RestProbe(
            f"mauth://localhost:{partner.port}/a",
            ca_certificates=authority.pem,
            max_redirects=1,
            credential="c1",
            query=[("token", "in-the-query")],
            headers=[
                ("Authorization", "Basic eDp5"),
                ("Cookie", "session=1"),
                ("X-Secret", "s"),
                ("Accept", "text/plain"),
            ],
        )
        result = await runner.run(probe)
    assert result.body == "GET /b", result.failure
    assert partner.requests[0].headers["X-Api-Key"] == "the-key-itself"
    assert partner.peers[-1]
    assert not elsewhere.peers[-1]
    sent = elsewhere.requests[0].headers
    assert set(sent) == {"Host", "Accept", "User-Agent"}
    assert sent["Accept"] == "text/plain"
    assert elsewhere.requests[0].query_string == ""
    assert result.tls.client_subject == ""


async def test_coming_back_from_another_origin_brings_nothing_back(mid: Mid, authority: Authority, bcfks: Path) -> None:
    """Who was sent away by a stranger comes as a stranger."""
    await mid.register(bcfks)
    there: ROUTES = {}
    here: ROUTES = {}
    context = authority.server_context()
    context.verify_mode = ssl.CERT_OPTIONAL
    async with other(authority, there) as elsewhere, Partner(context, serve=routes(here)) as partner:
        here["/a"] = (302, f"https://localhost:{elsewhere.port}/b")
        there["/b"] = (302, f"https://localhost:{partner.port}/c")
        result = await run(mid, authority, partner.port, "/a", headers=[("Authorization", "Bearer own")])
    assert result.body == "GET /c", result.failure
    assert not partner.peers[-1]
    assert "Authorization" not in partner.requests[-1].headers


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("http://localhost:{port}/b", "http://"),
        ("mauth://localhost:{port}/b", "mauth://"),
        ("file:///etc/passwd", "file://"),
        ("https://user:pw@localhost:{port}/", "not a URL"),
        ("https://", "not a URL"),
        ("https://localhost:99999/", "not a URL"),
        ("https://[::1/", "not a URL"),
    ],
)
async def test_what_is_not_followed(mid: Mid, authority: Authority, bcfks: Path, location: str, words: str) -> None:
    await mid.register(bcfks)
    found: ROUTES = {}
    async with Partner(authority.server_context(), serve=routes(found)) as partner:
        found["/a"] = (302, location.format(port=partner.port))
        result = await run(mid, authority, partner.port, "/a")
    assert result.failure
    assert result.failure.code == "redirect_refused"
    assert words in result.failure.message
    assert "pw" not in result.failure.message


async def test_another_origin_is_called_only_where_the_egress_policy_allows_it(
    tmp_path: Path, authority: Authority, bcfks: Path
) -> None:
    found: ROUTES = {}
    async with other(authority) as elsewhere, Partner(authority.server_context(), serve=routes(found)) as partner:
        found["/a"] = (302, f"https://localhost:{elsewhere.port}/b")
        fenced = Mid(tmp_path / "agent", f'<allow host="127.0.0.1" port="{partner.port}"/>')
        await fenced.register(bcfks)
        result = await run(fenced, authority, partner.port, "/a")
        await fenced.registry.close()
    assert result.failure
    assert result.failure.code == "egress_denied"
    assert not elsewhere.requests


async def test_circles_are_noticed(mid: Mid, authority: Authority, bcfks: Path) -> None:
    await mid.register(bcfks)
    found: ROUTES = {"/a": (302, "/b"), "/b": (302, "/a")}
    async with Partner(authority.server_context(), serve=routes(found)) as partner:
        result = await run(mid, authority, partner.port, "/a")
    assert result.failure
    assert result.failure.code == "redirect_loop"
    assert len(partner.requests) == 2


async def test_only_so_many_are_followed(mid: Mid, authority: Authority, bcfks: Path) -> None:
    await mid.register(bcfks)
    found: ROUTES = {f"/{i}": (302, f"/{i + 1}") for i in range(9)}
    async with Partner(authority.server_context(), serve=routes(found)) as partner:
        result = await run(mid, authority, partner.port, "/0", max_redirects=3)
    assert result.failure
    assert result.failure.code == "too_many_redirects"
    assert "3 redirects" in result.failure.message
    assert len(partner.requests) == 4
    assert [URL(one).path for one in result.redirects] == ["/1", "/2", "/3"]


async def test_a_redirect_without_location_is_an_answer(mid: Mid, authority: Authority, bcfks: Path) -> None:
    await mid.register(bcfks)

    async def serve(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=302, text="nowhere")

    async with Partner(authority.server_context(), serve=serve) as partner:
        result = await run(mid, authority, partner.port, "/a")
    assert (result.status_code, result.body) == (302, "nowhere")


async def test_cookies_are_not_kept(mid: Mid, authority: Authority, bcfks: Path) -> None:
    await mid.register(bcfks)

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        headers = {"Set-Cookie": "session=1; Path=/", "Location": "/b"}
        return web.Response(status=302 if request.path == "/a" else 200, headers=headers)

    async with Partner(authority.server_context(), serve=serve) as partner:
        for _ in range(2):
            result = await run(mid, authority, partner.port, "/a")
            assert result.status_code == 200
    assert all("Cookie" not in request.headers for request in partner.requests)


def request(method: str) -> Request:
    headers = [("Content-Type", "text/plain"), ("SOAPAction", '"x"'), ("X-Own", "1")]
    return Request(method, "mauth", URL("https://a.example/x"), headers, b"body")


@pytest.mark.parametrize(
    ("method", "status", "after"),
    [
        ("POST", 301, "GET"),
        ("POST", 302, "GET"),
        ("POST", 303, "GET"),
        ("PUT", 301, "PUT"),
        ("PUT", 303, "GET"),
        ("DELETE", 302, "DELETE"),
        ("HEAD", 303, "HEAD"),
        ("POST", 307, "POST"),
        ("PATCH", 308, "PATCH"),
    ],
)
def test_methods_change_as_the_rfc_says(method: str, status: int, after: str) -> None:
    found = onward(request(method), status, "/y")
    assert (found.method, str(found.target)) == (after, "https://a.example/y")
    if after == "GET":
        assert (found.body, found.headers) == (None, [("X-Own", "1")])
    else:
        assert (found.body, len(found.headers)) == (b"body", 3)


@pytest.mark.parametrize(
    ("location", "target", "same"),
    [
        ("/y?q=1", "https://a.example/y?q=1", True),
        ("y", "https://a.example/y", True),
        ("//b.example/y", "https://b.example/y", False),
        ("https://A.example:443/y#part", "https://a.example/y", True),
        ("https://a.example:8443/y", "https://a.example:8443/y", False),
        ("https://b.a.example/y", "https://b.a.example/y", False),
        ("?q=1", "https://a.example/x?q=1", True),
        ("/a%2Fb%3A%7E?sig=%2Fa%3A%40%2B+%20&x=[1]", "https://a.example/a%2Fb%3A%7E?sig=%2Fa%3A%40%2B+%20&x=[1]", True),
        ("https://B.example/%40?s=%3F%2F", "https://b.example/%40?s=%3F%2F", False),
        ("/a b|\u00e9%?q=a b", "https://a.example/a%20b%7C%C3%A9%25?q=a%20b", True),
        ("../z/./y", "https://a.example/z/y", True),
        ("https://b.example", "https://b.example/", False),
        ("https://b\u00fc.example/x", "https://xn--b-eha.example/x", False),
        ("https://[::1]:8443/x", "https://[::1]:8443/x", False),
    ],
)
def test_where_a_location_leads(location: str, target: str, same: bool) -> None:
    found = onward(request("GET"), 302, location)
    assert str(found.target) == target
    assert found.authorised is same
    assert found.protocol == ("mauth" if same else "https")


@pytest.mark.parametrize(
    "location",
    ["/\udcff", "https://\udcff/", "https:b/c", "https:///x", "https://a.example@b.example/", "mauth:/x", "mailto:a@b"],
)
def test_where_no_location_leads(location: str) -> None:
    with pytest.raises(CallError, match="not a URL"):
        onward(request("GET"), 302, location)


def test_a_partner_never_chooses_a_profile() -> None:
    with pytest.raises(CallError, match="only https"):
        onward(request("GET"), 302, "other://a.example/")
