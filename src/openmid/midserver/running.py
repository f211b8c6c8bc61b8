"""The calls that run: so many of each priority at once, each in the journal from its begin to its outcome."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import structlog

from openmid.midserver.fips_guard import FipsGuard
from openmid.midserver.journal import Journal, JournalFull
from openmid.midserver.worker import Worker
from openmid.wire.messages import Job, JobResult, Load, Released
from openmid.wire.probes import Failure, ProbeResult

log = structlog.get_logger()

CANCELLED = Failure(
    "cancelled",
    "the call was cancelled while it ran: the partner may have got the request",
    "look at the partner before you make the call again",
)


Attempt = tuple[str, str]
"""A job and its lease. One whose lease was lost may be claimed again while it runs here."""


@dataclass(frozen=True)
class Limits:
    """Calls at once at most: `threads.interactive.max`, `threads.expedited.max` and `threads.max` of config.xml."""

    interactive: int = 25
    expedited: int = 25
    standard: int = 25

    def __getitem__(self, priority: int) -> int:
        return (self.interactive, self.expedited, self.standard)[priority]


class Running:
    """Starts jobs, cancels them, and hands their outcomes to `deliver`."""

    def __init__(
        self,
        worker: Worker,
        journal: Journal,
        guard: FipsGuard,
        deliver: Callable[[JobResult | Released], None],
        limits: Limits,
    ) -> None:
        self._worker = worker
        self._journal = journal
        self._guard = guard
        self._deliver = deliver
        self._limits = limits
        self._tasks: dict[Attempt, asyncio.Task[None]] = {}
        self._busy = [0, 0, 0]
        self._cancelled: set[Attempt] = set()
        self._counts: Counter[str] = Counter()
        self.changed = asyncio.Event()
        """Set whenever a call or a claim has ended."""

    def room(self) -> tuple[int, int, int]:
        """How many calls of each priority may begin."""
        busy, limits = self._busy, self._limits
        return limits[0] - busy[0], limits[1] - busy[1], limits[2] - busy[2]

    def load(self, undelivered: int) -> Load:
        """For the heartbeat."""
        return Load(
            running=len(self._tasks),
            threads=self._limits.standard,
            undelivered=undelivered,
            done=self._counts["done"],
            failed=self._counts["failed"],
        )

    def take(self, jobs: list[Job]) -> None:
        """Begin jobs that were claimed; each ends in an outcome, or is given back.

        Raises:
            JournalFull: they were given back, and no more should be claimed for a while.
        """
        try:
            self._journal.taken(jobs)
        except JournalFull:
            for job in jobs:
                self._deliver(Released(job.sys_id, job.lease, sent=False))
            raise
        for job in jobs:
            self._start(job)

    def cancel(self, sys_ids: Iterable[str]) -> None:
        """Stop these calls; what is not running here is not this MID Server's to stop."""
        wanted = set(sys_ids)
        for attempt in [each for each in self._tasks if each[0] in wanted] if wanted else ():
            if attempt not in self._cancelled:
                log.info("the call is cancelled", job=attempt[0])
                self._cancelled.add(attempt)
                # Not at once: a task that has not begun would end without an outcome.
                asyncio.get_running_loop().call_soon(self._tasks[attempt].cancel)

    async def finish(self, seconds: float) -> None:
        """Wait for what runs; then give back what still does."""
        if self._tasks:
            log.info(f"draining: {len(self._tasks)} jobs run")
            await asyncio.wait(self._tasks.values(), timeout=seconds)
        left = list(self._tasks.values())
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def _start(self, job: Job) -> None:
        if not self._guard.in_force.is_set():  # lost while the instance held the claim
            refused = ProbeResult(time.time_ns() // 1000, failure=self._guard.refusal())
            self._end(JobResult(job.sys_id, job.lease, refused))
            return
        priority, attempt = min(max(job.priority, 0), 2), (job.sys_id, job.lease)
        self._busy[priority] += 1
        task = self._tasks[attempt] = asyncio.create_task(self._work(job))
        task.add_done_callback(lambda _: self._ended(attempt, priority))

    def _ended(self, attempt: Attempt, priority: int) -> None:
        del self._tasks[attempt]
        self._cancelled.discard(attempt)
        self._busy[priority] -= 1
        self.changed.set()

    async def _work(self, job: Job) -> None:
        began = time.time_ns() // 1000
        try:
            self._journal.begun(job.sys_id)
        except JournalFull as error:
            log.warning(f"a call was given back before it began: {error}", job=job.sys_id)
            self._deliver(Released(job.sys_id, job.lease, sent=False))
            return
        try:
            self._end(await self._worker.run(job))
        except asyncio.CancelledError:
            if (job.sys_id, job.lease) not in self._cancelled:  # a drain has no more time
                self._deliver(Released(job.sys_id, job.lease, sent=True))
                raise
            self._end(JobResult(job.sys_id, job.lease, ProbeResult(began, failure=CANCELLED)))

    def _end(self, outcome: JobResult) -> None:
        self._counts["failed" if outcome.result.failure else "done"] += 1
        try:
            self._journal.ended(outcome)
        except JournalFull as error:
            log.error(f"a result is in memory only: {error}", job=outcome.sys_id)  # noqa: TRY400
        self._deliver(outcome)
