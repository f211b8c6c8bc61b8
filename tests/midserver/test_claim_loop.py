"""What the loops do with answers that only a test can bring about at the right moment."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec import Raw

from openmid.midserver import claim_loop
from openmid.midserver.claim_loop import ClaimLoop
from openmid.midserver.delivery import Delivery
from openmid.midserver.errors import InstanceRefused, InstanceUnreachable
from openmid.midserver.fips_guard import FipsGuard
from openmid.midserver.journal import Journal
from openmid.midserver.retry import Backoff
from openmid.midserver.trouble import Trouble
from openmid.wire.messages import ClaimAnswer, ClaimRequest, Job, JobResult, Released, ResultsAnswer, ResultsRequest
from openmid.wire.probes import ProbeResult


def results(*bodies: str) -> list[JobResult]:
    return [JobResult(f"job{number}", "lease", ProbeResult(1, 200, body=body)) for number, body in enumerate(bodies)]


async def delivered(folder: Path, call: Any, *outcomes: JobResult) -> Journal:
    """Deliver these by `call`; the journal afterwards."""
    journal = Journal(folder, "ab" * 32, 1 << 20)
    for outcome in outcomes:
        journal.ended(outcome)
    delivery = Delivery(SimpleNamespace(call=call), journal, Trouble(lambda: None))  # type: ignore[arg-type]
    delivery.put(*outcomes)
    running = asyncio.create_task(delivery.run())
    await delivery.all_delivered()
    running.cancel()
    return journal


async def test_a_result_that_is_refused_takes_no_other_with_it_and_its_job_ends_with_the_reason(tmp_path: Path) -> None:
    taken: dict[str, str] = {}

    async def call(_: str, message: ResultsRequest, __: type[Any]) -> ResultsAnswer:
        if any(one.result.body == "x" * 100 for one in message.results):
            raise InstanceRefused("the body is too large", "send less", code="too_large", status=413)
        taken.update({one.sys_id: getattr(one.result.failure, "code", "") for one in message.results})
        return ResultsAnswer(list(taken))

    journal = await delivered(tmp_path, call, *results("", "x" * 100, ""))
    assert taken == {"job0": "", "job1": "result_refused", "job2": ""}
    assert journal.undelivered_bytes == 0


async def test_an_instance_that_takes_nothing_at_all_loses_nothing(tmp_path: Path) -> None:
    """A name that it does not answer to, a role that was taken away: an administrator mends that."""
    asked: list[ResultsRequest] = []

    async def call(_: str, message: ResultsRequest, __: type[Any]) -> ResultsAnswer:
        asked.append(message)
        if len(asked) == 1:
            raise InstanceRefused("the instance does not answer to this name", code="bad_host", status=400)
        return ResultsAnswer([one.sys_id for one in message.results])

    await delivered(tmp_path, call, *results("kept"))
    assert [one.result.body for one in asked[-1].results] == ["kept"]


async def test_a_result_that_ends_while_others_wait_is_written_through_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = results("", "")
    journal, sizes, asked = Journal(tmp_path, "ab" * 32, 1 << 20), list[int](), 0

    async def call(_: str, message: ResultsRequest, __: type[Any]) -> ResultsAnswer:
        nonlocal asked
        asked += 1
        if asked == 2:
            journal.ended(second)
            delivery.put(second)
        if asked < 4:
            raise InstanceUnreachable("the instance cannot be reached")
        return ResultsAnswer([one.sys_id for one in message.results])

    monkeypatch.setattr(Backoff, "next", lambda _: 0.0)
    monkeypatch.setattr(journal, "sync", lambda: sizes.append(journal.size_bytes))
    delivery = Delivery(SimpleNamespace(call=call), journal, Trouble(lambda: None))  # type: ignore[arg-type]
    journal.ended(first)
    delivery.put(first)
    running = asyncio.create_task(delivery.run())
    await asyncio.wait_for(delivery.all_delivered(), 20)
    running.cancel()
    assert sizes[0] < sizes[-1]


async def test_a_refusal_that_is_refused_ends(tmp_path: Path) -> None:
    async def call(*_: object) -> ResultsAnswer:
        raise InstanceRefused("not understood", code="bad_message", status=400)

    assert (await delivered(tmp_path, call, *results("one"))).undelivered_bytes == 0


class Instance:
    """A `Link` to an instance that gives one job under a configuration that it does not hand out (yet)."""

    def __init__(self) -> None:
        self.client = SimpleNamespace(call=self._call)
        self.guard = FipsGuard(None, None)
        self.validated, self.restart, self.news = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.validated.set()
        self.configuration = self.wanted_configuration = "1"
        self.paused = False
        self.trouble: Any = None
        self.load: Any = None
        self.answers: Any = None
        """What a claim is answered."""
        self.asked = asyncio.Event()
        self.released: list[Released] = []
        self.results: list[JobResult] = []

    async def _call(self, path: str, message: Any, _: type[Any], **__: object) -> Any:
        if path == "/claim":
            self.asked.set()
            return await self.answers(message)
        self.released += message.released
        self.results += message.results
        return ResultsAnswer([one.sys_id for one in message.results])

    async def configure(self) -> None:
        self.asked.set()
        raise InstanceUnreachable("the instance cannot be reached")

    async def beat(self, _: str = "Up") -> int:
        return 200

    async def look(self) -> None: ...

    def changed(self) -> None: ...

    def note_validated(self, _: bool) -> None: ...


JOB = Job("job", "lease", 90_000_000, Raw(b"{}"))


async def served(link: Instance, folder: Path, stop: asyncio.Event, begun: list[Job]) -> None:
    async def run(job: Job) -> JobResult:
        begun.append(job)
        return JobResult(job.sys_id, job.lease, ProbeResult(1, 200))

    await ClaimLoop(link, SimpleNamespace(run=run), Journal(folder, "ab" * 32, 1 << 20)).run(stop)  # type: ignore[arg-type]


async def once(_: ClaimRequest) -> ClaimAnswer:
    return ClaimAnswer("2", [JOB])


async def test_jobs_that_wait_for_their_configuration_when_a_stop_comes_are_given_back(tmp_path: Path) -> None:
    link, stop, begun = Instance(), asyncio.Event(), list[Job]()
    link.answers = once

    async def configure() -> None:
        stop.set()
        await asyncio.Event().wait()

    link.configure = configure  # type: ignore[method-assign]
    await asyncio.wait_for(served(link, tmp_path, stop, begun), 20)
    assert link.released == [Released("job", "lease", sent=False)]
    assert not begun


async def test_jobs_whose_claim_is_answered_while_it_stops_are_given_back(tmp_path: Path) -> None:
    """They were claimed: nobody else could have them before their lease is over, and what may have been sent is not
    sent again."""
    link, stop, begun = Instance(), asyncio.Event(), list[Job]()

    async def late(_: ClaimRequest) -> ClaimAnswer:
        stop.set()
        await asyncio.sleep(0.02)
        return ClaimAnswer("1", [JOB])

    link.answers = late
    await asyncio.wait_for(served(link, tmp_path, stop, begun), 20)
    assert link.released == [Released("job", "lease", sent=False)]
    assert not begun


async def test_jobs_whose_configuration_does_not_come_are_given_back_while_their_lease_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim_loop, "CONFIGURATION_SECONDS", 0.1)
    link, stop, begun = Instance(), asyncio.Event(), list[Job]()
    link.answers = once
    serving = asyncio.create_task(served(link, tmp_path, stop, begun))
    async with asyncio.timeout(20):
        while not link.released:
            await asyncio.sleep(0.01)
        stop.set()
        await serving
    assert link.released[0] == Released("job", "lease", sent=False)
    assert not begun


async def test_an_instance_that_is_away_is_asked_less_and_less_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link, stop, waits, sleep = Instance(), asyncio.Event(), list[float](), asyncio.sleep

    async def away(_: ClaimRequest) -> ClaimAnswer:
        raise InstanceUnreachable("the instance cannot be reached")

    async def slept(seconds: float) -> None:
        if seconds >= 0.5:
            waits.append(seconds)
            stop.set() if len(waits) == 5 else None
        await sleep(0)

    link.answers = away
    monkeypatch.setattr(asyncio, "sleep", slept)
    await asyncio.wait_for(served(link, tmp_path, stop, []), 20)
    assert all(first <= wait <= 2 * first for first, wait in zip((0.5, 1.0, 2.0, 2.5, 2.5), waits, strict=False))
