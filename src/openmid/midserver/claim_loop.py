"""Claims jobs, has them run and delivered, and keeps the instance informed: until it is told to stop.

Each priority has room of its own, so there may be several claims at once, each for the priorities that no other asks for:
one as a rule, and another as soon as a priority that was full has room again. Where nothing has room a claim for no job is
held all the same: by it the instance says what to cancel.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable

import structlog

from openmid.midserver.delivery import Delivery
from openmid.midserver.errors import InstanceRefused, InstanceUnreachable
from openmid.midserver.journal import Journal, JournalFull
from openmid.midserver.link import Link
from openmid.midserver.retry import Backoff
from openmid.midserver.running import Limits, Running
from openmid.midserver.trouble import Trouble
from openmid.midserver.worker import Worker
from openmid.wire.messages import ClaimAnswer, ClaimRequest, Job, Load, Released

log = structlog.get_logger()

HELD_MS = 20_000
HASTE_SECONDS = 0.2
NEWS_SECONDS = 0.1
"""News of several profiles go with one heartbeat."""
LAST_SECONDS, DRAIN_SECONDS, DELIVER_SECONDS = 0.25, 30.0, 10.0
"""At the end: for a claim that is being answered, for calls that run, for results."""
CONFIGURATION_SECONDS = 30.0
"""How long jobs that were claimed wait for their configuration; a lease holds for a minute more than the call may take."""
DISK_SECONDS = 5.0
"""How long a journal that cannot be written is left alone."""
AGAIN = "jobs are taken again"
NOTHING = (0, 0, 0)
Priorities = frozenset[int]
ATTENDING: Priorities = frozenset()


class ClaimLoop:
    """The conversation with the instance, from the first claim to the last result."""

    def __init__(self, link: Link, worker: Worker, journal: Journal, limits: Limits | None = None) -> None:
        self._link = link
        self._journal = journal
        self._trouble = link.trouble = Trouble(lambda: link.note_validated(False))
        self.delivery = Delivery(link.client, journal, self._trouble)
        self.running = Running(worker, journal, link.guard, self.delivery.put, limits or Limits())
        self._claims: dict[Priorities, asyncio.Task[None]] = {}
        self._backoff = Backoff(longest=5.0)
        self._blocked_until = 0.0
        self._ending = False
        link.load = self.load

    def load(self) -> Load:
        """How busy it is."""
        return self.running.load(self.delivery.pending)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` or until the instance wants a restart; then finish what runs, deliver it, and return."""
        self.delivery.put(*self._journal.left.results, *self._journal.left.released)
        deliver = asyncio.create_task(self.delivery.run())
        others = [asyncio.create_task(self._claim()), asyncio.create_task(self._beat())]
        ends = [asyncio.create_task(stop.wait()), asyncio.create_task(self._link.restart.wait())]
        try:
            done, _ = await asyncio.wait([deliver, *others, *ends], return_when=asyncio.FIRST_COMPLETED)
            await _cancel(*others)
            await self._end_claims()
            for task in done - {*ends}:
                task.result()  # a loop never ends by itself: this raises what ended it
            await self._drain()
        finally:
            await _cancel(deliver, *ends, *others, *self._claims.values())
            self._journal.close()

    async def _claim(self) -> None:
        while True:
            await self._link.validated.wait()
            await self._link.guard.in_force.wait()
            self.running.changed.clear()
            for asked in [each for each, task in self._claims.items() if task.done()]:
                self._claims.pop(asked).result()
            room = self._room()
            wanted = frozenset(p for p in (0, 1, 2) if room[p] > 0) - self._asked()
            if wanted:
                self._begin_claim(wanted, room)
            elif not self._claims:
                self._begin_claim(ATTENDING, NOTHING)
            await self.running.changed.wait()

    def _asked(self) -> Priorities:
        """The priorities that a claim is out for."""
        return frozenset().union(*self._claims)

    def _room(self) -> tuple[int, int, int]:
        blocked = asyncio.get_running_loop().time() < self._blocked_until
        if self._journal.full:
            sentence = f"no jobs are taken: {self._journal.standing}"
            self._trouble.complain("limit", sentence, "see why the instance takes no results")
        else:
            self._trouble.over("limit", AGAIN)
        if blocked or self._link.paused or self.delivery.stuck or self._journal.full:
            return NOTHING
        return self.running.room()

    def _begin_claim(self, wanted: Priorities, room: tuple[int, int, int]) -> None:
        task = self._claims[wanted] = asyncio.create_task(self._claim_on(wanted, _of(wanted, room)))
        task.add_done_callback(lambda _: self.running.changed.set())

    async def _claim_on(self, wanted: Priorities, room: tuple[int, int, int]) -> None:
        """One held request after the other for as long as they bring jobs and each of these priorities has room: the next
        is on its way before the first job of the one before it has begun."""
        while await self._claim_once(room):
            room = self._room()
            may = self._link.validated.is_set() and self._link.guard.in_force.is_set()
            if not may or not all(room[each] for each in wanted):
                return
            room = _of(wanted, room)

    async def _claim_once(self, room: tuple[int, int, int]) -> bool:
        """One held request, with the configuration at hand; its jobs begin, what it cancels ends. Whether there were any."""
        try:
            await self._configure_if_needed()
            answer = await self._held(room)
        except (InstanceRefused, InstanceUnreachable) as error:
            self._trouble.note("claim", error)
            await asyncio.sleep(self._backoff.next())
            return False
        self._backoff.reset()
        self._trouble.over("claim")
        self._link.wanted_configuration = answer.configuration
        self.running.cancel(answer.cancel)
        return bool(answer.jobs) and await self._begun(answer.jobs)

    async def _begun(self, jobs: list[Job]) -> bool:
        """Begin jobs, each of them; or give them back, unsent. Whether they began."""
        try:
            ready = not self._ending and await self._configure_before_jobs()
        except BaseException:
            self._give_back(jobs)
            raise
        if ready:
            self._take(jobs)
        else:
            self._give_back(jobs)
        return ready

    def _give_back(self, jobs: list[Job]) -> None:
        self.delivery.put(*[Released(job.sys_id, job.lease, sent=False) for job in jobs])

    async def _end_claims(self) -> None:
        """A claim that is being answered brings jobs that nobody else can have before their lease is over: they are
        given back. One that is only held is given up."""
        self._ending = True
        claims = list(self._claims.values())
        if claims:
            await asyncio.wait(claims, timeout=LAST_SECONDS)
        await _cancel(*claims)

    async def _held(self, room: tuple[int, int, int]) -> ClaimAnswer:
        asked = asyncio.get_running_loop().time()
        message = ClaimRequest(sum(room), HELD_MS, room)
        answer = await self._link.client.call("/claim", message, ClaimAnswer, held_ms=HELD_MS)
        hasty = asyncio.get_running_loop().time() - asked < HASTE_SECONDS
        if hasty and not answer.jobs and answer.configuration == self._link.configuration:
            self.running.cancel(answer.cancel)
            await asyncio.sleep(HASTE_SECONDS)  # an instance that does not hold requests, or is about to stop
        return answer

    def _take(self, jobs: list[Job]) -> None:
        try:
            self.running.take(jobs)
        except JournalFull as error:
            self._blocked_until = asyncio.get_running_loop().time() + DISK_SECONDS
            self._trouble.complain("disk", f"no jobs are taken: {error}", "make room on the disk of agent/work")
        else:
            self._trouble.over("disk", AGAIN)

    async def _configure_if_needed(self) -> None:
        if self._link.configuration != self._link.wanted_configuration or not self._link.configuration:
            await self._link.configure()

    async def _configure_before_jobs(self) -> bool:
        """Jobs run under the configuration that they were claimed with. False where it does not come in time: a call that
        began late would go on when its lease is lost."""
        backoff, now = Backoff(), asyncio.get_running_loop().time
        until = now() + CONFIGURATION_SECONDS
        while self._link.configuration != self._link.wanted_configuration:
            if now() >= until:
                return False
            try:
                await self._link.configure()
                self._trouble.over("configuration")
            except (InstanceRefused, InstanceUnreachable) as error:
                self._trouble.note("configuration", error)
                await asyncio.sleep(backoff.next())
        return True

    async def _beat(self) -> None:
        backoff = Backoff(longest=5.0)
        while True:
            self._link.news.clear()
            await self._link.look()
            try:
                seconds = await self._link.beat() / 1000
            except (InstanceRefused, InstanceUnreachable) as error:
                self._trouble.note("heartbeat", error)
                await asyncio.sleep(backoff.next())
                continue
            backoff.reset()
            self._trouble.over("heartbeat")
            self._link.changed()
            self.running.changed.set()  # a pause may be over, or the disk have room again
            await asyncio.sleep(min(seconds, NEWS_SECONDS))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(
                    seconds - NEWS_SECONDS
                ):  # wait_for of Python 3.11 may swallow a cancellation
                    await self._link.news.wait()

    async def _drain(self) -> None:
        """Finish and deliver, each within its time. What the instance has not taken by then, the journal keeps."""
        with contextlib.suppress(InstanceRefused, InstanceUnreachable):
            await self._link.beat("Draining")
        await self.running.finish(DRAIN_SECONDS)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.delivery.all_delivered(), DELIVER_SECONDS)


def _of(wanted: Priorities, room: tuple[int, int, int]) -> tuple[int, int, int]:
    """The room of these priorities; none of others."""
    return (room[0] if 0 in wanted else 0, room[1] if 1 in wanted else 0, room[2] if 2 in wanted else 0)


async def _cancel(*tasks: asyncio.Task[None] | asyncio.Task[bool]) -> None:
    for task in tasks:
        task.cancel()
    waiting: list[Awaitable[object]] = list(tasks)
    await asyncio.gather(*waiting, return_exceptions=True)
