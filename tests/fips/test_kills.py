"""The switch, killed with SIGKILL at the system calls that write (strace injects it): it leaves the old state or the new
one, and the next run or start puts back what was half done.

The normal suite takes a sample; OPENMID_EVERY_KILL=1 takes every such call of each process.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from openmid.fips.provider import Provider
from openmid.midserver import agent_key, fips_backup, fips_mode
from openmid.midserver.config import Config
from openmid.midserver.process import Lock
from tests import parts
from tests.fips.conftest import snapshot

EVERY = os.environ.get("OPENMID_EVERY_KILL") == "1"
CALLS = (
    "openat,creat,write,pwrite64,writev,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,rmdir,symlink,symlinkat,"
    "fsync,fdatasync,chmod,fchmod,fchmodat,ftruncate,truncate,link,linkat,sendfile,copy_file_range,utimensat"
)
# `material`: the process that makes keys and truststore; the switch itself is left alive, and must put everything back.
CODE = """
import subprocess, sys
from pathlib import Path
from openmid.midserver import fips_mode
real = subprocess.run
def run(words, **given):
    return real([*sys.argv[3:], *words] if "openmid.midserver.fips_material" in words else words, **given)
subprocess.run = run
try:
    fips_mode.switch_on(Path(sys.argv[1]), Path(sys.argv[2]))
except fips_mode.SwitchError as error:
    sys.exit(str(error))
"""
BEFORE_CONFIG = """
import os, sys
from pathlib import Path
from openmid.midserver import config, fips_mode
config.Config.save = lambda self: os.kill(os.getpid(), 9)
fips_mode.switch_on(Path(sys.argv[1]), Path(sys.argv[2]))
"""


@dataclass(frozen=True)
class Point:
    """The `number`th call of `call` in a process."""

    call: str
    number: int


class Bench:
    """One agent folder that is put into the same state before each kill. Staged configurations name absolute paths."""

    def __init__(self, agent: Path, provider: Provider, pristine: Path, log: Path) -> None:
        self.agent, self.provider, self._pristine, self._log = agent, provider, pristine, log
        shutil.copytree(agent, pristine, symlinks=True)
        self.before = snapshot(agent)
        self._strace = parts.program("strace", "strace")

    def reset(self) -> None:
        shutil.rmtree(self.agent)
        shutil.copytree(self._pristine, self.agent, symlinks=True)

    def run(self, action: str, *options: str) -> subprocess.CompletedProcess[str]:
        strace = [self._strace, "-o", str(self._log), *options]
        if action == "material":
            words = [sys.executable, "-P", "-c", CODE, str(self.agent), str(self.provider.path), *strace]
        else:
            words = [*strace, sys.executable, "-P", "-m", "openmid", "mid", "fips", action, "--dir", str(self.agent)]
        environment = os.environ | {"OPENMID_FIPS_PROVIDER": str(self.provider.path)}
        return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=120, check=False)

    def points(self, action: str) -> list[Point]:
        """Every call of an undisturbed run that writes into the agent folder or says something."""
        done = self.run(action, "-y", "-e", f"trace={CALLS}")
        assert done.returncode == 0, done.stderr
        seen: Counter[str] = Counter()
        found = []
        for row in self._log.read_text(errors="replace").splitlines():
            call = re.match(r"(\w+)\(", row)
            if call is None:
                continue
            seen[call[1]] += 1
            opens_only = call[1] == "openat" and not re.search(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC", row)
            if not opens_only and (str(self.agent) in row or row.startswith("write(1")):
                found.append(Point(call[1], seen[call[1]]))
        self.reset()
        return found

    def kill(self, action: str, point: Point) -> subprocess.CompletedProcess[str]:
        return self.run(
            action, "-e", f"trace={point.call}", "-e", f"inject={point.call}:signal=SIGKILL:when={point.number}"
        )

    def kill_before_config(self) -> None:
        """Kill `on` when everything but config.xml is in place."""
        words = [sys.executable, "-P", "-c", BEFORE_CONFIG, str(self.agent), str(self.provider.path)]
        assert subprocess.run(words, capture_output=True, timeout=120, check=False).returncode == -9
        assert fips_backup.under_way(self.agent) == "on"

    def recovered(self) -> tuple[bool, dict[str, tuple[int, bytes]]]:
        """As the next run or start finds it: whether it is enforced, and the files without the backups."""
        lock = Lock(self.agent)
        try:
            fips_backup.recover(self.agent)
        finally:
            lock.release()
        assert not list(self.agent.glob("security/.*"))
        files = {name: what for name, what in snapshot(self.agent).items() if "/backup-" not in name}
        return Config.read(self.agent).fips_enforced, files


def sample(points: list[Point], count: int) -> list[Point]:
    """Evenly spread, the last ones among them: near the commit it matters most."""
    if EVERY:
        return points
    step = max(1, len(points) // count)
    return points[step // 2 :: step]


def without_backups(files: dict[str, tuple[int, bytes]]) -> dict[str, tuple[int, bytes]]:
    return {name: what for name, what in files.items() if "/backup-" not in name}


def make_bench(agent: Path, provider: Provider, folder: Path) -> Bench:
    return Bench(agent, provider, folder / "pristine", folder / "strace.log")


def test_on_is_killed(started: Path, provider: Provider, tmp_path: Path) -> None:
    bench = make_bench(started, provider, tmp_path)
    points = bench.points("on")
    assert len(points) > 100
    states: Counter[str] = Counter()
    for point in sample(points, 4):
        done = bench.kill("on", point)
        assert done.returncode == -9, (point, done.stderr)
        interrupted = fips_backup.under_way(started)
        if interrupted:
            found = fips_mode.status(started)
            assert found.mode == fips_mode.BROKEN
            assert "the next on, off or start of the MID Server puts it back" in found.reason
        enforced, files = bench.recovered()
        assert not (enforced and interrupted), point
        if enforced:
            assert fips_mode.status(started).mode == fips_mode.ENFORCED, point
            key = agent_key.load_or_create(started, "mid-one")
            assert key.has_previous
        else:
            assert files == without_backups(bench.before), point
        states["new" if enforced else "put back" if interrupted else "old"] += 1
        bench.reset()
    sys.stderr.write(f"killed {states.total()} of {len(points)} calls of `on`: {dict(states)}\n")


def test_off_is_killed(started: Path, provider: Provider, tmp_path: Path) -> None:
    fips_mode.switch_on(started, provider.path)
    bench = make_bench(started, provider, tmp_path)
    points = bench.points("off")
    assert len(points) > 50
    fips_mode.switch_off(started)
    off = without_backups(snapshot(started))
    bench.reset()
    states: Counter[str] = Counter()
    for point in sample(points, 5):
        done = bench.kill("off", point)
        assert done.returncode == -9, (point, done.stderr)
        interrupted = fips_backup.under_way(started)
        enforced, files = bench.recovered()
        assert files == (without_backups(bench.before) if enforced else off), point
        assert enforced or not interrupted, point
        states["put back" if interrupted else "old" if enforced else "new"] += 1
        bench.reset()
    sys.stderr.write(f"killed {states.total()} of {len(points)} calls of `off`: {dict(states)}\n")


def test_what_makes_the_keys_is_killed(started: Path, provider: Provider, tmp_path: Path) -> None:
    """The switch itself lives on: it must put everything back and say so."""
    bench = make_bench(started, provider, tmp_path)
    points = bench.points("material")
    assert len(points) > 10
    chosen = sample(points, 2)
    for point in chosen:
        done = bench.kill("material", point)
        assert done.returncode == 1, (point, done.stderr)
        assert "everything was put back" in done.stderr
        assert without_backups(snapshot(started)) == without_backups(bench.before), point
        assert not list(started.glob("security/.*"))
        bench.reset()
    sys.stderr.write(f"killed {len(chosen)} of {len(points)} calls of what makes the keys\n")


def test_what_puts_back_is_killed(started: Path, provider: Provider, tmp_path: Path) -> None:
    """A second interruption, while the first one is put back, changes nothing of it."""
    bench = make_bench(started, provider, tmp_path)
    bench.kill_before_config()
    states = 0
    again = Bench(started, provider, tmp_path / "again", tmp_path / "again.log")
    for point in sample(again.points("off"), 4):  # `off` puts back, and then has nothing to do
        done = again.kill("off", point)
        assert done.returncode == -9, (point, done.stderr)
        enforced, files = again.recovered()
        assert not enforced
        assert files == without_backups(bench.before), point
        again.reset()
        states += 1
    sys.stderr.write(f"killed {states} calls of what puts back\n")


def test_a_config_that_was_edited_after_the_kill_keeps_the_edit(
    started: Path, provider: Provider, tmp_path: Path
) -> None:
    bench = make_bench(started, provider, tmp_path)
    bench.kill_before_config()
    path = started / "config.xml"
    path.write_text(path.read_text().replace("<egress>", "<egress><!-- mine -->"))
    (started / "security/public_key.pem").write_text("mine too")
    enforced, files = bench.recovered()
    assert not enforced
    assert b"<!-- mine -->" in files["config.xml"][1]
    (found,) = started.glob("security/backup-*/found-public_key.pem")
    assert found.read_text() == "mine too"
    assert files["security/agent_keystore"] == bench.before["security/agent_keystore"]


def test_a_journal_without_its_backup_is_reported(started: Path) -> None:
    (started / "security/switch.json").write_text('{"backup": "backup-gone", "action": "on", "time": "then"}')
    with pytest.raises(fips_backup.SwitchError, match=r"its backup .*backup-gone cannot be read"):
        fips_mode.switch_off(started)
    assert fips_mode.status(started).mode == fips_mode.BROKEN
