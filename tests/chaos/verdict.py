"""What must be true in the end, whatever happened."""

from __future__ import annotations

import http.client
import sqlite3
import time
from collections import Counter
from pathlib import Path

from openmid.instance.ecc.queue import MAX_ATTEMPTS
from tests.chaos.partner import CANARY
from tests.chaos.world import World

ENDED = {"Completed", "Error", "Cancelled"}
LEASE_SECONDS = 60 + 3
MOST_FILES, MOST_MB = 250, 400


def judge(world: World) -> tuple[list[str], Counter[str]]:
    """What is wrong (nothing, it is hoped), and how the executions ended."""
    states, problems = _ends(world)
    counted = Counter(tuple(line.split()) for line in world.counts.read_text().splitlines())
    calls: Counter[str] = Counter()
    for (_, path), number in counted.items():
        calls[path.rpartition("/")[2]] += number
    for name, (method, where) in world.client.accepted.items():
        most = 1 if method == "POST" else MAX_ATTEMPTS
        if calls[name] > most:
            problems.append(f"{method} {name} was called {calls[name]} times, {where}")
        if states.get(name) == "Completed" and not calls[name]:
            problems.append(f"{method} {name} is Completed, and was never called, {where}")
    problems += [f"refused: {each}" for each in world.client.refused]
    problems += [*_queue(world), *_leaks(world), *_secrets(world)]
    return problems, Counter(states.values())


def _ends(world: World) -> tuple[dict[str, str], list[str]]:
    """The state of each accepted execution, waited for as long as a lease may take."""
    deadline = time.monotonic() + LEASE_SECONDS * 2 + 30
    states: dict[str, str] = {}
    waiting = dict(world.client.accepted)
    while waiting and time.monotonic() < deadline:
        for name, (_, where) in list(waiting.items()):
            try:
                status, answer, _ = world.client.call("GET", where)
            except (OSError, http.client.HTTPException):
                break
            if status == 404:
                states[name] = "lost"
                del waiting[name]
            elif answer["state"] in ENDED:
                error = (answer["steps"][0].get("error") or {}) if answer["steps"] else {}
                states[name] = f"{answer['state']} {error.get('code', '')}".strip()
                del waiting[name]
        time.sleep(0.5 if waiting else 0)
    problems = [f"execution {where} of {name} has not ended" for name, (_, where) in waiting.items()]
    problems += [f"execution of {name} was accepted and is gone" for name, state in states.items() if state == "lost"]
    return states, problems


def _queue(world: World) -> list[str]:
    """Each job has one result at most, and none is left."""
    database = sqlite3.connect(f"file:{world.walk.instance / 'openmid.sqlite3'}?mode=ro", uri=True)
    try:
        twice = database.execute(
            "SELECT response_to, count(*) FROM ecc_queue WHERE queue = 'input' AND state = 'processed'"
            " GROUP BY response_to HAVING count(*) > 1"
        ).fetchall()
        left = database.execute(
            "SELECT count(*) FROM ecc_queue WHERE queue = 'output' AND state IN ('ready', 'processing')"
        ).fetchone()[0]
        damage = database.execute("PRAGMA integrity_check").fetchone()[0]
    finally:
        database.close()
    problems = [f"job {job} has {number} results" for job, number in twice]
    problems += [f"{left} jobs are left in the queue"] if left else []
    return problems + ([f"the database is damaged: {damage}"] if damage != "ok" else [])


def _leaks(world: World) -> list[str]:
    problems = []
    for name in ("instance", "mid"):
        pid = world.running[name].pid
        files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        memory = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / 1e6
        if files > MOST_FILES:
            problems.append(f"{name} has {files} files open")
        if memory > MOST_MB:
            problems.append(f"{name} holds {memory:.0f} MB")
    for folder in (world.walk.instance, world.walk.agent):
        problems += [f"left behind: {path}" for path in folder.rglob("*.tmp")]
    return problems


def _secrets(world: World) -> list[str]:
    """Secrets in clear on the disk; on the MID Server's, the partner's words too."""
    assert world.walk.certificates
    secrets = {"the keystore's password": world.walk.certificates.password, "the token": world.client.token}
    secrets["the administrator's password"] = world.walk.admin_password
    problems = []
    for folder in (world.walk.instance, world.walk.agent):
        here = secrets | ({"the partner's words": CANARY} if folder == world.walk.agent else {})
        for path in (each for each in folder.rglob("*") if each.is_file()):
            content = path.read_bytes()
            problems += [f"{what} in {path}" for what, value in here.items() if value.encode() in content]
    return problems
