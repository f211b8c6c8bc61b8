"""config.xml's keystore and password in a whole MID Server: encrypted at the start, used, and shown nowhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from openmid.midserver.config import ENCRYPTED
from openmid.wire.probes import RestProbe
from tests.fips.conftest import provider  # noqa: F401  a fixture
from tests.midserver.conftest import PASSWORD, Authority
from tests.midserver.fake_instance import FakeInstance
from tests.midserver.partner import Partner
from tests.midserver.test_fips_enforced import enforced  # noqa: F401  a fixture
from tests.midserver.test_process import Installed, installed, instance, own_key  # noqa: F401  fixtures

pytestmark = pytest.mark.e2e


def write(made: Installed, **parameters: str) -> Path:
    path: Path = made.agent / "config.xml"
    rows = "".join(
        f'  <parameter name="mid.httpclient.protocol.mauth.{name}" value="{value}"'
        f"{' secure=' + chr(34) + 'true' + chr(34) if name == 'password' else ''}/>\n"
        for name, value in parameters.items()
    )
    path.write_text(path.read_text().replace("</parameters>", f"{rows}</parameters>"))
    return path


async def calls(made: Installed, instance: FakeInstance, authority: Authority, partner: Partner) -> None:  # noqa: F811
    count = len(instance.results)
    await instance.give(RestProbe("mauth://localhost/", ca_certificates=authority.pem))
    await instance.until(lambda: len(instance.results) > count)
    result = instance.results[-1].result
    assert result.status_code == 200, result.failure


async def test_it_is_encrypted_and_works_also_after_the_next_start(
    installed: Installed,  # noqa: F811
    instance: FakeInstance,  # noqa: F811
    authority: Authority,
    partner: Partner,
    bcfks: Path,
) -> None:
    installed.allow(partner.port)
    path = write(installed, path=str(bcfks), password=PASSWORD, port=str(partner.port))
    for _ in range(2):
        await instance.set_profiles(("mauth", "", ""))  # also lets go of the claim that the last process held
        await installed.start()
        assert PASSWORD not in path.read_text()
        assert f'value="{ENCRYPTED}' in path.read_text()
        await calls(installed, instance, authority, partner)
        status, out, _ = await installed.sh("status", "--json")
        assert (status, json.loads(out)["protocols"]["mauth"].startswith("loaded, ")) == (0, True)
        assert (await installed.sh("stop"))[0] == 0
    everything = "".join(file.read_text(errors="replace") for file in installed.agent.rglob("*") if file.is_file())
    assert PASSWORD not in everything


async def test_it_works_in_fips_enforced_mode(
    enforced: Installed,  # noqa: F811
    instance: FakeInstance,  # noqa: F811
    authority: Authority,
    partner: Partner,
    bcfks: Path,
) -> None:
    enforced.allow(partner.port)
    path = write(enforced, path=str(bcfks), password=PASSWORD, port=str(partner.port))
    await instance.set_profiles(("mauth", "", ""))
    await enforced.start()
    assert PASSWORD not in path.read_text()
    await calls(enforced, instance, authority, partner)
    assert instance.results[-1].result.fips_enforced


async def test_with_another_secret_key_it_does_not_start_and_says_why(
    installed: Installed,  # noqa: F811
) -> None:
    path = write(installed, path="x", password=f"{ENCRYPTED}{'A' * 64}")
    status, out, err = await installed.sh("start")
    assert (status, out) == (1, "")
    name = "mid.httpclient.protocol.mauth.password"
    secret = installed.agent / "security/secret.key"
    assert err.splitlines() == [
        f'openmid: the encrypted value of "{name}" in {path} does not open with {secret}',
        'hint: type the value again, with secure="true" beside it: the next start encrypts it',
    ]
