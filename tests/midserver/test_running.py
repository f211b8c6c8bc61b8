"""Calls that run, where the instance says something of them at an unlucky moment."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import Raw

from openmid.midserver.fips_guard import FipsGuard
from openmid.midserver.journal import Journal
from openmid.midserver.running import Limits, Running
from openmid.wire.messages import Job, JobResult, Released
from openmid.wire.probes import ProbeResult


def job(lease: str = "one") -> Job:
    return Job("job", lease, 0, Raw(b"{}"))


class Worker:
    """Answers a job when its lease's event is set."""

    def __init__(self) -> None:
        self.may_end = {"one": asyncio.Event(), "two": asyncio.Event()}

    async def run(self, job: Job) -> JobResult:
        await self.may_end[job.lease].wait()
        return JobResult(job.sys_id, job.lease, ProbeResult(1, 200, body="x" * 1000))


class Bench:
    def __init__(self, folder: Path) -> None:
        self.worker, self.delivered = Worker(), list[JobResult | Released]()
        self.journal = Journal(folder, "ab" * 32, 1 << 20)
        guard = FipsGuard(None, None)
        self.running = Running(self.worker, self.journal, guard, self.delivered.append, Limits())  # type: ignore[arg-type]

    async def until(self, count: int) -> None:
        async with asyncio.timeout(5):
            while len(self.delivered) < count:
                await asyncio.sleep(0)
        await asyncio.sleep(0)  # what follows a task's end


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.journal.close()


async def test_a_job_that_is_claimed_again_while_it_runs_costs_no_room_for_ever(bench: Bench) -> None:
    """Its lease was lost: the instance was away, or the call waited for a keystore."""
    bench.running.take([job("one")])
    await asyncio.sleep(0)
    bench.running.take([job("two")])
    for count, lease in enumerate(("one", "two"), 1):
        bench.worker.may_end[lease].set()
        await bench.until(count)
    assert [(one.sys_id, one.lease) for one in bench.delivered] == [("job", "one"), ("job", "two")]
    assert bench.running.room() == (25, 25, 25)
    bench.journal.delivered(["job", "job"])
    assert bench.journal.undelivered_bytes == 0


async def test_a_drain_ends_both(bench: Bench) -> None:
    bench.running.take([job("one")])
    await asyncio.sleep(0)
    bench.running.take([job("two")])
    await bench.running.finish(0)
    assert [one.lease for one in bench.delivered] == ["one", "two"]
    assert bench.running.room() == (25, 25, 25)


async def test_a_call_that_is_cancelled_before_its_first_step_has_an_outcome(bench: Bench) -> None:
    bench.running.take([job()])
    bench.running.cancel(["job"])
    await bench.until(1)
    (outcome,) = bench.delivered
    assert isinstance(outcome, JobResult)
    assert outcome.result.failure
    assert outcome.result.failure.code == "cancelled"
