"""Results on their way to the instance. What it has not taken stays here and in the journal, for as long as it takes."""

from __future__ import annotations

import asyncio

import structlog

from openmid.midserver.errors import InstanceRefused, InstanceUnreachable
from openmid.midserver.instance_client import InstanceClient
from openmid.midserver.journal import Journal
from openmid.midserver.retry import Backoff
from openmid.midserver.trouble import Trouble
from openmid.wire.messages import JobResult, Released, ResultsAnswer, ResultsRequest

log = structlog.get_logger()

MOST_RESULTS, MOST_BODY = 32, 8 * 1024 * 1024


class Delivery:
    """A queue of results and of jobs that are given back, and the one task that delivers them."""

    def __init__(self, client: InstanceClient, journal: Journal, trouble: Trouble) -> None:
        self._client = client
        self._journal = journal
        self._trouble = trouble
        self._waiting: asyncio.Queue[JobResult | Released] = asyncio.Queue()
        self.stuck = False
        """The instance did not take the last batch: nothing new should be begun."""

    @property
    def pending(self) -> int:
        """How many wait."""
        return self._waiting.qsize()

    def put(self, *outcomes: JobResult | Released) -> None:
        """Deliver these."""
        for outcome in outcomes:
            self._waiting.put_nowait(outcome)

    async def all_delivered(self) -> None:
        """Wait until nothing waits."""
        await self._waiting.join()

    async def run(self) -> None:
        """Deliver until cancelled."""
        backoff = Backoff(longest=10.0)
        while True:
            batch = [await self._waiting.get()]
            size = _size(batch[0])
            while not self._waiting.empty() and len(batch) < MOST_RESULTS and size < MOST_BODY:
                batch.append(self._waiting.get_nowait())
                size += _size(batch[-1])
            await self._deliver(batch, backoff)
            for _ in batch:
                self._waiting.task_done()

    async def _deliver(self, batch: list[JobResult | Released], backoff: Backoff) -> None:
        while True:
            try:
                await self._send(batch)
            except (InstanceRefused, InstanceUnreachable) as error:
                if self._trouble.note("results", error):
                    await self._part(batch, backoff)
                    return
                await self._keep()
                await asyncio.sleep(backoff.next())
            else:
                self.stuck = False
                backoff.reset()
                self._trouble.over("results")
                self._journal.delivered(one.sys_id for one in batch)
                return

    async def _send(self, batch: list[JobResult | Released]) -> None:
        message = ResultsRequest(
            [one for one in batch if isinstance(one, JobResult)], [one for one in batch if isinstance(one, Released)]
        )
        answer = await self._client.call("/results", message, ResultsAnswer)
        for late in answer.late:
            log.warning("a result came too late: another attempt has taken the job over", job=late)

    async def _keep(self) -> None:
        """Results that have to wait outlast a loss of power, too."""
        if not self.stuck:
            self.stuck = True
            try:
                await asyncio.to_thread(self._journal.sync)
            except OSError as error:
                log.error(f"the journal may not outlast a loss of power: {error.strerror}")  # noqa: TRY400

    async def _part(self, batch: list[JobResult | Released], backoff: Backoff) -> None:
        """One result that the instance will not take (too large, not understood) takes no other with it."""
        if len(batch) == 1:
            log.error("a result was refused and is given up", job=batch[0].sys_id)
            self._journal.delivered([batch[0].sys_id])
            return
        for one in batch:
            await self._deliver([one], backoff)


def _size(outcome: JobResult | Released) -> int:
    return len(outcome.result.body) if isinstance(outcome, JobResult) else 0
