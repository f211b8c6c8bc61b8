"""A claim with many ready jobs against one with an empty queue: `python bench/backlog.py [--json] [--ready 100000]`.

On a freshly made instance's SQLite database, by the statements that the instance itself runs, in the queue's writer,
so with a commit each. The empty side has one job ready at each claim: a claim that finds nothing costs nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from statistics import median

import common

MID = "m" * 32


def main() -> None:
    given = common.arguments(__doc__, ready=100_000, claims=300)
    with common.folder() as folder:
        from openmid.demo import processes

        processes.openmid("instance", "init", str(folder / "instance"), "--json")
        os.environ["OPENMID_INSTANCE_DIR"] = str(folder / "instance")
        figures = _measure(given.ready, given.claims)
    rows = [f"{name}: p50 {value['p50_us']} us, p99 {value['p99_us']} us" for name, value in figures["sides"].items()]
    common.report(figures, [*rows, f"backlog by empty: {figures['ratios']['backlog']}"], as_json=given.json)


def _measure(ready: int, claims: int) -> common.Figures:
    import django

    os.environ["DJANGO_SETTINGS_MODULE"] = "openmid.instance.settings"
    django.setup()
    from openmid.instance.ecc import queue
    from openmid.instance.ecc.writer import close_writer, writer
    from openmid.instance.records.database import Connection
    from openmid.wire.probes import RestProbe

    probe = RestProbe("mauth://localhost:1/")

    def put(count: int) -> Callable[[Connection], None]:
        return lambda connection: (
            [queue.put(connection, probe, MID, "mid", "e", "bench") for _ in range(count)][:0] and None
        )

    def timed() -> float:
        began = time.perf_counter()
        assert len(writer().run(lambda connection: queue.claim(connection, MID, 1))) == 1
        return time.perf_counter() - began

    def once() -> float:
        writer().run(put(1))
        return timed()

    once()
    empty = [once() for _ in range(claims)]
    for _ in range(ready // 1000):
        writer().run(put(1000))
    full = [once() for _ in range(claims)]
    close_writer()
    sides = {"empty": empty, f"{ready} ready": full}
    return {
        "ratios": {"backlog": round(median(full) / median(empty), 2)},
        "sides": {
            name: {"p50_us": round(median(each) * 1e6), "p99_us": round(common.percentile(each, 0.99) * 1e6)}
            for name, each in sides.items()
        },
    }


if __name__ == "__main__":
    main()
