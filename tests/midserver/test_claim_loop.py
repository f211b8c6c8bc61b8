"""What the loops do with answers that only a test can bring about at the right moment."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from openmid.midserver.delivery import Delivery
from openmid.midserver.errors import InstanceRefused
from openmid.midserver.journal import Journal
from openmid.midserver.trouble import Trouble
from openmid.wire.messages import JobResult, ResultsAnswer, ResultsRequest
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


async def test_a_refusal_that_is_refused_ends(tmp_path: Path) -> None:
    async def call(*_: object) -> ResultsAnswer:
        raise InstanceRefused("not understood", code="bad_message", status=400)

    assert (await delivered(tmp_path, call, *results("one"))).undelivered_bytes == 0
