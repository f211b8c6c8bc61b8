"""One call at a time, ours less the same call made directly by aiohttp: `python bench/latency.py [--json] [--calls N]`.

In turn, in one run; a POST that waits for the execution's end over a kept connection, against a GET over one.
"""

from __future__ import annotations

import contextlib
from statistics import median

import common
from pipeline import DIRECT, MAIN, runners


def main() -> None:
    given = common.arguments(__doc__, calls=200, rounds=7)
    taken: dict[str, list[float]] = {"ours": [], DIRECT: []}
    with contextlib.ExitStack() as stack:
        found = stack.enter_context(runners(stack.enter_context(common.folder()), [], MAIN))
        for number in range(given.rounds + 1):
            for name in taken:
                latencies = found[name].side.round(given.calls, 1)["latencies"]
                taken[name] += latencies if number else []  # the first is to get warm
    p50 = {name: median(each) * 1000 for name, each in taken.items()}
    p99 = {name: common.percentile(each, 0.99) * 1000 for name, each in taken.items()}
    less = p50["ours"] - p50[DIRECT]
    figures = {
        "ratios": {"direct_latency_ms": round(less, 2)},
        "p50_ms": {name: round(value, 2) for name, value in p50.items()},
        "p99_ms": {name: round(value, 2) for name, value in p99.items()},
    }
    rows = [f"{name:8} p50 {p50[name]:.2f} ms  p99 {p99[name]:.2f} ms" for name in p50]
    common.report(figures, [*rows, f"ours less direct: {less:.2f} ms"], as_json=given.json)


if __name__ == "__main__":
    main()
