"""Where the instance's and the MID Server's time goes: `python bench/hot.py [--json] [--seconds N] [--at-a-time N]`.

py-spy samples both while actions run (`pip install py-spy` anywhere on PATH). A share is of the samples in which a
process held a core, by the deepest frame that belongs to one of GROUPS. No ratios: this explains the others' figures.
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections import Counter
from pathlib import Path

import common
from common import Figures
from standing import standing

GROUPS = {  # part of a frame's file or function: what it is
    "ecc/writer.py": "the writer's own loop, and its commit",
    "records/sqlite.py": "SQLite: statements",
    "instance/guard.py": "clients that are slow",
    "uvicorn": "HTTP: uvicorn",
    "channel/router.py": "HTTP: the wing's router",
    "starlette": "Starlette",
    "details.py": "EXECUTION DETAILS",
    "msgspec": "JSON",
    "json/": "JSON",
    "sslproto.py": "TLS",
    "ssl.py": "TLS",
    "aiohttp": "aiohttp",
    "yarl": "aiohttp",
    "structlog": "logging",
    "logging/": "logging",
    "midserver/logs.py": "logging",
    "journal.py": "journal",
    "mid/selection.py": "selection",
    "actions/": "runner",
    "ecc/": "queue",
    "channel/": "channel",
    "access/": "sign-in",
    "django": "Django",
    "openmid/midserver/": "the MID Server's own code",
    "selectors.py": "waiting for sockets",
    "asyncio": "asyncio",
}


def main() -> None:
    given = common.arguments(__doc__, seconds=10, at_a_time=32)
    spy = common.program("py-spy", "pip install py-spy")
    with common.folder() as folder, standing(folder) as ours, contextlib.ExitStack() as stack:
        load = ours.load(stack)
        rate = _rate(load.round(200, given.at_a_time))
        pids = {name: pid for name, pid in ours.pids().items() if name != "nginx"}
        spies = [_spy(spy, pid, folder / f"{name}.raw", given.seconds) for name, pid in pids.items()]
        time.sleep(0.5)
        load.round(max(64, round(rate * (given.seconds - 1))), given.at_a_time)
        for each in spies:
            each.wait()
        found: Figures = {name: shares(folder / f"{name}.raw") for name in pids}
    found["jobs_per_second_before"] = round(rate)
    common.report(found, [row for name in pids for row in rows(name, found[name])], as_json=given.json)


def _rate(found: Figures) -> float:
    return len(found["latencies"]) / float(found["seconds"])


def _spy(spy: str, pid: int, output: Path, seconds: int) -> subprocess.Popen[bytes]:
    words = [spy, "record", "--pid", str(pid), "--format", "raw", "--rate", "200", "--duration", str(seconds)]
    return subprocess.Popen([*words, "--full-filenames", "--output", str(output)], stdout=-3, stderr=-3)


def shares(raw: Path) -> Figures:
    """Percent of the samples by group, and the functions with most of them."""
    groups: Counter[str] = Counter()
    own: Counter[str] = Counter()
    for line in raw.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        groups[_group(frames)] += int(count)
        own[_short(frames[-1])] += int(count)
    total = max(1, groups.total())
    percent = [{name: round(100 * n / total, 1) for name, n in each.most_common(16)} for each in (groups, own)]
    return {"groups": percent[0], "functions": percent[1], "samples": total}


def _group(frames: list[str]) -> str:
    for frame in reversed(frames):
        for part, name in GROUPS.items():
            if part in frame:
                return name
    return "other"


def _short(frame: str) -> str:
    function, _, place = frame.partition(" (")
    return f"{function} {'/'.join(place.rstrip(')').split('/')[-2:])}"


def rows(name: str, found: Figures) -> list[str]:
    """A table of one process."""
    made = [f"{name}: {found['samples']} samples"]
    for kind in ("groups", "functions"):
        made += [f"  {share:5.1f} %  {what}" for what, share in found[kind].items()]
        made.append("")
    return made


if __name__ == "__main__":
    main()
