"""Credentials: what goes on the wire, where it goes, and where it never shows."""

from __future__ import annotations

import asyncio
import base64
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from aiohttp import web

from openmid.midserver import redact
from openmid.midserver.credentials import Credentials, OpenedCredential
from openmid.midserver.http import Host, RestRunner
from openmid.wire.codec import encode
from openmid.wire.probes import ProbeResult, RestProbe, RetryPolicy
from tests.midserver.conftest import Authority, Mid
from tests.midserver.partner import Partner, closed_port

SECRET = "canary-of-the-secret/ä+1"


class Bench:
    """A MID Server with credentials."""

    def __init__(self, mid: Mid, authority: Authority) -> None:
        self.mid = mid
        self.authority = authority
        self.credentials = Credentials()
        self.runner = RestRunner(
            mid.registry, Host("mid-test", Path("config.xml"), False), credentials=self.credentials
        )

    async def call(self, port: int, path: str = "/", **more: object) -> ProbeResult:
        more.setdefault("credential", "c1")
        url = f"https://localhost:{port}{path}"
        return await self.runner.run(RestProbe(url, ca_certificates=self.authority.pem, **more))  # type: ignore[arg-type]


@pytest.fixture
def bench(mid: Mid, authority: Authority) -> Bench:
    return Bench(mid, authority)


@asynccontextmanager
async def partner_with(
    authority: Authority, serve: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]] | None = None
) -> AsyncIterator[Partner]:
    context = authority.server_context()
    context.verify_mode = ssl.CERT_OPTIONAL
    async with Partner(context, serve=serve) as running:
        yield running


async def test_basic(bench: Bench, authority: Authority) -> None:
    bench.credentials.replace([OpenedCredential("c1", "basic", SECRET, user_name="jürgen")])
    async with partner_with(authority) as partner:
        result = await bench.call(partner.port, headers=[("authorization", "Bearer the user's own")])
    sent = partner.requests[0].headers
    assert result.status_code == 200
    assert base64.b64decode(sent["Authorization"].removeprefix("Basic ")).decode() == f"jürgen:{SECRET}"
    assert len(sent.getall("Authorization")) == 1
    assert redact.clean(sent["Authorization"]) == f"Basic {redact.MASK}"


async def test_an_api_key_in_a_header(bench: Bench, authority: Authority) -> None:
    bench.credentials.replace([OpenedCredential("c1", "api_key", "the-key-1", name="X-Api-Key")])
    async with partner_with(authority) as partner:
        await bench.call(partner.port)
    assert partner.requests[0].headers["X-Api-Key"] == "the-key-1"


async def test_an_api_key_in_the_query(bench: Bench, authority: Authority) -> None:
    bench.credentials.replace([OpenedCredential("c1", "api_key", SECRET, place="query", name="key")])
    async with partner_with(authority) as partner:
        await bench.call(partner.port, "/x?a=%2F", query=[("b", "2")])
        await bench.call(partner.port, "/y")
    assert partner.requests[0].raw_path.startswith("/x?a=%2F&b=2&key=canary-of-the-secret%2F%C3%A4%2B1")
    assert parse_qs(partner.requests[1].query_string, strict_parsing=False)
    assert partner.requests[1].query["key"] == SECRET


async def test_a_key_in_the_query_is_there_once(bench: Bench, authority: Authority) -> None:
    """nginx keeps the query when it redirects, and so comes the key back."""
    bench.credentials.replace([OpenedCredential("c1", "api_key", SECRET, place="query", name="the key")])

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/x":
            return web.Response(status=301, headers={"Location": f"/x/?{request.raw_path.partition('?')[2]}"})
        return web.Response(text=request.raw_path)

    async with partner_with(authority, serve) as partner:
        query = [("the key", "the user's own"), ("b", "2"), ("b", "")]
        result = await bench.call(partner.port, "/x", query=query, max_redirects=1)
    assert result.body == "/x/?b=2&b=&the%20key=canary-of-the-secret%2F%C3%A4%2B1"


@pytest.mark.parametrize("secret", [SECRET, "canary-of-the-secret!two+1", "canary-of-the-secret/$'()*,:;@? +"])
async def test_a_key_in_the_query_shows_in_no_failure_and_no_redirect(
    bench: Bench, authority: Authority, secret: str
) -> None:
    bench.credentials.replace([OpenedCredential("c1", "api_key", secret, place="query", name="key")])

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/lost" and request.transport:
            request.transport.abort()
        echo = request.raw_path.partition("?")[2]
        lower = re.sub("%..", lambda escape: escape[0].lower(), echo)  # as .NET writes it
        return web.Response(status=307, headers={"Location": f"/lost?echo={echo}&{lower}"})

    async with partner_with(authority, serve) as partner:
        result = await bench.call(partner.port, "/begin", max_redirects=2, method="POST")
    assert result.failure
    assert result.redirects
    assert "canary-of-the-secret" not in encode(result).decode()


@pytest.mark.parametrize(
    ("opened", "code"),
    [
        ([], "credential_unknown"),
        ([OpenedCredential("c1", "basic", "", problem="it was sealed for another")], "credential_unusable"),
        ([OpenedCredential("c1", "api_key", "k")], "credential_unusable"),
        ([OpenedCredential("c1", "api_key", "a\r\nHost: b", name="X")], "credential_unusable"),
        ([OpenedCredential("c1", "oauth", "s", token_url="none://x/")], "oauth_token_failed"),
    ],
    ids=["unknown", "sealed", "nameless", "line break", "no such protocol"],
)
async def test_without_its_credential_nothing_is_sent(
    bench: Bench, authority: Authority, opened: list[OpenedCredential], code: str
) -> None:
    bench.credentials.replace(opened)
    async with partner_with(authority) as partner:
        result = await bench.call(partner.port)
    assert result.failure
    assert result.failure.code == code
    assert not partner.requests


def test_a_repr_shows_no_secret() -> None:
    assert SECRET not in repr(OpenedCredential("c1", "basic", SECRET))


# OAuth


class TokenServer:
    """Gives out tokens, and takes the last one only."""

    def __init__(self, **answer: object) -> None:
        self.given = 0
        self.answer: dict[str, object] = {"token_type": "bearer", "expires_in": 3600, **answer}
        self.valid: set[str] = set()
        self.asked: list[web.BaseRequest] = []
        self.refuse = 0

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/token":
            self.asked.append(request)
            if self.refuse:
                body = {"error": "invalid_client", "error_description": "who\nare you?"}
                return web.json_response(body, status=self.refuse)
            self.given += 1
            token = f"token-number-{self.given}"
            self.valid = {f"Bearer {token}"}
            return web.json_response({"access_token": token, **self.answer})
        if request.headers.get("Authorization") not in self.valid:
            return web.Response(status=401, text="whose?")
        return web.Response(text="welcome")


def oauth(port: int, authority: Authority, protocol: str = "https") -> OpenedCredential:
    return OpenedCredential(
        "c1",
        "oauth",
        SECRET,
        user_name="client:1",
        token_url=f"{protocol}://localhost:{port}/token",
        scope="read write",
        ca_certificates=authority.pem,
    )


async def test_a_token_is_fetched_once_and_used_until_it_ends(bench: Bench, authority: Authority) -> None:
    serve = TokenServer()
    async with partner_with(authority, serve) as partner:
        bench.credentials.replace([oauth(partner.port, authority)])
        results = await asyncio.gather(*[bench.call(partner.port) for _ in range(5)])
    assert [result.body for result in results] == ["welcome"] * 5
    assert serve.given == 1
    asked = serve.asked[0]
    user = base64.b64decode(asked.headers["Authorization"].removeprefix("Basic ")).decode()
    assert user == "client%3A1:canary-of-the-secret%2F%C3%A4%2B1"
    assert partner.bodies[0] == "grant_type=client_credentials&scope=read+write"


async def test_the_token_endpoint_may_want_a_profiles_certificate(
    bench: Bench, authority: Authority, bcfks: Path
) -> None:
    await bench.mid.register(bcfks)
    serve = TokenServer()
    async with Partner(authority.server_context(), serve=serve) as strict, partner_with(authority, serve) as partner:
        bench.credentials.replace([oauth(strict.port, authority, "mauth")])
        result = await bench.call(partner.port)
    assert result.body == "welcome", result.failure
    assert strict.peers[0]
    assert not partner.peers[0]


@pytest.mark.parametrize("expires_in", [0, "0"])
async def test_a_token_that_has_ended_is_fetched_anew(bench: Bench, authority: Authority, expires_in: object) -> None:
    serve = TokenServer(expires_in=expires_in)
    async with partner_with(authority, serve) as partner:
        bench.credentials.replace([oauth(partner.port, authority)])
        assert [(await bench.call(partner.port)).status_code for _ in range(2)] == [200, 200]
    assert serve.given == 2


async def test_a_token_that_is_refused_is_fetched_anew_once(bench: Bench, authority: Authority) -> None:
    serve = TokenServer()
    async with partner_with(authority, serve) as partner:
        bench.credentials.replace([oauth(partner.port, authority)])
        await bench.call(partner.port)
        serve.valid = set()  # revoked
        result = await bench.call(partner.port, method="POST", body="once")
    assert (result.status_code, result.body, serve.given) == (200, "welcome", 2)


async def test_a_fresh_token_that_is_refused_is_the_partners_answer(bench: Bench, authority: Authority) -> None:
    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/token":
            return web.json_response({"access_token": "t", "token_type": "Bearer"})
        return web.Response(status=401, text="never")

    async with partner_with(authority, serve) as partner:
        bench.credentials.replace([oauth(partner.port, authority)])
        result = await bench.call(partner.port)
        assert (result.status_code, result.body) == (401, "never")
        assert len(partner.requests) == 2
        assert (await bench.call(partner.port)).status_code == 401
        assert [request.path for request in partner.requests[2:]] == ["/", "/token", "/"]


async def test_a_server_that_gives_no_token(bench: Bench, authority: Authority) -> None:
    serve = TokenServer()
    serve.refuse = 401
    async with partner_with(authority, serve) as partner:
        bench.credentials.replace([oauth(partner.port, authority)])
        result = await bench.call(partner.port)
    assert result.failure
    assert result.failure.code == "oauth_token_refused"
    assert f"localhost:{partner.port}/token gives no token: 401 invalid_client: who are you?" in result.failure.message
    assert "canary" not in encode(result).decode()


@pytest.mark.parametrize("status", [429, 503])
async def test_a_token_server_that_is_busy_has_refused_nothing(bench: Bench, authority: Authority, status: int) -> None:
    serve = TokenServer()
    serve.refuse = status

    async def recovering(request: web.BaseRequest) -> web.StreamResponse:
        answer = await serve(request)
        serve.refuse = 0
        return answer

    async with partner_with(authority, recovering) as partner:
        bench.credentials.replace([oauth(partner.port, authority)])
        policy = RetryPolicy(count=1, kind="fixed", interval_ms=1)
        result = await bench.call(partner.port, method="POST", retry=policy)
        assert result.status_code == 200, result.failure
        assert [request.path for request in partner.requests] == ["/token", "/token", "/"]
    (earlier,) = result.attempts
    assert earlier.failure
    assert earlier.failure.code == "oauth_token_failed"
    assert f"localhost:{partner.port}/token answered {status}" in earlier.failure.message


@pytest.mark.parametrize(
    "answer", [{"token_type": "mac"}, {"access_token": ""}, {"access_token": "a\r\nb"}, {"access_token": None}]
)
async def test_a_token_that_cannot_be_used(bench: Bench, authority: Authority, answer: dict[str, object]) -> None:
    async with partner_with(authority, TokenServer(**answer)) as partner:
        bench.credentials.replace([oauth(partner.port, authority)])
        result = await bench.call(partner.port)
    assert result.failure
    assert result.failure.code == "oauth_token_refused"


async def test_a_token_endpoint_that_is_not_there(bench: Bench, authority: Authority) -> None:
    async with partner_with(authority) as partner:
        with closed_port() as port:
            bench.credentials.replace([oauth(port, authority)])
            result = await bench.call(partner.port)
    assert result.failure
    assert result.failure.code == "oauth_token_failed"
    assert f"localhost:{port} refused the connection" in result.failure.message
    assert result.failure.remedy
    assert not partner.requests


async def test_calls_that_wait_for_one_token_do_not_wait_one_after_the_other(
    bench: Bench, authority: Authority
) -> None:
    """Each has its time, from its begin: beyond that its lease would be lost, and it would still go out."""
    never = asyncio.Event()

    async def serve(_: web.BaseRequest) -> web.StreamResponse:
        await never.wait()
        return web.Response()

    async with partner_with(authority, serve) as partner:
        bench.credentials.replace([oauth(partner.port, authority)])
        too_late = asyncio.get_running_loop().call_later(10, never.set)  # 20 s, one after the other
        results = await asyncio.gather(*[bench.call(partner.port, timeout_ms=2000) for _ in range(10)])
        assert not never.is_set()
        too_late.cancel()
        never.set()
    assert {result.failure and result.failure.code for result in results} == {"oauth_token_failed"}
    assert {request.path for request in partner.requests} == {"/token"}


async def test_a_credential_that_stays_the_same_keeps_its_token(bench: Bench, authority: Authority) -> None:
    serve = TokenServer()
    async with partner_with(authority, serve) as partner:
        for _ in range(2):
            bench.credentials.replace([oauth(partner.port, authority)])
            await bench.call(partner.port)
        assert serve.given == 1
        bench.credentials.replace([])
        assert (await bench.call(partner.port)).failure


# traceparent

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_the_trace_goes_to_the_partner(bench: Bench, authority: Authority) -> None:
    async with partner_with(authority) as partner:
        await bench.call(partner.port, credential="", traceparent=TRACE)
        await bench.call(partner.port, credential="", traceparent=TRACE, headers=[("Traceparent", "the user's own")])
        await bench.call(partner.port, credential="")
    assert [request.headers.getall("traceparent", []) for request in partner.requests] == [
        [TRACE],
        ["the user's own"],
        [],
    ]


async def test_framing_and_the_way_are_not_the_users_to_say(bench: Bench, authority: Authority) -> None:
    async with partner_with(authority) as partner:
        headers = [
            ("Content-Length", "99"),
            ("Transfer-Encoding", "chunked"),
            ("Connection", "close"),
            ("Expect", "100-continue"),
            ("Proxy-Authorization", "Basic x"),
            ("X-Own", "1"),
        ]
        result = await bench.call(partner.port, credential="", method="POST", body="four", headers=headers)
    sent = partner.requests[0].headers
    assert (result.status_code, partner.bodies) == (200, ["four"])
    assert sent["Content-Length"] == "4"
    assert {"Transfer-Encoding", "Connection", "Expect", "Proxy-Authorization"}.isdisjoint(sent)
    assert sent["X-Own"] == "1"
