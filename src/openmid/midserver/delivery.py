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
from openmid.wire.probes import Failure, ProbeResult

log = structlog.get_logger()

REFUSED = "result_refused"
MOST_RESULTS, MOST_BODY = 64, 8 * 1024 * 1024


class Delivery:
    """A queue of results and of jobs that are given back, and the one task that delivers them."""

    def __init__(self, client: InstanceClient, journal: Journal, trouble: Trouble) -> None:
        self._client = client
        self._journal = journal
        self._trouble = trouble
        self._waiting: asyncio.Queue[JobResult | Released] = asyncio.Queue()
        self._under_way = 0
        self.stuck = False
        """The instance did not take the last batch: nothing new should be begun."""

    @property
    def pending(self) -> int:
        """How many the instance does not have."""
        return self._waiting.qsize() + self._under_way

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
            self._under_way = len(batch)
            await self._deliver(batch, backoff)
            self._under_way = 0
            for _ in batch:
                self._waiting.task_done()

    async def _deliver(self, batch: list[JobResult | Released], backoff: Backoff) -> None:
        while True:
            try:
                await self._send(batch)
            except (InstanceRefused, InstanceUnreachable) as error:
                if self._trouble.note("results", error):
                    await self._part(batch, error, backoff)
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
        """Results that have to wait outlast a loss of power, too: also those of calls that have ended meanwhile."""
        self.stuck = True
        try:
            await asyncio.to_thread(self._journal.sync)
        except OSError as error:
            sentence = f"the journal may not outlast a loss of power: {error.strerror}"
            self._trouble.complain("sync", sentence, "look after the disk of agent/work")
        else:
            self._trouble.over("sync", "the journal is on the disk")

    async def _part(
        self, batch: list[JobResult | Released], error: InstanceRefused | InstanceUnreachable, backoff: Backoff
    ) -> None:
        """One result that the instance will not take (too large, not understood) takes no other with it: its job ends
        with the reason."""
        if len(batch) > 1:
            for one in batch:
                await self._deliver([one], backoff)
            return
        (one,) = batch
        log.error("a result was refused and is given up", job=one.sys_id)
        if isinstance(one, JobResult) and not _is_refusal(one):
            await self._deliver([_refusal(one, error)], backoff)
        else:
            self._journal.delivered([one.sys_id])


def _refusal(one: JobResult, error: Exception) -> JobResult:
    """What the instance gets instead."""
    sentence = f"the call was made, and the instance did not take its result: {error}"
    failure = Failure(REFUSED, sentence, "ask the partner what it did; update openmid on both sides")
    return JobResult(one.sys_id, one.lease, ProbeResult(one.result.started, failure=failure))


def _is_refusal(one: JobResult) -> bool:
    return one.result.failure is not None and one.result.failure.code == REFUSED


def _size(outcome: JobResult | Released) -> int:
    return len(outcome.result.body) if isinstance(outcome, JobResult) else 0
