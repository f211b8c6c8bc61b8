"""What the loops do with answers that only a test can bring about at the right moment."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from openmid.midserver.claim_loop import ClaimLoop
from openmid.midserver.errors import InstanceRefused
from openmid.midserver.retry import Backoff
from openmid.wire.messages import JobResult, ResultsAnswer, ResultsRequest
from openmid.wire.probes import ProbeResult


async def test_a_result_that_is_refused_takes_no_other_with_it() -> None:
    taken: list[str] = []

    async def call(_: str, message: ResultsRequest, __: type[Any]) -> ResultsAnswer:
        if any(one.result.body == "x" * 100 for one in message.results):
            raise InstanceRefused("the body is too large", "send less", code="too_large", status=413)
        taken.extend(one.sys_id for one in message.results)
        return ResultsAnswer(taken)

    parts: Any = SimpleNamespace(client=SimpleNamespace(call=call))
    loop = ClaimLoop(parts, parts, parts, 1)
    bodies = {"one": "", "two": "x" * 100, "three": ""}
    results = [JobResult(name, "lease", ProbeResult(1, 200, body=body)) for name, body in bodies.items()]
    await loop._deliver_batch(results, Backoff())
    assert taken == ["one", "three"]
