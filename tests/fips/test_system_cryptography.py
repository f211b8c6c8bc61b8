"""FIPS Enforced Mode where cryptography is linked to the system's libcrypto, as distributions package it: one libcrypto,
one copy of the module. Built from source by scripts/build-system-cryptography, once, into the user's cache folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import trustme

from openmid.fips.provider import Provider
from openmid.wire.probes import RestProbe
from tests import parts
from tests.midserver.conftest import PASSWORD, Authority, authority, bcfks, client, partner  # noqa: F401  fixtures
from tests.midserver.fake_instance import FakeInstance
from tests.midserver.partner import Partner
from tests.midserver.test_fips_enforced import call
from tests.midserver.test_process import Installed, install, instance  # noqa: F401  fixtures

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("system cryptography")]


@pytest.fixture(scope="module")
def interpreter() -> Path:
    """A Python whose cryptography shares the system's libcrypto."""
    environment = os.environ | {"PYTHON": sys.executable}
    script = ROOT / "scripts/build-system-cryptography"
    built = subprocess.run([script], env=environment, capture_output=True, text=True, check=False)
    if built.returncode != 0:
        problem = built.stderr.strip().splitlines() or ["?"]
        parts.missing(f"cryptography built from source ({'; '.join(problem[-2:])})", "libssl-dev pkg-config cargo")
    return Path(built.stdout.strip())


def environment(**more: str) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT / "src")} | more


def python(interpreter: Path, *words: object) -> subprocess.CompletedProcess[str]:
    given = [interpreter, *map(str, words)]
    return subprocess.run(given, env=environment(), capture_output=True, text=True, timeout=60, check=False)


STAGE = (
    "import sys; from pathlib import Path; from openmid.fips import provider as p;"
    "print(p.stage(p.describe(Path(sys.argv[1])), Path(sys.argv[2])).folder)"
)


@pytest.fixture
def staged(interpreter: Path, provider: Provider, tmp_path: Path) -> Path:
    done = python(interpreter, "-c", STAGE, provider.path, tmp_path / "fips")
    assert done.returncode == 0, done.stderr
    return tmp_path / "fips"


def test_one_copy_serves_both(interpreter: Path, staged: Path) -> None:
    assert sorted(path.name for path in staged.iterdir()) == ["provider.json", "ssl"]
    done = python(interpreter, "-m", "openmid.fips.proof", staged)
    assert done.returncode == 0, done.stdout
    proof = json.loads(done.stdout)
    assert proof["enforced"]
    assert {one["module"] for one in proof["libcryptos"]} == {str(staged / "ssl" / "fips.so")}
    assert len({one["openssl_version"] for one in proof["libcryptos"]}) == 1
    modules = [one["path"] for one in proof["libraries"] if one["role"] == "FIPS module"]
    assert modules == [str(staged / "ssl" / "fips.so")]
    assert all(one["role"] for one in proof["libraries"])


def test_a_tampered_module_fails(interpreter: Path, staged: Path) -> None:
    module = staged / "ssl" / "fips.so"
    module.write_bytes(module.read_bytes()[:-1] + b"x")
    done = python(interpreter, "-m", "openmid.fips.proof", staged)
    assert done.returncode == 1
    assert not json.loads(done.stdout)["enforced"]


def test_a_configuration_without_fips_yes_fails_in_both(interpreter: Path, staged: Path) -> None:
    conf = staged / "ssl" / "openssl.cnf"
    conf.write_text(conf.read_text().replace("default_properties = fips=yes\n", "").replace("base = b", "default = b"))
    done = python(interpreter, "-m", "openmid.fips.proof", staged)
    assert done.returncode == 1
    failed = {
        (one["name"], check["name"])
        for one in json.loads(done.stdout)["libcryptos"]
        for check in one["checks"]
        if not check["passed"]
    }
    assert {("ssl", "MD5"), ("cryptography", "MD5"), ("cryptography", "ChaCha20-Poly1305")} <= failed


@pytest.fixture
async def installed(
    tmp_path: Path,
    instance: FakeInstance,  # noqa: F811
    authority: Authority,  # noqa: F811
    interpreter: Path,
    provider: Provider,
) -> Installed:
    """A MID Server that runs by the other interpreter."""
    made = await install(tmp_path, instance, authority)
    variables = f'PYTHONPATH="{ROOT / "src"}" OPENMID_FIPS_PROVIDER="{provider.path}"'
    (made.agent / "bin/openmid").write_text(f'#!/bin/sh\nexec env {variables} "{interpreter}" -P -m openmid "$@"\n')
    return made


async def test_a_mid_server_calls_in_fips_enforced_mode(
    installed: Installed,
    instance: FakeInstance,  # noqa: F811
    authority: Authority,  # noqa: F811
    partner: Partner,  # noqa: F811
    bcfks: Path,  # noqa: F811
    client: trustme.LeafCert,  # noqa: F811
) -> None:
    status, out, err = await installed.sh("on", script="scripts/set-fips-enforced-mode.sh")
    assert status == 0, out + err
    assert not (installed.agent / "security/fips/cryptography").exists()
    installed.allow(partner.port)
    await instance.set_profiles(("mauth", str(bcfks), PASSWORD))
    await installed.start()
    try:
        proof = instance.heartbeats[-1].proof
        assert proof
        assert json.loads(proof.text)["enforced"]
        probe = RestProbe(f"mauth://localhost:{partner.port}/", ca_certificates=authority.pem, require_fips=True)
        good = await call(instance, probe)
        assert (good.status_code, good.fips_enforced) == (200, True), good.failure
    finally:
        await installed.sh("stop")
