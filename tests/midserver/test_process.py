"""Whole MID Servers: installed, started, enrolled, worked, stopped, by the scripts that a user has."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from openmid.midserver import agent_key
from openmid.midserver.process import fingerprint, running_pid
from openmid.wire.messages import Refusal
from openmid.wire.probes import RestProbe
from tests.chaos.disks import MEGABYTE, Disk
from tests.midserver.conftest import PASSWORD, Authority
from tests.midserver.fake_instance import TOKEN, FakeInstance
from tests.midserver.partner import Partner
from tests.parts import missing

pytestmark = pytest.mark.e2e


@dataclass
class Installed:
    """An agent folder and its scripts."""

    agent: Path

    async def sh(self, *words: str, script: str = "mid.sh") -> tuple[int, str, str]:
        """(exit status, stdout, stderr) of a script in agent/bin."""
        process = await asyncio.create_subprocess_exec(
            self.agent / "bin" / script,
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()

    async def start(self) -> str:
        status, out, err = await self.sh("start")
        assert status == 0, err
        return out

    @property
    def log(self) -> str:
        return (self.agent / "logs" / "agent0.log").read_text()

    def allow(self, port: int) -> None:
        config = self.agent / "config.xml"
        rule = f'<allow host="127.0.0.1" port="{port}"/>'
        config.write_text(config.read_text().replace("</egress>", f"{rule}</egress>", 1))


async def install(tmp_path: Path, instance: FakeInstance, authority: Authority) -> Installed:
    from openmid.midserver import install as room

    (tmp_path / "ca.pem").write_text(authority.pem)
    (tmp_path / "token").write_text(TOKEN + "\n")
    wish = room.wish(instance.url, "mid-test", tmp_path / "ca.pem", tmp_path / "token")
    agent, new = room.install(tmp_path / "mid", wish)
    assert new
    return Installed(agent)


@pytest.fixture
async def instance(authority: Authority) -> AsyncIterator[FakeInstance]:
    async with FakeInstance(authority.ca) as running:
        yield running


@pytest.fixture(scope="session")
def own_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A security folder with a key pair of its own: making one takes a second."""
    agent = tmp_path_factory.mktemp("own-key")
    (agent / "security").mkdir()
    agent_key.create(agent, "mid-test")
    return agent / "security"


@pytest.fixture
async def installed(
    tmp_path: Path, instance: FakeInstance, authority: Authority, own_key: Path
) -> AsyncIterator[Installed]:
    made = await install(tmp_path, instance, authority)
    shutil.copytree(own_key, made.agent / "security", dirs_exist_ok=True)
    yield made
    pid = running_pid(made.agent)
    if pid:
        os.kill(pid, signal.SIGKILL)


async def test_a_life(
    installed: Installed, instance: FakeInstance, authority: Authority, partner: Partner, bcfks: Path
) -> None:
    """Started, enrolled, not validated, validated, configured, called through mauth://, stopped."""
    instance.validated = False
    installed.allow(partner.port)
    for name in ("agent_keystore", "secret.key", "public_key.pem"):
        (installed.agent / "security" / name).unlink()
    assert "waits to be validated" in await installed.start()
    security = installed.agent / "security"
    assert not (security / "enrolment.token").exists()
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in security.iterdir() if path.is_file()} == {
        "agent_keystore": "0o600",
        "credential": "0o600",
        "secret.key": "0o600",
        "public_key.pem": "0o644",
        "truststore.pem": "0o644",
    }
    await instance.until(lambda: len(instance.heartbeats) > 2)
    assert instance.claims == 0
    status, out, _ = await installed.sh("status", "--json")
    shown = json.loads(out)
    assert (status, shown["validated"], shown["fips_enforced"]) == (0, False, False)
    assert shown["fingerprint"] == fingerprint(installed.agent)
    assert installed.log.count("not validated:") == 1
    assert shown["fingerprint"] in installed.log

    instance.validated = True
    await instance.set_profiles(("mauth", str(bcfks), PASSWORD))
    await instance.give(RestProbe(f"mauth://localhost:{partner.port}/", ca_certificates=authority.pem))
    await instance.until(lambda: bool(instance.results))
    assert instance.results[0].lease == "lease-job0"
    assert instance.results[0].result.status_code == 200
    await instance.until(lambda: any(profile.loaded for profile in instance.heartbeats[-1].profiles))
    assert f"allow 127.0.0.1, port {partner.port}" in instance.heartbeats[-1].egress

    status, out, _ = await installed.sh("stop")
    assert (status, out.startswith("stopped")) == (0, True)
    assert instance.heartbeats[-1].status == "Draining"
    assert PASSWORD not in installed.log
    assert (await installed.sh("status"))[0] == 3
    assert (await installed.sh("stop"))[:2] == (0, "not running\n")


async def test_only_one_instance_runs(installed: Installed) -> None:
    starts = await asyncio.gather(*(installed.sh("start") for _ in range(3)))
    assert [status for status, _, _ in starts] == [0, 0, 0]
    assert sorted("is running already (pid" in out for _, out, _ in starts) == [False, True, True]
    assert (await installed.start()).startswith("is running already (pid ")


async def test_a_killed_mid_server_starts_again(installed: Installed, instance: FakeInstance) -> None:
    await installed.start()
    pid = running_pid(installed.agent)
    assert pid
    os.kill(pid, signal.SIGKILL)
    while running_pid(installed.agent):
        await asyncio.sleep(0.01)
    assert (installed.agent / "work" / "mid.pid").exists()
    assert (await installed.sh("status"))[0] == 3
    half = [installed.agent / "work" / f".{name}.{pid}.tmp" for name in ("status.json", "metrics.prom")]
    for path in half:
        path.write_text("it was killed while it wrote this")
    await installed.start()
    assert not any(path.exists() for path in half)
    assert len([line for line in installed.log.splitlines() if "enrolled as" in line]) == 1


async def test_a_used_token_is_refused_in_the_instances_words(installed: Installed, instance: FakeInstance) -> None:
    refusal = Refusal("used_token", "the enrolment token was used already", "make a new one")
    instance.refuse["/enrol"] = (403, refusal)
    status, _, err = await installed.sh("start")
    assert (status, err) == (1, "openmid: the enrolment token was used already\nhint: make a new one\n")
    assert "the enrolment token was used already" in installed.log
    assert (await installed.sh("status"))[0] == 3


async def test_the_instance_comes_later(installed: Installed, instance: FakeInstance) -> None:
    port = instance.port
    await instance.stop()
    said = await installed.start()
    assert f"localhost:{port} refused the connection" in said
    assert "keeps trying" in said
    await instance.start(port)
    await instance.until(lambda: bool(instance.heartbeats))


async def test_an_instance_of_another_authority_is_not_trusted(
    tmp_path: Path, installed: Installed, instance: FakeInstance
) -> None:
    import trustme

    truststore = installed.agent / "security" / "truststore.pem"
    truststore.write_bytes(trustme.CA().cert_pem.bytes())
    said = await installed.start()
    assert f"not trusted by {truststore}" in said
    assert not instance.public_key


async def test_results_wait_until_the_instance_takes_them(
    installed: Installed, instance: FakeInstance, partner: Partner, authority: Authority
) -> None:
    instance.refuse["/results"] = (503, Refusal("busy", "the instance is busy"))
    await installed.start()
    await instance.give(RestProbe("gone://localhost/"))
    await instance.until(lambda: instance.claims > 1)
    del instance.refuse["/results"]
    await instance.until(lambda: len(instance.results) == 1)
    failure = instance.results[0].result.failure
    assert failure
    assert failure.code == "protocol_not_registered"


async def test_a_stop_finishes_what_runs(
    tmp_path: Path, installed: Installed, instance: FakeInstance, authority: Authority, bcfks: Path, partner: Partner
) -> None:
    installed.allow(partner.port)
    await instance.set_profiles(("mauth", str(bcfks), PASSWORD))
    await installed.start()
    probe = RestProbe(f"mauth://localhost:{partner.port}/hang", ca_certificates=authority.pem)
    await instance.give(probe, probe)
    while len(partner.requests) < 2:  # both at once
        await asyncio.sleep(0.01)
    stopping = asyncio.create_task(installed.sh("stop"))
    await instance.until(lambda: instance.heartbeats[-1].status == "Draining")
    claims = instance.claims
    partner.hang.set()
    assert (await stopping)[0] == 0
    assert [one.result.status_code for one in instance.results] == [200, 200]
    assert instance.claims == claims


async def test_a_new_key_is_announced_by_the_old_one(installed: Installed, instance: FakeInstance) -> None:
    await installed.start()
    assert (await installed.sh("stop"))[0] == 0
    old = instance.public_key
    agent_key.create(installed.agent, "mid-test")
    await installed.start()
    assert instance.public_key != old
    assert "the instance knows the new key" in installed.log
    assert not agent_key.load_or_create(installed.agent, "mid-test").has_previous
    assert (await installed.sh("restart"))[0] == 0


async def test_an_invalidated_mid_server_claims_no_more(installed: Installed, instance: FakeInstance) -> None:
    await installed.start()
    await instance.until(lambda: instance.claims > 0)
    instance.validated = False
    instance.refuse["/claim"] = (403, Refusal("not_validated", "not validated"))
    await instance.set_profiles()  # wakes the held claim
    await instance.until(lambda: len(instance.heartbeats) > 3)
    assert (await installed.sh("status"))[0] == 0
    count = installed.log.count("not validated:")
    del instance.refuse["/claim"]
    instance.validated = True
    claims = instance.claims
    await instance.until(lambda: instance.claims > claims)
    assert count == 1


async def test_a_missing_secret_key_has_its_sentence(installed: Installed) -> None:
    await installed.start()
    assert (await installed.sh("stop"))[0] == 0
    (installed.agent / "security" / "secret.key").unlink()
    status, _, err = await installed.sh("start")
    assert status == 1
    assert str(installed.agent / "security" / "secret.key") in err
    assert "Traceback" not in err


@pytest.mark.parametrize("words", [[], ["dance"]])
async def test_a_wrong_word_is_usage(installed: Installed, words: list[str]) -> None:
    status, _, err = await installed.sh(*words)
    assert status == 2
    assert "usage: mid.sh start|stop|restart|status" in err


async def test_the_console_logs_to_stderr_and_ends_with_sigterm(installed: Installed, instance: FakeInstance) -> None:
    process = await asyncio.create_subprocess_exec(
        installed.agent / "bin" / "mid.sh", "console", stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    await instance.until(lambda: bool(instance.heartbeats))
    process.send_signal(signal.SIGTERM)
    _, err = await process.communicate()
    assert process.returncode == 0
    assert "enrolled as mid-test" in err.decode()


@pytest.fixture
def small_disk(installed: Installed) -> Iterator[Disk]:
    """1 MB under agent/work."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    try:
        disk = Disk(installed.agent / "work", MEGABYTE)
    except subprocess.CalledProcessError:
        missing("a tmpfs", "the right to mount one")
    yield disk
    disk.close()


async def test_a_full_disk_keeps_no_killed_mid_server_from_starting(
    installed: Installed, small_disk: Disk, instance: FakeInstance
) -> None:
    """Its start delivers what waits, and that makes room."""
    await installed.start()
    pid = running_pid(installed.agent)
    assert pid
    os.kill(pid, signal.SIGKILL)
    while running_pid(installed.agent):
        await asyncio.sleep(0.01)
    small_disk.fill()
    await installed.start()
    pid = running_pid(installed.agent)
    assert pid
    assert pid == int((installed.agent / "work" / "mid.pid").read_text())
    os.kill(pid, signal.SIGKILL)  # the disk is gone before `installed` looks for it


async def test_without_room_for_its_pid_a_mid_server_says_so(installed: Installed, small_disk: Disk) -> None:
    small_disk.fill()
    status, _, err = await installed.sh("start")
    assert status == 1
    assert "mid.pid cannot be written: No space left on device" in err
    assert "hint: make room on its disk" in err
