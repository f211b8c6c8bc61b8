"""Claims jobs, runs them, delivers their results, and keeps the instance informed: until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable

import structlog

from openmid.midserver.errors import InstanceRefused, InstanceUnreachable
from openmid.midserver.link import Link
from openmid.midserver.protocol_registry import ProtocolRegistry
from openmid.midserver.retry import Backoff
from openmid.midserver.worker import Worker
from openmid.wire.messages import ClaimAnswer, ClaimRequest, Job, JobResult, ResultsAnswer, ResultsRequest
from openmid.wire.probes import ProbeResult

log = structlog.get_logger()

NOT_VALIDATED, UNKNOWN = "not_validated", "unknown_credential"
"""The instance's codes for refusals that an administrator may lift."""
HELD_MS = 20_000
HASTE_SECONDS = 0.2
DRAIN_SECONDS, DELIVER_SECONDS = 30.0, 10.0
MOST_RESULTS, MOST_BODY = 16, 8 * 1024 * 1024


class ClaimLoop:
    """`threads` jobs at once at most. Results that cannot be delivered wait here, and nothing new is claimed meanwhile."""

    def __init__(self, link: Link, registry: ProtocolRegistry, worker: Worker, threads: int) -> None:
        self._link = link
        self._registry = registry
        self._worker = worker
        self._threads = threads
        self._running: set[asyncio.Task[None]] = set()
        self._results: asyncio.Queue[JobResult] = asyncio.Queue()
        self._trouble: dict[str, str] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`; then finish what runs, deliver it, and return."""
        deliver = asyncio.create_task(self._deliver())
        others = [asyncio.create_task(self._claim()), asyncio.create_task(self._beat())]
        stopping = asyncio.create_task(stop.wait())
        try:
            done, _ = await asyncio.wait([deliver, *others, stopping], return_when=asyncio.FIRST_COMPLETED)
            await _cancel(*others)
            for task in done - {stopping}:
                task.result()  # a loop never ends by itself: this raises what ended it
            await self._drain()
        finally:
            await _cancel(deliver, stopping, *others, *self._running)

    async def _claim(self) -> None:
        backoff = Backoff()
        while True:
            await self._link.validated.wait()
            await self._link.guard.in_force.wait()
            free = self._threads - len(self._running) - self._results.qsize()
            if free <= 0:
                await self._wait_for_room()
                continue
            jobs: list[Job] = []
            with self._outcome("claim", backoff) as outcome:
                jobs = await self._claim_up_to(free)
            if outcome.failed:
                await asyncio.sleep(backoff.next())
            await self._configure_before(jobs)
            for job in jobs:
                self._start(job)

    async def _claim_up_to(self, limit: int) -> list[Job]:
        """One held request, with the configuration at hand."""
        await self._configure_if_needed()
        asked = asyncio.get_running_loop().time()
        answer = await self._link.client.call(
            "/claim", ClaimRequest(limit=limit, wait_ms=HELD_MS), ClaimAnswer, held_ms=HELD_MS
        )
        self._link.wanted_configuration = answer.configuration
        hasty = asyncio.get_running_loop().time() - asked < HASTE_SECONDS
        if hasty and not answer.jobs and answer.configuration == self._link.configuration:
            await asyncio.sleep(HASTE_SECONDS)  # an instance that does not hold requests, or is about to stop
        return answer.jobs

    async def _configure_if_needed(self) -> None:
        if self._link.configuration != self._link.wanted_configuration or not self._link.configuration:
            await self._link.configure()

    async def _configure_before(self, jobs: list[Job]) -> None:
        """Jobs run under the configuration that they were claimed with."""
        backoff = Backoff()
        while jobs and self._link.configuration != self._link.wanted_configuration:
            with self._outcome("configuration", backoff) as outcome:
                await self._link.configure()
            if outcome.failed:
                await asyncio.sleep(backoff.next())

    def _start(self, job: Job) -> None:
        if not self._link.guard.in_force.is_set():  # lost while the instance held the claim
            refused = ProbeResult(time.time_ns() // 1000, failure=self._link.guard.refusal())
            self._results.put_nowait(JobResult(job.sys_id, job.lease, refused))
            return
        task = asyncio.create_task(self._work(job))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _work(self, job: Job) -> None:
        self._results.put_nowait(await self._worker.run(job))

    async def _wait_for_room(self) -> None:
        if self._running:
            await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
        else:
            await self._results.join()

    async def _deliver(self) -> None:
        backoff = Backoff(longest=10.0)
        while True:
            batch = [await self._results.get()]
            size = len(batch[0].result.body)
            while not self._results.empty() and len(batch) < MOST_RESULTS and size < MOST_BODY:
                batch.append(self._results.get_nowait())
                size += len(batch[-1].result.body)
            await self._deliver_batch(batch, backoff)
            for _ in batch:
                self._results.task_done()

    async def _deliver_batch(self, batch: list[JobResult], backoff: Backoff) -> None:
        while True:
            with self._outcome("results", backoff) as outcome:
                answer = await self._link.client.call("/results", ResultsRequest(batch), ResultsAnswer)
                for late in answer.late:
                    log.warning("a result came too late: another attempt has taken the job over", job=late)
                return
            if outcome.final:
                await self._part(batch, backoff)
                return
            await asyncio.sleep(backoff.next())

    async def _part(self, batch: list[JobResult], backoff: Backoff) -> None:
        """One result that the instance will not take (too large, not understood) takes no other with it."""
        if len(batch) == 1:
            log.error("a result was refused and is given up", job=batch[0].sys_id)
            return
        for one in batch:
            await self._deliver_batch([one], backoff)

    async def _beat(self) -> None:
        backoff = Backoff(longest=5.0)
        while True:
            seconds = 0.0
            with self._outcome("heartbeat", backoff) as outcome:
                await self._link.look()
                seconds = await self._link.beat() / 1000
            await asyncio.sleep(backoff.next() if outcome.failed else seconds)

    async def _drain(self) -> None:
        """Finish and deliver, each within its time."""
        with contextlib.suppress(InstanceRefused, InstanceUnreachable):
            await self._link.beat("Draining")
        if self._running:
            log.info(f"draining: {len(self._running)} jobs run")
            await asyncio.wait(self._running, timeout=DRAIN_SECONDS)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._results.join(), DELIVER_SECONDS)

    def _outcome(self, what: str, backoff: Backoff) -> _Outcome:
        return _Outcome(self, what, backoff)

    def note(self, what: str, error: InstanceRefused | InstanceUnreachable | None) -> None:
        """Log a trouble with one kind of conversation once, and its end."""
        before = self._trouble.pop(what, "")
        if error is None:
            if before:
                log.info(f"the instance answers again ({what})")
        elif isinstance(error, InstanceRefused) and error.code == NOT_VALIDATED:
            self._link.note_validated(False)  # no surprise: an administrator took it back
        else:
            self._trouble[what] = str(error)
            if str(error) != before:
                log.warning(f"{what}: {error}; trying again", remedy=error.hint)


class _Outcome:
    """`with`: whether a conversation with the instance failed, and whether trying again is no use."""

    def __init__(self, loop: ClaimLoop, what: str, backoff: Backoff) -> None:
        self._loop = loop
        self._what = what
        self._backoff = backoff
        self.failed = False
        self.final = False

    def __enter__(self) -> _Outcome:
        return self

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> bool:
        if error is None:
            self._backoff.reset()
            self._loop.note(self._what, None)
            return False
        if not isinstance(error, InstanceRefused | InstanceUnreachable):
            return False
        self.failed = True
        self.final = isinstance(error, InstanceRefused) and error.code not in (NOT_VALIDATED, UNKNOWN)
        self._loop.note(self._what, error)
        return True


async def _cancel(*tasks: asyncio.Task[None] | asyncio.Task[bool]) -> None:
    for task in tasks:
        task.cancel()
    waiting: list[Awaitable[object]] = list(tasks)
    await asyncio.gather(*waiting, return_exceptions=True)
