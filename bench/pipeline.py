"""End to end, ours against what a user would build: `python bench/pipeline.py [--json] [--rounds N] [--jobs N]`.

A job is: put on a queue, taken by a worker, one GET over mutual TLS, the result stored and given to whoever waits. Every
side calls the same nginx (client certificate demanded, 1 KB of JSON, connections kept); they take turns in one run.

ours     SQLite, synchronous=FULL: durable before it is accepted; FIPS Enforced Mode; bearer token, validation, records
batch    the same, eight executions in each request: at 32 at a time four of those are under way
celery   Celery + Redis + requests        } Redis without persistence: a loss of power loses everything, and what this
taskiq   taskiq + Redis + aiohttp         } favours is the peers
bullmq   BullMQ + undici on Node.js       }
direct   aiohttp alone: no queue, nothing stored

A ratio is our jobs/s by the peer's at 32 at a time, the median over the rounds; NAME_256 at 256, NAME_batch by our
batches. CPU a job is by process, with the load generator's (the program that waits for the results) apart.
`bench/peers/install` makes the peers.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import common
from common import Figures
from standing import Standing, clear_key, standing

from openmid.demo.partner import free_port

AT_A_TIME = (1, 32, 256)
MAIN = 32
CELERY_THREADS, THREADS = 32, 256
DIRECT, BATCH = "direct", "batch"


@dataclass(frozen=True)
class Runner:
    """One side: whom to ask for rounds, and whose CPU counts."""

    side: common.Side
    pids: dict[str, int]


@contextlib.contextmanager
def runners(folder: Path, chosen: list[str], threads: int) -> Iterator[dict[str, Runner]]:
    """Every side, running."""
    with contextlib.ExitStack() as stack:
        ours = stack.enter_context(standing(folder, threads))
        assert ours.walk.certificates
        clear_key(ours.walk.certificates)
        found = {"ours": Runner(ours.load(stack), ours.pids()), BATCH: Runner(ours.load(stack, BATCH), ours.pids())}
        found[DIRECT] = Runner(_direct(ours, stack), {"nginx": ours.nginx})
        peers = [name for name in chosen if name in PEERS]
        if peers:
            port = _redis(folder, stack)
            for name in peers:
                found[name] = _peer(name, ours, port, stack)
        yield found


def _direct(ours: Standing, stack: contextlib.ExitStack) -> common.Side:
    assert ours.walk.certificates
    made = ours.walk.certificates.ca.parent
    words = [DIRECT, ours.partner, made / "ca.pem", made / "client.pem", made / "client-clear.key"]
    return common.Side([sys.executable, common.HERE / "load.py", *words], stack)


def _redis(folder: Path, stack: contextlib.ExitStack) -> tuple[int, int]:
    """Port and pid of a Redis that keeps nothing."""
    port = free_port()
    words = [common.program("redis-server", "redis-server"), "--port", str(port), "--bind", "127.0.0.1"]
    words += ["--save", "", "--appendonly", "no", "--dir", str(folder)]
    found = stack.enter_context(common.process(words, folder / "redis.log"))
    return port, found.pid


PEERS = {
    "celery": (
        [
            "venv/bin/celery",
            "-A",
            "celery_peer",
            "worker",
            "--pool=threads",
            f"-c{CELERY_THREADS}",
            "--loglevel=warning",
        ],
        ["venv/bin/python", "celery_peer.py"],
    ),
    "taskiq": (
        ["venv/bin/taskiq", "worker", "--workers=1", f"--max-async-tasks={THREADS}", "taskiq_peer:broker"],
        ["venv/bin/python", "taskiq_peer.py"],
    ),
    "bullmq": (["node", "bullmq.mjs", "worker"], ["node", "bullmq.mjs", "client"]),
}


def _peer(name: str, ours: Standing, redis: tuple[int, int], stack: contextlib.ExitStack) -> Runner:
    assert ours.walk.certificates
    made = str(ours.walk.certificates.ca.parent)
    values = {"BENCH_REDIS": str(redis[0]), "BENCH_URL": ours.partner, "BENCH_FOLDER": made}
    environment = {**os.environ, **values, "PYTHONPATH": str(common.HERE / "peers"), "PYTHONWARNINGS": "ignore"}
    worker, client = ([_found(command[0]), *command[1:]] for command in PEERS[name])
    if name == "bullmq":
        node = [str(redis[0]), ours.partner, made, str(THREADS)]
        worker, client = [*worker, *node], [*client, *node]
        where = common.PEERS
    else:
        where = common.HERE / "peers"
    log = ours.walk.folder / f"{name}.log"
    running = stack.enter_context(common.process(worker, log, cwd=where, env=environment))
    side = common.Side(client, stack, cwd=where, env=environment)
    return Runner(side, {"worker": running.pid, "redis": redis[1], "nginx": ours.nginx})


def _found(name: str) -> str:
    if name == "node":
        return common.program("node", "nodejs")
    path = common.PEERS / name
    if not path.exists():
        sys.exit("the peers are not here: run bench/peers/install")
    return str(path)


@dataclass(frozen=True)
class Round:
    """Of one side, at one concurrency."""

    rate: float
    p50_ms: float
    p99_ms: float
    cpu_us: dict[str, float]


def one_round(runner: Runner, jobs: int, at_a_time: int) -> Round:
    """Jobs a second, latencies, and microseconds of CPU a job by process."""
    before = {name: common.cpu_seconds(pid) for name, pid in runner.pids.items()}
    found = runner.side.round(jobs, at_a_time)
    cpu = {name: common.cpu_seconds(pid) - before[name] for name, pid in runner.pids.items()}
    cpu["load_generator"] = found["cpu"]
    latencies = found["latencies"]
    return Round(
        len(latencies) / found["seconds"],
        median(latencies) * 1000,
        common.percentile(latencies, 0.99) * 1000,
        {name: seconds / len(latencies) * 1e6 for name, seconds in cpu.items()},
    )


def measure(found: dict[str, Runner], rounds: int, seconds: float) -> dict[str, dict[int, list[Round]]]:
    """All sides in turn, forwards and backwards. A round has about so many jobs as a side does in `seconds`."""
    sizes: dict[tuple[str, int], int] = {}
    for name, runner in found.items():
        for at_a_time in AT_A_TIME:  # warm, and see how many jobs a round may have
            one_round(runner, max(16, at_a_time * 2), at_a_time)
            warm = one_round(runner, max(24, at_a_time * 3), at_a_time)
            sizes[name, at_a_time] = max(at_a_time * 4, 32, round(warm.rate * seconds))
    taken: dict[str, dict[int, list[Round]]] = {name: {each: [] for each in AT_A_TIME} for name in found}
    for number in range(rounds):
        for at_a_time in AT_A_TIME:
            for name in found if number % 2 else reversed(found):
                taken[name][at_a_time].append(one_round(found[name], sizes[name, at_a_time], at_a_time))
    return taken


def summary(taken: dict[str, dict[int, list[Round]]], threads: int) -> Figures:
    """Medians, and what they are to each other."""
    sides = {name: {str(each): _medians(rounds) for each, rounds in by.items()} for name, by in taken.items()}
    ratios: Figures = {}
    for name in sides:
        if name in PEERS:
            ratios[name] = _ratio(taken["ours"][MAIN], taken[name][MAIN])
            ratios[f"{name}_256"] = _ratio(taken["ours"][256], taken[name][256])
            ratios[f"{name}_batch"] = _ratio(taken[BATCH][MAIN], taken[name][MAIN])
    pairs = zip(taken["ours"][1], taken[DIRECT][1], strict=True)
    ratios["direct_latency_ms"] = round(median(ours.p50_ms - direct.p50_ms for ours, direct in pairs), 2)
    limits = {"ours": threads, "taskiq": THREADS, "bullmq": THREADS, "celery": CELERY_THREADS}
    return {"ratios": ratios, "sides": sides, "calls_at_once_at_most": limits, "durability": DURABILITY}


def _ratio(ours: list[Round], peers: list[Round]) -> float:
    return round(median(one.rate / peer.rate for one, peer in zip(ours, peers, strict=True)), 2)


DURABILITY = {"ours": "SQLite WAL, synchronous=FULL", "peers": "Redis without persistence"}


def _medians(rounds: list[Round]) -> Figures:
    names = rounds[0].cpu_us
    return {
        "jobs_per_second": round(median(each.rate for each in rounds), 1),
        "p50_ms": round(median(each.p50_ms for each in rounds), 2),
        "p99_ms": round(median(each.p99_ms for each in rounds), 2),
        "cpu_us_per_job": {name: round(median(each.cpu_us[name] for each in rounds)) for name in names},
        "rounds": [round(each.rate, 1) for each in rounds],
    }


def rows(found: Figures) -> list[str]:
    """The table."""
    made = [f"{'':8}{'at a time':>10}{'jobs/s':>9}{'p50 ms':>9}{'p99 ms':>9}   CPU us a job"]
    for name, by in found["sides"].items():
        for at_a_time, each in by.items():
            cpu = ", ".join(f"{process} {value}" for process, value in each["cpu_us_per_job"].items())
            figures = f"{each['jobs_per_second']:>9.0f}{each['p50_ms']:>9.1f}{each['p99_ms']:>9.1f}"
            made.append(f"{name:8}{at_a_time:>10}{figures}   {cpu}")
    made.append("ours by the peer's jobs/s: " + ", ".join(f"{k} {v}" for k, v in found["ratios"].items()))
    return made


def main() -> None:
    given = common.arguments(__doc__, rounds=5, seconds=3, threads=THREADS)
    with common.folder() as folder, runners(folder, list(PEERS), given.threads) as found:
        figures = summary(measure(found, given.rounds, given.seconds), given.threads)
    common.report(figures, rows(figures), as_json=given.json)


if __name__ == "__main__":
    main()
