"""What the benches share: the partner, the walk's instance and MID Server, CPU by process, medians, the report.

A bench is `python bench/NAME.py [--json]`; with --json it prints one object: `ratios`, the raw figures, `machine`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

Figures = dict[str, Any]
HERE = Path(__file__).parent
PEERS = HERE / ".peers"
ANSWER = json.dumps({"answer": "x" * (1024 - len('{"answer": ""}'))})
"""1 KB of JSON."""

NGINX = """\
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_rlimit_nofile 8192;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_requests 100000000;
    keepalive_timeout 600s;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} ssl backlog=4096;
        ssl_certificate {server};
        ssl_certificate_key {key};
        ssl_client_certificate {ca};
        ssl_verify_client on;
        ssl_protocols TLSv1.2 TLSv1.3;
        default_type application/json;
        location / {{ return 200 '{answer}'; }}
    }}
}}
"""


def arguments(doc: str | None, words: dict[str, str] | None = None, **numbers: int) -> argparse.Namespace:
    """--json, and an option for each of `words` and `numbers` with its default."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one object: ratios, raw figures, the machine")
    for name, default in numbers.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=default)
    for name, word in (words or {}).items():
        parser.add_argument(f"--{name}", default=word)
    return parser.parse_args()


def report(found: Figures, rows: Sequence[str], *, as_json: bool) -> None:
    """The object or the table, on stdout."""
    found["machine"] = machine()
    if as_json:
        print(json.dumps(found, indent=2))
        return
    print("\n".join(rows))
    print(", ".join(f"{key} {value}" for key, value in found["machine"].items()))


def machine() -> Figures:
    """What the figures hang on; the load is the last minute's, this bench included."""
    return {
        "cores": os.cpu_count(),
        "cpu": _cpu_name(),
        "load": round(os.getloadavg()[0], 1),
        "python": sys.version.split()[0],
    }


def _cpu_name() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def cpu_seconds(*roots: int) -> float:
    """User and system time of these processes, their threads and their children, the ended ones included."""
    return sum(sum(_stat(pid)[1]) for pid in {pid for root in roots for pid in tree(root)}) / os.sysconf("SC_CLK_TCK")


def tree(root: int) -> list[int]:
    """A process and all below it."""
    parents = {
        pid: _stat(pid)[0] for pid in (int(each.name) for each in Path("/proc").iterdir() if each.name.isdecimal())
    }
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def _stat(pid: int) -> tuple[int, tuple[int, int]]:
    """Parent, and user and system ticks with those of the children that were waited for."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0, (0, 0)
    return int(fields[1]), (int(fields[11]) + int(fields[13]), int(fields[12]) + int(fields[14]))


def memory_mb(pid: int) -> float:
    """Resident memory of a process, in MB of a million bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of `values` are not above."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A folder for the run. Not in memory: commits go to a disk."""
    with tempfile.TemporaryDirectory(prefix="openmid-bench-", dir=os.environ.get("BENCH_FOLDER")) as name:
        yield Path(name)


@contextlib.contextmanager
def process(command: Sequence[str | Path], log: Path, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends with the bench."""
    with log.open("ab") as output:
        found = subprocess.Popen(
            [*map(str, command)], stdin=subprocess.DEVNULL, stdout=output, stderr=output, **options
        )
    try:
        yield found
    finally:
        found.terminate()
        try:
            found.wait(20)
        except subprocess.TimeoutExpired:
            found.kill()
            found.wait()


def program(name: str, package: str) -> str:
    """The path of a program that a bench needs."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if found is None:
        sys.exit(f"{name} is needed (Debian package {package})")
    return found


class Side:
    """A process that runs rounds: `[count, at_a_time]` a line in, one object a line out (peers/rounds.py)."""

    def __init__(self, command: Sequence[str | Path], stack: contextlib.ExitStack, **options: Any) -> None:
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self._process = subprocess.Popen([*map(str, command)], **pipes, **options)
        stack.callback(self._process.communicate)

    def round(self, count: int, at_a_time: int) -> Figures:
        """seconds, latencies, cpu of the load generator."""
        assert self._process.stdin
        assert self._process.stdout
        print(json.dumps([count, at_a_time]), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            sys.exit(f"{self._process.args!r} ended")
        found: Figures = json.loads(line)
        return found


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 30) -> None:
    """Poll; ends the bench when it does not come."""
    import time

    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"{what} did not come within {seconds:.0f} s")
        time.sleep(0.05)
