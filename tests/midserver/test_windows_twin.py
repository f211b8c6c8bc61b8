"""A whole MID Server whose Python has none of what only POSIX has: no fcntl, no pwd, no memory files, no modes, no signals
between processes. It runs on the Windows branch of `openmid.system`. Windows itself was never tried."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from openmid.wire.probes import RestProbe
from tests.midserver.conftest import PASSWORD, Authority
from tests.midserver.fake_instance import FakeInstance
from tests.midserver.partner import Partner
from tests.midserver.test_process import Installed, installed, instance, own_key  # noqa: F401  fixtures

pytestmark = pytest.mark.e2e

WITHOUT_POSIX = """
import asyncio, errno, os, sys
import fcntl
class Msvcrt:
    LK_NBLCK = 2
    flock = staticmethod(fcntl.lockf)
    def locking(self, descriptor, mode, count):
        self.flock(descriptor, 2 | 4, count, os.lseek(descriptor, 0, os.SEEK_CUR))
for name in ("fcntl", "pwd", "grp", "resource", "termios"):
    sys.modules[name] = None
for name in ("fchmod", "fchown", "chown", "memfd_create", "geteuid", "getuid", "fork", "setsid", "O_DIRECTORY"):
    delattr(os, name)
import asyncio.unix_events
def never(*_):
    raise NotImplementedError
asyncio.unix_events._UnixSelectorEventLoop.add_signal_handler = never
from openmid import system
def alive(pid):
    return os.path.exists(f"/proc/{pid}")
system.HERE = system.Windows(Msvcrt(), lambda *_, **__: None, alive)
os.kill = never
from openmid.cli import main
sys.argv[0] = "openmid"
main()
"""


async def openmid(*words: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-c", WITHOUT_POSIX, *words,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def test_it_starts_calls_and_stops(
    installed: Installed,  # noqa: F811
    instance: FakeInstance,  # noqa: F811
    authority: Authority,
    partner: Partner,
    bcfks: Path,
) -> None:
    agent = str(installed.agent)
    installed.allow(partner.port)
    running = await openmid("mid", "run", "--dir", agent)
    await instance.set_profiles(("mauth", str(bcfks), PASSWORD))
    await instance.give(RestProbe(f"mauth://localhost:{partner.port}/", ca_certificates=authority.pem))
    await instance.until(lambda: bool(instance.results))
    assert instance.results[0].result.status_code == 200, instance.results[0].result.failure

    status = await openmid("mid", "status", "--dir", agent)
    out, err = await status.communicate()
    assert status.returncode == 0, err
    assert f"{running.pid}" in out.decode()

    second = await openmid("mid", "run", "--dir", agent)
    _, err = await second.communicate()
    assert (second.returncode, "is running already" in err.decode()) == (1, True), err

    stop = await openmid("mid", "stop", "--dir", agent)
    out, err = await stop.communicate()
    assert (stop.returncode, out.decode()) == (0, f"stopped (pid {running.pid})\n"), err
    _, err = await running.communicate()
    assert running.returncode == 0, err
    assert instance.heartbeats[-1].status == "Draining"
    assert not (installed.agent / "work/stop").exists()


async def test_fips_enforced_mode_is_refused_in_one_sentence(installed: Installed) -> None:  # noqa: F811
    before = (installed.agent / "config.xml").read_bytes()
    switch = await openmid("mid", "fips", "--dir", str(installed.agent), "on")
    out, err = await switch.communicate()
    assert (switch.returncode, out) == (1, b"")
    assert err.decode().startswith("openmid: FIPS Enforced Mode is not available on Windows")
    assert (installed.agent / "config.xml").read_bytes() == before


async def test_the_folder_has_its_scripts(installed: Installed) -> None:  # noqa: F811
    """Laid out there, jre/bin/keytool is a script, since links are not for everybody."""
    (installed.agent / "jre/bin/keytool").unlink()
    security = installed.agent / "security"
    (installed.agent.parent / "token").write_text("token")
    words = ["--url", instance_url(installed), "--name", "mid-test", "--ca", str(security / "truststore.pem"),
             "--token", str(installed.agent.parent / "token")]  # fmt: skip
    done = await openmid("mid", "install", str(installed.agent.parent), *words)
    _, err = await done.communicate()
    assert done.returncode == 0, err
    scripts = ["bin/mid.bat", "bin/openmid.bat", "bin/keytool.bat", "bin/scripts/set-fips-enforced-mode.bat",
               "jre/bin/keytool.bat"]  # fmt: skip
    for name in scripts:
        content = (installed.agent / name).read_bytes()
        assert content.count(b"\n") == content.count(b"\r\n") > 0
        assert b"@PYTHON@" not in content
    assert f'"{sys.executable}" -P -m openmid %*'.encode() in (installed.agent / "bin/openmid.bat").read_bytes()
    assert not (installed.agent / "jre/bin/keytool").exists()


def instance_url(made: Installed) -> str:
    from openmid.midserver.config import Config

    return Config.read(made.agent).parameter("url")


def test_both_start_scripts_know_the_same_words() -> None:
    import re

    from openmid.midserver.install import SKELETON

    sh, bat = (SKELETON / "bin" / f"mid{end}" for end in (".sh", ".bat"))
    words = {"start", "stop", "restart", "status", "console"}
    known = re.search(r"in \(([a-z ]+)\)", bat.read_text())
    assert known
    assert set(known[1].split()) == words
    assert all(re.search(rf"\b{word}\b.*\)", sh.read_text()) for word in words)
