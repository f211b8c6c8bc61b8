"""What an idle MID Server takes: docs/mid-server.md promises 80 MB."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from openmid.midserver.process import running_pid
from openmid.wire.probes import RestProbe
from tests.midserver.conftest import PASSWORD, Authority
from tests.midserver.fake_instance import FakeInstance
from tests.midserver.partner import Partner
from tests.midserver.test_process import Installed, installed, instance, own_key  # noqa: F401  fixtures

pytestmark = pytest.mark.e2e
MOST_IDLE = 80 * 1024  # KiB


async def test_an_idle_mid_server_is_small_and_has_loaded_only_what_it_uses(
    installed: Installed,  # noqa: F811
    instance: FakeInstance,  # noqa: F811
    authority: Authority,
    partner: Partner,
    bcfks: Path,
) -> None:
    installed.allow(partner.port)
    await instance.set_profiles(*((f"mauth{number}", str(bcfks), PASSWORD) for number in range(5)))
    await installed.start()
    await instance.give(RestProbe(f"mauth0://localhost:{partner.port}/", ca_certificates=authority.pem))
    await instance.until(lambda: bool(instance.results))
    assert instance.results[0].result.status_code == 200
    beats = len(instance.heartbeats)
    await instance.until(lambda: len(instance.heartbeats) > beats + 2)
    process = Path(f"/proc/{running_pid(installed.agent)}")
    resident = re.search(r"VmRSS:\s+(\d+) kB", (process / "status").read_text())
    assert resident
    print(f"idle: {int(resident[1]) / 1024:.1f} MB")
    assert int(resident[1]) <= MOST_IDLE
    loaded = (process / "maps").read_text()
    assert [name for name in ("lxml", "charset_normalizer", "psycopg") if f"/{name}" in loaded] == []
