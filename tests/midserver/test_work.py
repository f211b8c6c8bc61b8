"""What a whole MID Server does with its work: room for each priority, cancelling, pauses, restarts, kills, full disks."""

# ruff: noqa: F811  fixtures are imported

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from openmid.midserver.process import running_pid
from openmid.wire.messages import Refusal
from openmid.wire.probes import RestProbe
from tests.midserver.conftest import PASSWORD, Authority
from tests.midserver.fake_instance import FakeInstance
from tests.midserver.partner import Partner
from tests.midserver.test_process import Installed, installed, instance, own_key  # noqa: F401  fixtures
from tests.parts import missing

pytestmark = pytest.mark.e2e


def parameter(where: Installed, name: str, value: object) -> None:
    config = where.agent / "config.xml"
    line = f'<parameter name="{name}" value="{value}"/>'
    config.write_text(config.read_text().replace("</parameters>", f"{line}</parameters>", 1))


async def seen(partner: Partner, count: int) -> None:
    """Wait until the partner has so many requests."""
    while len(partner.requests) < count:
        await asyncio.sleep(0.01)


@pytest.fixture
async def ready(installed: Installed, instance: FakeInstance, partner: Partner, bcfks: Path) -> Installed:
    """Installed, allowed to call the partner, with the protocol mauth; not started."""
    installed.allow(partner.port)
    await instance.set_profiles(("mauth", str(bcfks), PASSWORD))
    return installed


@pytest.fixture
def hang(partner: Partner, authority: Authority) -> RestProbe:
    """A call that the partner answers when it is told to."""
    return RestProbe(f"mauth://localhost:{partner.port}/hang", ca_certificates=authority.pem)


async def test_a_screen_does_not_wait_behind_a_full_backlog(
    ready: Installed,
    instance: FakeInstance,
    partner: Partner,
    hang: RestProbe,
) -> None:
    parameter(ready, "threads.max", 2)
    await ready.start()
    await instance.give(*[hang] * 5)
    await seen(partner, 2)
    (screen,) = await instance.give(
        RestProbe(hang.url.replace("hang", ""), ca_certificates=hang.ca_certificates), priority=0
    )
    await instance.until(lambda: instance.outcome(screen) is not None)
    assert len(instance.jobs) == 3
    assert (25, 25, 2) in instance.rooms
    partner.hang.set()
    await instance.until(lambda: len(instance.results) == 6)


async def test_a_running_call_is_cancelled_also_where_nothing_has_room(
    ready: Installed,
    instance: FakeInstance,
    partner: Partner,
    hang: RestProbe,
) -> None:
    for name in ("threads.max", "threads.interactive.max", "threads.expedited.max"):
        parameter(ready, name, 1)
    await ready.start()
    (first,) = await instance.give(hang)
    await instance.give(hang, priority=0)
    await instance.give(hang, priority=1)
    await seen(partner, 3)
    await instance.stop_calls(first, "somebody else's")
    await instance.until(lambda: instance.outcome(first) is not None)
    result = instance.outcome(first)
    assert result
    assert result.failure
    assert result.failure.code == "cancelled"
    instance.cancel.clear()
    partner.hang.set()
    await instance.until(lambda: len(instance.results) == 3)
    assert [one.result.status_code for one in instance.results] == [None, 200, 200]


async def test_a_pause_takes_no_new_work_and_finishes_what_runs(
    ready: Installed,
    instance: FakeInstance,
    partner: Partner,
    hang: RestProbe,
) -> None:
    await ready.start()
    await instance.give(hang)
    await seen(partner, 1)
    instance.paused = True
    await instance.until(lambda: instance.heartbeats[-1].status == "Paused")
    partner.hang.set()
    await instance.until(lambda: len(instance.results) == 1)
    claims = instance.claims
    await instance.until(lambda: len(instance.rooms) > claims and instance.rooms[-1] == (0, 0, 0))
    await instance.give(hang)
    beats = len(instance.heartbeats)
    await instance.until(lambda: len(instance.heartbeats) > beats + 3)
    assert len(instance.jobs) == 1
    assert json.loads((await ready.sh("status", "--json"))[1])["paused"] is True
    instance.paused = False
    await instance.until(lambda: len(instance.results) == 2)


async def test_a_restart_finishes_what_runs_and_comes_back(
    ready: Installed,
    instance: FakeInstance,
    partner: Partner,
    hang: RestProbe,
) -> None:
    await ready.start()
    await instance.give(hang)
    await seen(partner, 1)
    before = instance.heartbeats[-1].started
    instance.restart = before + 1
    await instance.until(lambda: instance.heartbeats[-1].status == "Draining")
    partner.hang.set()
    await instance.until(lambda: instance.heartbeats[-1].started > before and instance.heartbeats[-1].status == "Up")
    assert [one.result.status_code for one in instance.results] == [200]
    await instance.give(RestProbe("gone://localhost/"))
    await instance.until(lambda: len(instance.results) == 2)
    beats = len(instance.heartbeats)
    await instance.until(lambda: len(instance.heartbeats) > beats + 3)
    assert "a restart was asked for" in ready.log
    assert ready.log.count("a restart was asked for") == 1


async def test_a_killed_mid_server_gives_back_what_ran_and_delivers_what_had_ended(
    ready: Installed,
    instance: FakeInstance,
    partner: Partner,
    hang: RestProbe,
) -> None:
    await ready.start()
    instance.refuse["/results"] = (503, Refusal("busy", "the instance is busy"))
    (ended,) = await instance.give(RestProbe("gone://localhost/"))
    (runs,) = await instance.give(hang)
    await seen(partner, 1)
    while ended not in ready.log:
        await asyncio.sleep(0.02)
    pid = running_pid(ready.agent)
    assert pid
    os.kill(pid, signal.SIGKILL)
    del instance.refuse["/results"]
    await ready.start()
    await instance.until(lambda: bool(instance.results) and bool(instance.released))
    assert [one.sys_id for one in instance.results] == [ended]
    assert [(one.sys_id, one.sent) for one in instance.released] == [(runs, True)]
    assert instance.released[0].lease == f"lease-{runs}"


async def test_results_beyond_the_limit_stop_new_work_and_it_is_said_why(
    ready: Installed,
    instance: FakeInstance,
    partner: Partner,
    authority: Authority,
) -> None:
    """The instance is away for as long as it likes: nothing is lost, and the disk is not filled."""
    parameter(ready, "mid.results.limit_mb", 1)
    await ready.start()
    instance.refuse["/results"] = (503, Refusal("busy", "the instance is busy"))
    given = await instance.give(
        *[RestProbe(f"mauth://localhost:{partner.port}/long", ca_certificates=authority.pem)] * 3
    )
    while "no jobs are taken: results that the instance has not taken fill" not in ready.log:
        await asyncio.sleep(0.05)
    status = json.loads((await ready.sh("status", "--json"))[1])
    assert status["undelivered"] == 3
    assert status["undelivered_bytes"] > 1 << 20
    assert "mid.results.limit_mb" in ready.log
    await instance.set_profiles(*instance.profiles)  # ends the claim that was held before
    await instance.until(lambda: instance.rooms[-1] == (0, 0, 0))
    more = await instance.give(RestProbe("gone://localhost/"))
    beats = len(instance.heartbeats)
    await instance.until(lambda: len(instance.heartbeats) > beats + 3)
    assert len(instance.jobs) == 1
    pid = running_pid(ready.agent)
    assert pid
    os.kill(pid, signal.SIGKILL)
    del instance.refuse["/results"]
    await ready.start()
    await instance.until(lambda: {*given, *more} <= known(instance))
    assert [len(one.result.body) for one in instance.results if one.sys_id in given] == [700_000] * 3


async def test_a_proxy_before_the_instance_that_takes_small_bodies_only_holds_no_result_up(
    ready: Installed,
    instance: FakeInstance,
    partner: Partner,
    authority: Authority,
) -> None:
    """Neither many results in one message, nor one that is larger than that."""
    instance.largest = 800_000
    await ready.start()
    long = RestProbe(f"mauth://localhost:{partner.port}/long", ca_certificates=authority.pem)
    big = RestProbe(f"mauth://localhost:{partner.port}/longer", ca_certificates=authority.pem)
    given = await instance.give(big, *[long] * 3)
    await instance.until(lambda: {*given} <= known(instance))
    assert [len(one.result.body) for one in instance.results if one.result.status_code] == [700_000] * 3
    (refused,) = [one.result.failure for one in instance.results if one.result.failure]
    assert refused.code == "result_refused"
    assert "does not take bodies of this size" in refused.message


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
async def test_a_full_disk_gives_jobs_back_and_work_goes_on_when_it_has_room(
    ready: Installed,
    instance: FakeInstance,
) -> None:
    work = ready.agent / "work"
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "none", str(work)]
    if await (await asyncio.create_subprocess_exec(*mount)).wait():
        missing("a tmpfs", "the right to mount one")
    try:
        await ready.start()
        await instance.until(lambda: instance.claims > 0)
        with contextlib.suppress(OSError):
            (work / "ballast").write_bytes(bytes(1 << 20))
        with contextlib.suppress(OSError), (work / "ballast2").open("wb", buffering=0) as last:
            while last.write(b"x"):
                pass
        given = await instance.give(*[RestProbe("gone://localhost/")] * 200)  # the last page of the file takes some
        while not instance.released:  # and what was delivered makes room for a few
            given += await instance.give(RestProbe("gone://localhost/"))
            await asyncio.sleep(0.05)
        assert not any(one.sent for one in instance.released)
        assert "work/journal cannot be written: " in ready.log
        (work / "ballast").unlink()
        (again,) = await instance.give(RestProbe("gone://localhost/"))
        await instance.until(lambda: instance.outcome(again) is not None)
        await instance.until(lambda: {*given} <= known(instance))
        await ready.sh("stop")
    finally:
        await (await asyncio.create_subprocess_exec("umount", "-l", str(work))).wait()


async def test_five_kills_at_random_moments_lose_nothing_and_send_nothing_twice(
    ready: Installed,
    instance: FakeInstance,
    partner: Partner,
    authority: Authority,
) -> None:
    """Each job ends in one result, or is given back; what is given back as unsent has not reached the partner."""
    seed = int(os.environ.get("OPENMID_SEED", time.time_ns() % 1_000_000))
    chance = random.Random(seed)
    given: list[str] = []
    await ready.start()
    for _ in range(5):
        probes = [
            RestProbe(f"mauth://localhost:{partner.port}/{len(given) + i}", "POST", ca_certificates=authority.pem)
            for i in range(chance.randint(1, 20))
        ]
        given += await instance.give(*probes)
        await asyncio.sleep(chance.random() * 0.3)
        pid = running_pid(ready.agent)
        assert pid
        os.kill(pid, signal.SIGKILL)
        await ready.start()
    instance.heartbeats.clear()
    await instance.until(lambda: not instance.jobs and len(instance.heartbeats) > 2 and idle(instance), 60)
    in_flight = {*given} - known(instance)  # the kill came before the claim's answer: the instance's lease is for them
    sent = Counter(path.rpartition("/")[2] for path in (request.path for request in partner.requests))
    assert [path for path, count in sent.items() if count > 1] == [], f"seed {seed}"
    unsent = {one.sys_id for one in instance.released if not one.sent} | in_flight
    assert not [name for name in unsent if sent[name.removeprefix("job")]], f"seed {seed}"
    assert max(Counter(one.sys_id for one in instance.released).values(), default=1) == 1
    assert not unsent & {one.sys_id for one in instance.results}


def idle(instance: FakeInstance) -> bool:
    """Whether the last two heartbeats say that nothing runs and nothing waits."""
    loads = [beat.load for beat in instance.heartbeats[-2:]]
    return all(load and load.running == load.undelivered == 0 for load in loads)


def known(instance: FakeInstance) -> set[str]:
    return {one.sys_id for one in (*instance.results, *instance.released)}


async def test_the_clocks_difference_is_said_once_and_nothing_depends_on_it(
    ready: Installed,
    instance: FakeInstance,
) -> None:
    instance.clock_offset_us = 3_600 * 1_000_000
    await ready.start()
    await instance.give(RestProbe("gone://localhost/"))
    await instance.until(lambda: len(instance.results) == 1 and len(instance.heartbeats) > 5)
    assert ready.log.count("this host's clock and the instance's differ by -3600 s") == 1


async def test_a_heartbeat_carries_load_and_the_logs_last_lines(ready: Installed, instance: FakeInstance) -> None:
    await ready.start()
    await instance.give(RestProbe("gone://localhost/"))
    await instance.until(lambda: instance.heartbeats[-1].load is not None and instance.heartbeats[-1].load.failed == 1)
    load = instance.heartbeats[-1].load
    assert load
    assert (load.threads, load.running, load.undelivered) == (25, 0, 0)
    assert load.memory_bytes > 10_000_000
    tails = [beat.log_tail for beat in instance.heartbeats if beat.log_tail]
    assert any("starts" in line and "openmid" in line for tail in tails for line in tail)
    beats = len(instance.heartbeats)
    await instance.until(lambda: len(instance.heartbeats) > beats + 1)  # the file is written after each
    metrics = (ready.agent / "work" / "metrics.prom").read_text()
    assert "openmid_mid_call_failures_total 1\n" in metrics
    assert 'openmid_mid_certificate_expiry_days{protocol="mauth"}' in metrics
