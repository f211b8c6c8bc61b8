"""A new key of the MID Server, with a real instance: announced by the old key; trust and secrets carry over."""

from __future__ import annotations

from pathlib import Path

import pytest

from openmid.demo import processes, walk
from openmid.demo.instance_api import Json
from openmid.demo.walk import Walk
from openmid.midserver.config import Config
from openmid.midserver.process import fingerprint, running_pid
from openmid.wire import sealing

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("standing")]
SCRIPT = "bin/scripts/set-fips-enforced-mode.sh"
KNOWS, LATER = "the instance knows the new key", "it is announced at the next start"


def start_and_call(standing: Walk) -> Json:
    """Validated as before, its sealed password opened, and a call that succeeds. Its record."""
    walk.start_mid(standing)
    mid = walk.wait_for(standing, "is enforced and Up", lambda m: m["fips_enforced"] == "true" and m["status"] == "Up")
    assert mid["validated"] == "true"
    assert sealing.fingerprint(mid["public_key"]) == fingerprint(standing.agent)
    assert walk.keystore_type(standing) == "BCFKS"
    assert walk.run_test(standing)["state"] == "Completed"
    return mid


@pytest.fixture
def stopped(standing: Walk) -> Path:
    """The agent folder of the stopped MID Server."""
    if running_pid(standing.agent) is not None:
        walk.stop_mid(standing)
    return standing.agent


def test_rekey_on_demand(standing: Walk, stopped: Path) -> None:
    before = fingerprint(stopped)
    said = processes.openmid("mid", "rekey", "--dir", str(stopped))
    assert fingerprint(stopped) != before
    assert f"{KNOWS}, {fingerprint(stopped)}" in said
    assert sealing.fingerprint(walk.api(standing).find("ecc_agent", name=walk.MID_NAME)["public_key"]) != before  # type: ignore[index]
    start_and_call(standing)


def test_without_network_the_announcement_waits_for_the_next_start(standing: Walk, stopped: Path) -> None:
    before = fingerprint(stopped)
    set_url(stopped, "https://localhost:1")
    said = processes.openmid("mid", "rekey", "--dir", str(stopped))
    assert LATER in said
    assert fingerprint(stopped) != before
    known = walk.api(standing).find("ecc_agent", name=walk.MID_NAME)
    assert known
    assert sealing.fingerprint(known["public_key"]) == before
    set_url(stopped, standing.url)
    start_and_call(standing)


def test_switched_off_and_on(standing: Walk, stopped: Path) -> None:
    before = fingerprint(stopped)
    off = processes.run([str(stopped / SCRIPT), "off"]).stdout
    assert "the instance knows the key in it" in off
    assert fingerprint(stopped) == before
    on = processes.run([str(stopped / SCRIPT), "on"]).stdout
    assert fingerprint(stopped) != before
    assert KNOWS in on
    start_and_call(standing)


def set_url(agent: Path, url: str) -> None:
    config = Config.read(agent)
    config.set_parameter("url", url)
    config.save()
