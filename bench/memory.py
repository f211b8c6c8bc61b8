"""The MID Server's memory, idle and after many calls: `python bench/memory.py [--json] [--calls 100000]`.

Resident memory, FIPS Enforced Mode. `growth_mb` is from the first tenth of the calls (pools and caches are filled by
then) to the last.
"""

from __future__ import annotations

import contextlib

import common
from standing import standing

AIM_MB = 80


def main() -> None:
    given = common.arguments(__doc__, calls=100_000, at_a_time=32)
    with common.folder() as folder, standing(folder) as ours, contextlib.ExitStack() as stack:
        pid, load = ours.mid(), ours.load(stack)
        idle, steps = common.memory_mb(pid), []
        for _ in range(10):
            load.round(given.calls // 10, given.at_a_time)
            steps.append(round(common.memory_mb(pid), 1))
    found = {
        "ratios": {"idle_by_aim": round(idle / AIM_MB, 2), "growth": round(steps[-1] / steps[0], 3)},
        "idle_mb": round(idle, 1),
        "after_mb": steps[-1],
        "growth_mb": round(steps[-1] - steps[0], 1),
        "each_tenth_mb": steps,
        "calls": given.calls,
    }
    rows = [f"idle {found['idle_mb']} MB, after {given.calls} calls {steps[-1]} MB; each tenth: {steps}"]
    common.report(found, rows, as_json=given.json)


if __name__ == "__main__":
    main()
