"""`python -m tests.chaos [--kills N | --minutes N] [--seed N] [--faults kill,freeze,…] [--without-fips]`."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.chaos.faults import FAULTS, unavailable
from tests.chaos.verdict import judge
from tests.chaos.world import World, world


def storm(this: World, faults: list[str], kills: int, seconds: float) -> Counter[str]:
    """Faults one after the other until there were so many kills, or so much time has gone; then the world is whole."""
    done: Counter[str] = Counter()
    this.client.start()
    until = time.monotonic() + seconds
    while this.kills < kills and time.monotonic() < until:
        time.sleep(this.rng.uniform(0.2, 2))
        fault = this.rng.choice(faults)
        FAULTS[fault](this)
        done[fault] += 1
        this.up()
    this.client.join()
    this.up()
    while not this.settled():
        time.sleep(0.2)
        this.up()
    return done


def run(seed: int, faults: list[str], kills: int, seconds: float, *, fips: bool) -> int:
    """Exit status 1 when something is wrong; says how to run it again."""
    with tempfile.TemporaryDirectory(prefix="openmid-chaos-") as name, world(Path(name), seed, fips=fips) as this:
        done = storm(this, faults, kills, seconds)
        problems, ends = judge(this)
        print(f"seed {seed}: {this.kills} kills; {dict(done)}; {len(this.client.accepted)} executions: {dict(ends)}")
        for problem in problems:
            print(f"WRONG: {problem}")
        if problems:
            again = f"--seed {seed} --faults {','.join(faults)}"
            print(f"again: python -m tests.chaos {again} --kills {this.kills}")
    return 1 if problems else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=0)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--faults", default="")
    parser.add_argument("--without-fips", action="store_true")
    given = parser.parse_args()
    faults = given.faults.split(",") if given.faults else list(FAULTS)
    for each in [each for each in faults if unavailable(each)]:
        print(f"left out: {each}, there is no {unavailable(each)}", file=sys.stderr)
        faults.remove(each)
    seconds = given.minutes * 60 if given.minutes else float("inf")
    kills = given.kills or (10**9 if given.minutes else 20)
    return run(given.seed, faults, kills, seconds, fips=not given.without_fips)


if __name__ == "__main__":
    sys.exit(main())
