"""`python -m tests.chaos [--kills N | --minutes N] [--seed N] [--faults kill,freeze,…] [--queued N] [--postgresql]`.

--kills N     rounds of `kill` until there were N, and a round of each other fault, then all of them mixed
--minutes N   the same over and over until the time is over, 20 kills a round
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.chaos.faults import FAULTS, KILLING, unavailable
from tests.chaos.verdict import CALL_SECONDS, judge, told
from tests.chaos.world import Wish, World, world

LEASE_SECONDS = 60
ROUND, STROKES = 250, 4
"""Kills in a round at most; strokes of another fault."""
FLOWING, FLOW_SECONDS = 0.8, 30
"""How many of the strokes come while calls flow, and how long they are waited for; the others hit whoever is starting."""
Round = tuple[str, int]


def plan(faults: list[str], kills: int, minutes: float) -> Iterator[Round]:
    """The rounds: a fault, and how many strokes of it. Endless where minutes count."""
    others: list[Round] = [(each, STROKES) for each in faults if each != "kill"]
    mixed: list[Round] = [("mixed", 3 * STROKES)] if len(faults) > 1 else []
    while True:
        left = (20 if minutes else kills) if "kill" in faults else 0
        waiting = list(others)
        while left or waiting:
            if left:
                yield "kill", min(left, ROUND)
                left -= min(left, ROUND)
            if waiting:
                yield waiting.pop(0)
        yield from mixed
        if not minutes:
            return


def storm(this: World, fault: str, strokes: int, until: float) -> None:
    """So many strokes, under calls; then the world is whole and quiet."""
    this.before = {}
    if fault not in KILLING:
        _warm(this)
    this.client.start()
    for number in range(strokes):
        if time.monotonic() > until:
            break
        this.up()
        if this.rng.random() < FLOWING:
            this.flowing(FLOW_SECONDS)
        time.sleep(this.rng.uniform(0, 1))
        FAULTS[this.rng.choice(this.faults) if fault == "mixed" else fault](this)
        if number % 50 == 49:
            this.log(f"{fault}: {number + 1} of {strokes}, {this.kills} kills, {len(this.client.accepted)} executions")
    this.up()
    this.settle()
    this.client.join()


def _warm(this: World) -> None:
    """A few calls, so that pools are filled; then what the processes hold is noted."""
    this.client.start()
    time.sleep(2)
    this.client.join()
    this.settle()
    this.before = this.held()


def queued(this: World, count: int) -> None:
    """A backlog of so many jobs, accepted while the MID Server is away."""
    this.log(f"{count} calls are queued")
    this.kill("mid")
    this.end("instance")
    command = [sys.executable, "-m", "tests.chaos.backlog", str(this.walk.instance), str(count)]
    for line in subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines():
        method, name, where = line.split()
        this.client.accepted[name] = (method, where)
    this.start("instance")
    this.start("mid")
    this.settle()


def run(wish: Wish, faults: list[str], kills: int, minutes: float, count: int) -> int:
    """Exit status 1 when something is wrong; says how to run it again."""
    until = time.monotonic() + (minutes * 60 or float("inf"))
    patience = (wish.lease or LEASE_SECONDS) * 2 + CALL_SECONDS * 3 + 30
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="openmid-chaos-") as name, world(Path(name), wish) as this:
        this.faults = faults
        if count:
            queued(this, count)
        for fault, strokes in plan(faults, kills, minutes):
            if time.monotonic() > until:
                break
            before = this.kills
            storm(this, fault, strokes, until)
            problems, ends = judge(this, patience)
            held = "; ".join(f"{name} {each}" for name, each in this.held().items())
            print(
                f"{fault}: {this.kills - before} kills, {this.kills} in all; executions {dict(ends)}; {held}",
                flush=True,
            )
            for problem in told(problems):
                print(f"WRONG: {problem}", flush=True)
            wrong += len(problems)
        print(f"seed {wish.seed}: {this.kills} kills, {len(this.client.accepted)} executions, {wrong} problems")
        if wrong:
            print(f"again: python -m tests.chaos --seed {wish.seed} --faults {','.join(faults)} --kills {this.kills}")
            _keep(this)
    return 1 if wrong else 0


def _keep(this: World) -> None:
    """The logs outlast the folder."""
    kept = Path(tempfile.mkdtemp(prefix="openmid-chaos-logs-"))
    for path in (*this.walk.folder.glob("*.log"), *(this.walk.agent / "logs").glob("*"), this.counts):
        (kept / path.name).write_bytes(path.read_bytes())
    print(f"logs: {kept}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=0)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--faults", default="", help=f"of {', '.join(FAULTS)}; all of them")
    parser.add_argument(
        "--queued", type=int, default=0, help="calls that wait before the first fault, 100000 for example"
    )
    parser.add_argument("--lease", type=float, default=0, help="seconds of a lease instead of the product's")
    parser.add_argument(
        "--postgresql", action="store_true", help="the records are in PostgreSQL, which is restarted too"
    )
    parser.add_argument("--without-fips", action="store_true")
    given = parser.parse_args()
    faults = given.faults.split(",") if given.faults else list(FAULTS)
    if "database" in faults and not given.postgresql:
        faults.remove("database")
    if unknown := set(faults) - set(FAULTS):
        parser.error(f"there is no fault {', '.join(sorted(unknown))}: {', '.join(FAULTS)}")
    for each, reason in [(each, unavailable(each)) for each in faults]:
        if reason:
            print(f"left out: {each}: {reason}", file=sys.stderr)
            faults.remove(each)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what it has started ends with it
    fips, lease = not given.without_fips, given.lease
    wish = Wish(given.seed, fips, "network" in faults, "full" in faults, given.postgresql, lease)
    return run(wish, faults, given.kills, given.minutes, given.queued)


if __name__ == "__main__":
    sys.exit(main())
