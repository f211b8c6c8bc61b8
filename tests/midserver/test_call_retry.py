"""When a call is made again: the decision by itself, and with a partner that counts."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from openmid.midserver.call_retry import Outcome, fits, retry_after_ms, wait_ms, wanted
from openmid.wire.messages import Job
from openmid.wire.probes import Failure, ProbeResult, RestProbe, RetryPolicy
from tests.midserver.conftest import Authority, Mid
from tests.midserver.partner import Partner, closed_port, talking_server


def probe(method: str = "GET", **policy: object) -> RestProbe:
    return RestProbe("https://a.example/", method=method, retry=RetryPolicy(count=3, **policy))  # type: ignore[arg-type]


def status(code: int, *headers: tuple[str, str]) -> ProbeResult:
    return ProbeResult(0, status_code=code, headers=list(headers))


def failure(code: str) -> ProbeResult:
    return ProbeResult(0, failure=Failure(code, ""))


@pytest.mark.parametrize(
    ("asked", "result", "sent", "again"),
    [
        (probe(), status(503), True, True),
        (probe(), status(429), True, True),
        (probe(), status(500), True, False),
        (probe(statuses=(500,)), status(500), True, True),
        (probe(statuses=()), status(503), True, False),
        (probe("PUT"), status(503), True, True),
        (probe("POST"), status(503), True, False),
        (probe("POST", any_method=True), status(503), True, True),
        (probe("POST"), failure("connection_refused"), False, True),
        (probe("POST"), failure("connection_lost"), True, False),
        (probe("delete"), failure("connection_lost"), True, True),
        (probe(), failure("answer_timeout"), True, True),
        (probe(), failure("server_untrusted"), False, False),
        (probe(failures=["server_untrusted"]), failure("server_untrusted"), False, True),
        (probe(failures=["server_untrusted"]), failure("connection_lost"), True, False),
    ],
)
def test_what_calls_for_another_attempt(asked: RestProbe, result: ProbeResult, sent: bool, again: bool) -> None:
    assert wanted(asked, Outcome(result, sent)) is again


def test_fixed_waits_the_same() -> None:
    assert [wait_ms(probe(kind="fixed", interval_ms=700), n, status(503)) for n in (1, 2, 9)] == [700] * 3


def test_exponential_doubles_less_up_to_a_half() -> None:
    asked = probe(interval_ms=100)
    assert [wait_ms(asked, n, status(503), lambda: 0.0) for n in (1, 2, 3)] == [100, 200, 400]
    assert [wait_ms(asked, n, status(503), lambda: 1.0) for n in (1, 2, 3)] == [50, 100, 200]
    assert wait_ms(asked, 500, status(503)) <= 24 * 60 * 60 * 1000


@pytest.mark.parametrize(
    ("headers", "asked"),
    [
        ({"retry-after": "7"}, 7000),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "9" * 40}, 24 * 60 * 60 * 1000),
        # A date counts by the partner's own clock.
        ({"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT", "date": "Fri, 31 Dec 1999 23:59:50 GMT"}, 9000),
        ({"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT"}, 0),
        ({"retry-after": "Friday, 31-Dec-99 23:59:59 GMT", "date": "Fri, 31 Dec 1999 23:59:58 GMT"}, 1000),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({}, None),
    ],
)
def test_retry_after(headers: dict[str, str], asked: int | None) -> None:
    assert retry_after_ms(headers) == asked


@given(st.one_of(st.text(), st.from_regex(r"[A-Za-z, ]*[0-9:\- ]{0,40}(GMT|[+-][0-9]{4,9})?")))
def test_any_retry_after_is_a_bounded_wait_or_none(value: str) -> None:
    asked = retry_after_ms({"retry-after": value, "date": value[::-1]})
    assert asked is None or 0 <= asked <= 24 * 60 * 60 * 1000


def test_retry_after_is_waited_or_else_the_interval() -> None:
    asked = probe(kind="retry_after", interval_ms=300)
    assert wait_ms(asked, 1, status(503, ("Retry-After", "2"))) == 2000
    assert wait_ms(asked, 1, status(503)) == 300
    assert wait_ms(asked, 1, failure("connection_refused")) == 300


@pytest.mark.parametrize(
    ("elapsed", "wait", "lease_ms", "begins"),
    [
        (0, 59_999, 0, True),
        (0, 60_001, 0, False),
        (50_000, 20_000, 0, False),
        (10_000, 10_000, 60_000, True),
        (20_000, 10_001, 60_000, False),  # 30 s of timeout would end behind the lease
    ],
)
def test_no_attempt_begins_that_may_outlast_its_time(elapsed: int, wait: int, lease_ms: int, begins: bool) -> None:
    job = Job("j", "l", lease_ms * 1000, Raw(b"{}"))
    assert fits(probe(), job, elapsed, wait) is begins


class Counting:
    """A partner that says each of `answers` in turn."""

    def __init__(self, *answers: web.Response) -> None:
        self._answers: Iterator[web.Response] = iter(answers)
        self.calls = 0

    async def __call__(self, _: web.BaseRequest) -> web.StreamResponse:
        self.calls += 1
        return next(self._answers)


def busy(**headers: str) -> web.Response:
    return web.Response(status=503, text="busy", headers=headers)


QUICK: dict[str, object] = {"kind": "fixed", "interval_ms": 1}


async def run(
    mid: Mid, authority: Authority, serve: Counting, method: str = "GET", job: Job | None = None, **policy: object
) -> ProbeResult:
    context = authority.server_context()
    context.verify_mode = ssl.CERT_NONE
    async with Partner(context, serve=serve) as partner:
        retry = RetryPolicy(**{"count": 3, **QUICK, **policy})  # type: ignore[arg-type]
        url = f"https://localhost:{partner.port}/"
        asked = RestProbe(url, method=method, ca_certificates=authority.pem, retry=retry, body="b")
        return await mid.runner.run(asked, job)


async def test_a_busy_partner_is_asked_again(mid: Mid, authority: Authority) -> None:
    serve = Counting(busy(), busy(), web.Response(text="at last"))
    result = await run(mid, authority, serve)
    assert (result.status_code, result.body, serve.calls) == (200, "at last", 3)
    assert [(one.status_code, one.failure, one.waited_ms) for one in result.attempts] == [(503, None, 1)] * 2
    assert result.attempts[0].started <= result.attempts[1].started <= result.started


async def test_the_last_answer_counts_when_none_is_better(mid: Mid, authority: Authority) -> None:
    serve = Counting(*[busy() for _ in range(9)])
    result = await run(mid, authority, serve)
    assert (result.status_code, result.body, serve.calls, len(result.attempts)) == (503, "busy", 4, 3)


async def test_a_post_that_was_sent_is_not_made_again(mid: Mid, authority: Authority) -> None:
    serve = Counting(busy(), web.Response())
    result = await run(mid, authority, serve, "POST")
    assert (result.status_code, serve.calls, result.attempts) == (503, 1, [])


async def test_a_post_is_where_the_step_says_so(mid: Mid, authority: Authority) -> None:
    serve = Counting(busy(), web.Response())
    assert (await run(mid, authority, serve, "POST", any_method=True)).status_code == 200


async def test_what_the_partner_asks_for_is_waited(mid: Mid, authority: Authority) -> None:
    serve = Counting(busy(**{"Retry-After": "1"}), web.Response())
    result = await run(mid, authority, serve, kind="retry_after", interval_ms=9000)
    assert (result.status_code, result.attempts[0].waited_ms) == (200, 1000)


async def test_more_than_the_policy_allows_is_not_waited(mid: Mid, authority: Authority) -> None:
    serve = Counting(busy(**{"Retry-After": "3600"}), web.Response())
    result = await run(mid, authority, serve, kind="retry_after")
    assert (result.status_code, serve.calls) == (503, 1)


async def test_nothing_goes_beyond_the_lease(mid: Mid, authority: Authority) -> None:
    serve = Counting(busy(), web.Response())
    result = await run(mid, authority, serve, job=Job("j", "l", 20_000_000, Raw(b"{}")))
    assert (result.status_code, serve.calls) == (503, 1)  # another attempt may take 30 s


async def test_a_post_that_did_not_get_there_is_made_again(mid: Mid, authority: Authority) -> None:
    with closed_port() as port:
        asked = RestProbe(f"https://localhost:{port}/", method="POST", retry=RetryPolicy(count=2, **QUICK))  # type: ignore[arg-type]
        result = await mid.runner.run(asked)
    assert result.failure
    assert result.failure.code == "connection_refused"
    assert [one.failure.code for one in result.attempts if one.failure] == ["connection_refused"] * 2


async def test_a_call_that_is_cancelled_while_it_waits_is_not_made_again(
    mid: Mid, authority: Authority, bcfks: Path
) -> None:
    serve = Counting(busy(), web.Response())
    context = authority.server_context()
    async with Partner(context, serve=serve) as partner:
        await mid.register(bcfks)
        policy = RetryPolicy(count=1, kind="fixed", interval_ms=50_000)
        asked = RestProbe(f"mauth://localhost:{partner.port}/", ca_certificates=authority.pem, retry=policy)
        task = asyncio.create_task(mid.runner.run(asked))
        while not serve.calls:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert serve.calls == 1


async def test_a_call_that_is_cancelled_under_way_lets_go_of_its_connection(
    mid: Mid, authority: Authority, bcfks: Path
) -> None:
    closed, reached = asyncio.Event(), asyncio.Event()

    async def talk(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        reached.set()
        await reader.read()
        closed.set()

    async with talking_server(talk, authority.server_context()) as port:
        await mid.register(bcfks)
        asked = RestProbe(f"mauth://localhost:{port}/", ca_certificates=authority.pem)
        task = asyncio.create_task(mid.runner.run(asked))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(closed.wait(), 20)
    client, _ = mid.registry.client("mauth")
    assert client._users == 0


@pytest.mark.parametrize("status", [302, 303, 307])
async def test_a_post_that_was_answered_by_a_redirect_to_nowhere_is_not_made_again(
    mid: Mid, authority: Authority, status: int
) -> None:
    """The last request did not leave this host, but one before it did."""
    with closed_port() as port:
        elsewhere = {"Location": f"https://localhost:{port}/receipt"}
        serve = Counting(*[web.Response(status=status, headers=elsewhere) for _ in range(4)])
        context = authority.server_context()
        context.verify_mode = ssl.CERT_NONE
        async with Partner(context, serve=serve) as partner:
            policy = RetryPolicy(count=3, kind="fixed", interval_ms=1)
            url = f"https://localhost:{partner.port}/order"
            asked = RestProbe(
                url, method="POST", ca_certificates=authority.pem, retry=policy, body="b", max_redirects=2
            )
            result = await mid.runner.run(asked)
    assert result.failure
    assert (result.failure.code, serve.calls) == ("connection_refused", 1)
