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


async def test_a_result_that_is_refused_takes_no_other_with_it(tmp_path: Path) -> None:
    taken: list[str] = []

    async def call(_: str, message: ResultsRequest, __: type[Any]) -> ResultsAnswer:
        if any(one.result.body == "x" * 100 for one in message.results):
            raise InstanceRefused("the body is too large", "send less", code="too_large", status=413)
        taken.extend(one.sys_id for one in message.results)
        return ResultsAnswer(taken)

    client: Any = SimpleNamespace(call=call)
    delivery = Delivery(client, Journal(tmp_path, "ab" * 32, 1 << 20), Trouble(lambda: None))
    bodies = {"one": "", "two": "x" * 100, "three": ""}
    delivery.put(*[JobResult(name, "lease", ProbeResult(1, 200, body=body)) for name, body in bodies.items()])
    running = asyncio.create_task(delivery.run())
    await delivery.all_delivered()
    running.cancel()
    assert taken == ["one", "three"]
