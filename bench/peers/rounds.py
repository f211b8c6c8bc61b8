"""The conversation of a side of bench/pipeline.py: `[count, at_a_time]` a line on stdin, one object a line on stdout:
seconds, latencies (seconds, one a job), cpu (seconds, this process: the load generator's)."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable


def serve(work: Callable[[int, int], list[float]]) -> None:
    """Rounds until stdin ends."""
    for line in sys.stdin:
        count, at_a_time = json.loads(line)
        began, cpu = time.perf_counter(), time.process_time()
        latencies = work(count, at_a_time)
        seconds, used = time.perf_counter() - began, time.process_time() - cpu
        print(json.dumps({"seconds": seconds, "latencies": latencies, "cpu": used}), flush=True)
