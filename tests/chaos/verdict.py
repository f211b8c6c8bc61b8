"""What must be true once the world is whole again, whatever happened."""

from __future__ import annotations

import http.client
import re
import time
from collections import Counter, defaultdict
from pathlib import Path

from openmid.instance.ecc.queue import MAX_ATTEMPTS
from tests.chaos import client, partner
from tests.chaos.database import ENDS, LEFT, TWICE
from tests.chaos.measure import Held
from tests.chaos.world import World

ENDED = {"Completed", "Error", "Cancelled"}
CALL_SECONDS = 3
MOST_GETS = 2 * MAX_ATTEMPTS
"""exchange.py repeats a GET once, by itself, when a kept connection turns out to be closed (RFC 9110, section 9.2.2)."""

SHOWN = 10
MOST_FILES, MOST_MB = {"instance": 250, "mid": 200}, {"instance": 300, "mid": 200}
MORE_FILES, MORE_MB = 64, 50
"""What a process may come to hold in one round: pools of threads and connections fill up."""


def judge(world: World, patience: float) -> tuple[list[str], Counter[str]]:
    """What is wrong (nothing, it is hoped), and how the executions ended. Waits for their ends for as long as one of them
    comes within `patience` seconds."""
    problems = _ends(world, patience)
    states = world.outcomes
    calls: Counter[str] = Counter()
    for line in world.counts.read_text().splitlines():
        method, path = line.split()
        calls[path.rpartition("/")[2]] += 1
        if method == "nobody":
            problems.append(f"{path} was called without its password")
    for name, (method, where) in world.client.accepted.items():
        most = 1 if method == "POST" else MOST_GETS
        if calls[name] > most:
            problems.append(f"{method} {name} was called {calls[name]} times, {where}")
        if states.get(name) == "Completed" and not calls[name]:
            problems.append(f"{method} {name} is Completed, and was never called, {where}")
    problems += [*world.client.refused, *world.ended]
    problems += [*_queue(world), *_api(world), *_leaks(world), *_files(world), *_secrets(world)]
    return problems, Counter(states.values())


def told(problems: list[str]) -> list[str]:
    """The problems, a few of each kind: the rare ones are what must not be overlooked."""
    kinds: defaultdict[str, list[str]] = defaultdict(list)
    for each in problems:
        kinds[re.sub(r"[0-9a-f]{6,}|[0-9]+", "", each)].append(each)
    found: list[str] = []
    for alike in kinds.values():
        found += alike[:SHOWN] + ([f"{len(alike) - SHOWN} more like this"] if len(alike) > SHOWN else [])
    return found


def _ends(world: World, patience: float) -> list[str]:
    """Each accepted execution has one outcome, the one that it had before; there is none that nobody asked for."""
    deadline, fewest = time.monotonic() + patience, len(world.client.accepted) + 1
    problems: list[str] = []
    while True:
        rows = {row[1]: row for row in world.rows(ENDS)}
        waiting = [name for name in world.client.accepted if name in rows and rows[name][2] not in ENDED]
        if len(waiting) < fewest:  # a backlog that shrinks is no loss
            deadline, fewest = time.monotonic() + patience, len(waiting)
        if not waiting or time.monotonic() > deadline:
            break
        world.up()
        time.sleep(0.5)
    for name, (_, where) in world.client.accepted.items():
        if name not in rows:
            problems.append(f"execution {where} of {name} was accepted and is gone")
            continue
        sys_id, _, state, steps, error, results = rows[name]
        if where.rpartition("/")[2] != sys_id:
            problems.append(f"{name} was accepted as {where}, and is {sys_id}")
        if state not in ENDED:
            problems.append(f"execution {where} of {name} has not ended: {state}")
        elif steps != 1 or results > 1 or (state == "Completed" and results != 1):
            problems.append(f"execution {where} of {name}, {state}, has {steps} steps and {results} results")
        else:
            problems += _same(world, name, f"{state} {_code(error)}".strip())
    return problems + [
        f"{name} was never answered, and is an execution" for name in rows.keys() - world.client.accepted
    ]


def _same(world: World, name: str, outcome: str) -> list[str]:
    before = world.outcomes.setdefault(name, outcome)
    return [] if before == outcome else [f"{name} was {before}, and is {outcome} now"]


def _code(error: str) -> str:
    import json

    return str(json.loads(error)["code"]) if error else ""


def _queue(world: World) -> list[str]:
    """Each job has one result at most, and none is left."""
    problems = [f"job {job} has {number} results" for job, number in world.rows(TWICE)]
    left = world.rows(LEFT)[0][0]
    problems += [f"{left} jobs are left in the queue"] if left else []
    damage = world.damage()
    return problems + ([f"the database is damaged: {damage}"] if damage else [])


def _api(world: World) -> list[str]:
    """What the API says of some of them is what the database holds."""
    problems = []
    names = list(world.client.accepted)
    for name in world.rng.sample(names, min(20, len(names))):
        where, held = world.client.accepted[name][1], world.outcomes.get(name, "")
        try:
            status, answer, _ = world.client.call("GET", where)
        except (OSError, http.client.HTTPException) as error:
            problems.append(f"the instance does not answer {where}: {error!r}")
            continue
        said = answer.get("state") if status == 200 else status
        if held and said != held.split()[0]:
            problems.append(f"{where} is {held}, and the API says {said}")
    return problems


def _leaks(world: World) -> list[str]:
    problems = []
    for name, now in world.held().items():
        if now.files > MOST_FILES[name] or now.memory > MOST_MB[name]:
            problems.append(f"{name} holds {now}")
        before = world.before.get(name)
        if before and before.pid == now.pid and _grown(before, now):
            problems.append(f"{name} held {before} before the round, and {now} after it")
    return problems


def _grown(before: Held, now: Held) -> bool:
    return now.files > before.files + MORE_FILES or now.memory > before.memory + MORE_MB


def _files(world: World) -> list[str]:
    """Nothing lies about that was not there before the first fault, but what is meant to."""
    return [f"left behind: {path}" for path in sorted(world.files() - world.known_files)]


def _secrets(world: World) -> list[str]:
    """Secrets in clear on the disk; on the MID Server's, the partner's words and ours too."""
    assert world.walk.certificates
    secrets = {"the keystore's password": world.walk.certificates.password, "the token": world.client.token}
    secrets |= {"the administrator's password": world.walk.admin_password, "the credential": partner.PASSWORD}
    words = {"the partner's words": partner.CANARY, "our words": client.BODY}
    return [
        f"{what} in {path}"
        for path in _readable(world.walk.folder)
        for what, value in (secrets | (words if path.is_relative_to(world.walk.agent) else {})).items()
        if value.encode() in path.read_bytes()
    ]


def _readable(folder: Path) -> list[Path]:
    """Every file, but the partner's own."""
    return [each for each in folder.rglob("*") if each.is_file() and each.parent.name != "certificates"]
