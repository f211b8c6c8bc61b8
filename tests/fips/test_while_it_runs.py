"""FIPS Enforced Mode while a MID Server runs: what is loaded later, what changes, what is asked for again."""

from __future__ import annotations

import json
import mmap
import os
from pathlib import Path
from typing import Any

import pytest

from openmid.fips.libcryptos import version_texts
from openmid.fips.provider import Staged
from openmid.wire.messages import Heartbeat
from openmid.wire.probes import RestProbe
from tests import parts
from tests.fips.conftest import Python
from tests.fips.test_proof import ENTER
from tests.midserver.conftest import PASSWORD, Authority, authority, bcfks, client, partner  # noqa: F401  fixtures
from tests.midserver.fake_instance import FakeInstance
from tests.midserver.partner import Partner
from tests.midserver.test_fips_enforced import call, enforced  # noqa: F401  a fixture
from tests.midserver.test_process import Installed, installed, instance, own_key  # noqa: F401  fixtures

SYSTEM = Path("/usr/lib")
LOOK = "from openmid.fips.proof import prove, look_again; folder = Path(sys.argv[1]); "


def library(pattern: str, package: str) -> Path:
    found = sorted(SYSTEM.glob(f"*/{pattern}")) or sorted(SYSTEM.glob(pattern))
    if not found:
        parts.missing(pattern, package)
    return found[0].resolve()


LATE = {
    "another OpenSSL": ("libcrypto.so.3", "libssl3", "OpenSSL 3."),
    "Libgcrypt": ("libgcrypt.so.20", "libgcrypt20", "Libgcrypt "),
    "GnuTLS": ("libgnutls.so.30", "libgnutls30", "GnuTLS 3."),
    "NSS": ("libnss3.so", "libnss3", "NSS 3."),
    "OpenSSL's legacy provider": ("ossl-modules/legacy.so", "libssl3", "OpenSSL Legacy Provider"),
}


@pytest.mark.parametrize("what", LATE)
def test_a_library_that_comes_late_is_found(staged: Staged, python: Python, tmp_path: Path, what: str) -> None:
    """Under whatever name it lies on the disk, and also when it is gone from there."""
    pattern, package, version = LATE[what]
    harmless = tmp_path / "libharmless.so"
    harmless.write_bytes(library(pattern, package).read_bytes())
    code = ENTER + LOOK + (
        "assert prove(folder).enforced; assert look_again(folder) == ''; "
        "import ctypes, os; ctypes.CDLL(sys.argv[2]); print(look_again(folder)); "
        "os.unlink(sys.argv[2]); print(prove(folder).reason)"
    )  # fmt: skip
    done = python(code, staged.folder, harmless)
    before, after = done.stdout.splitlines() or [done.stderr, ""]
    for said in (before, after):
        assert "loaded, and not known to the proof: " in said
        assert version in said


def test_boringssl_is_recognised_by_its_text() -> None:
    """Chromium carries it. Nothing here can load a program, but the text is the one that its library says."""
    chromium = Path("/usr/lib/chromium/chromium")
    if not chromium.exists():
        parts.missing(str(chromium), "chromium")
    with chromium.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        at = content.find(b"BoringSSL")
        assert set(version_texts(content[at - 100 : at + 100])) == {"BoringSSL"}


def test_what_is_only_linked_to_openssl_is_not_taken_for_one(python: Python, staged: Staged) -> None:
    """The process has some sixty libraries; those of the proof are the ones that are cryptographic."""
    done = python("openmid.fips.proof", staged.folder)
    found = json.loads(done.stdout)["libraries"]
    roles = {one["role"] for one in found}
    assert {"libcrypto of ssl", "FIPS module"} <= roles
    assert "" not in roles
    assert all(one["version"] for one in found)


CHANGES: dict[str, Any] = {
    "a replaced module": ("ssl/fips.so", lambda old: old + b"x"),
    "a replaced module with the same content": ("ssl/fips.so", lambda old: old),
    "another MAC": ("ssl/fipsmodule.cnf", lambda old: old.replace(b"module-mac = ", b"module-mac = 0")),
    "another configuration": ("ssl/openssl.cnf", lambda old: old.replace(b"fips=yes", b"fips=no")),
    "a record that is gone": ("provider.json", lambda _: b""),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_file_that_changes_is_found(staged: Staged, python: Python, tmp_path: Path, what: str) -> None:
    name, change = CHANGES[what]
    path, new = staged.folder / name, tmp_path / "new"
    new.write_bytes(change(path.read_bytes()))
    code = ENTER + LOOK + (
        "assert look_again(folder) == ''; import os; os.replace(sys.argv[2], sys.argv[3]); print(look_again(folder))"
    )  # fmt: skip
    done = python(code, staged.folder, new, path)
    assert done.stdout.startswith("FIPS Enforced Mode is not in force: "), done.stderr
    assert str(staged.folder) in done.stdout


def proof(beat: Heartbeat) -> Any:
    assert beat.proof
    return json.loads(beat.proof.text)


@pytest.mark.e2e
async def test_a_mid_server_that_loses_it_says_so_and_takes_no_work(
    enforced: Installed,  # noqa: F811
    instance: FakeInstance,  # noqa: F811
    authority: Authority,  # noqa: F811
    partner: Partner,  # noqa: F811
    bcfks: Path,  # noqa: F811
) -> None:
    enforced.allow(partner.port)
    await instance.set_profiles(("mauth", str(bcfks), PASSWORD))
    await enforced.start()
    probe = RestProbe(f"mauth://localhost:{partner.port}/", ca_certificates=authority.pem)
    assert (await call(instance, probe)).status_code == 200

    module = enforced.agent / "security/fips/ssl/fips.so"
    kept = module.with_name("kept")
    os.link(module, kept)
    module.with_name("new").write_bytes(module.read_bytes() + b"x")
    module.with_name("new").replace(module)
    await instance.until(lambda: instance.heartbeats[-1].status == "Degraded")
    beat = instance.heartbeats[-1]
    assert not beat.fips_enforced
    assert proof(beat)["reason"].startswith("FIPS Enforced Mode is not in force: in ")
    assert "no more work is taken: FIPS Enforced Mode is not in force" in enforced.log
    refused = (await call(instance, probe)).failure  # of the claim that the instance still held
    assert refused
    assert refused.code == "fips_lost"
    claims = instance.claims
    await instance.give(probe)
    await next_heartbeats(instance)
    assert (instance.claims, len(instance.jobs)) == (claims, 1)
    status, out, _ = await enforced.sh("status", "--json")
    assert (status, json.loads(out)["fips_enforced"]) == (0, False)
    assert (await enforced.sh("status", script="scripts/set-fips-enforced-mode.sh"))[0] == 3

    kept.replace(module)  # the very file that is loaded: looking does not bring the mode back, a whole proof does
    await next_heartbeats(instance)
    assert instance.heartbeats[-1].status == "Degraded"
    instance.prove += 1
    await instance.until(lambda: instance.heartbeats[-1].fips_enforced)
    await instance.until(lambda: len(instance.results) == 3)
    assert instance.results[-1].result.status_code == 200


async def next_heartbeats(instance: FakeInstance) -> None:  # noqa: F811
    count = len(instance.heartbeats)
    await instance.until(lambda: len(instance.heartbeats) > count + 2)


@pytest.mark.e2e
async def test_a_proof_on_demand_is_a_new_one(enforced: Installed, instance: FakeInstance) -> None:  # noqa: F811
    await enforced.start()
    first = proof(instance.heartbeats[-1])
    instance.prove = 7
    await instance.until(lambda: proof(instance.heartbeats[-1]) != first)
    again = proof(instance.heartbeats[-1])
    assert again["enforced"]
    assert again["time"] > first["time"]
    assert "FIPS Enforced Mode was proved again" in enforced.log


@pytest.mark.e2e
async def test_with_another_library_in_the_process_it_does_not_start(
    enforced: Installed,  # noqa: F811
    instance: FakeInstance,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gcrypt = library("libgcrypt.so.20", "libgcrypt20")
    monkeypatch.setenv("LD_PRELOAD", str(gcrypt))
    status, _, err = await enforced.sh("start")
    assert status == 1
    assert f"{gcrypt} (Libgcrypt " in err
    assert not instance.heartbeats


@pytest.mark.e2e
async def test_status_says_what_the_running_process_proved(enforced: Installed, instance: FakeInstance) -> None:  # noqa: F811
    script = "scripts/set-fips-enforced-mode.sh"
    await enforced.start()
    status, out, _ = await enforced.sh("status", "--json", script=script)
    answer = json.loads(out)
    assert (status, answer["mode"], answer["running"]["enforced"]) == (0, "enforced", True)
    module = enforced.agent / "security/fips/ssl/fips.so"
    module.with_name("new").write_bytes(module.read_bytes())
    module.with_name("new").replace(
        module
    )  # the same content: a fresh process is fine, the running one has another file
    await instance.until(lambda: instance.heartbeats[-1].status == "Degraded")
    status, out, _ = await enforced.sh("status", script=script)
    assert status == 3
    assert "FIPS Enforced Mode is broken: the running MID Server has lost it: " in out


def test_looking_loads_nothing(python: Python, tmp_path: Path) -> None:
    """An upgrade replaces the compiled part of cryptography: the new file must not come into the running process."""
    code = (
        "import sys, shutil; from pathlib import Path; from openmid.fips import libcryptos as l\n"
        "import cryptography.hazmat.bindings._rust, ssl, _hashlib\n"
        "before = l.mappings(); copy = Path(sys.argv[1]) / 'copy.so'; shutil.copy(l.cryptography_binding(), copy)\n"
        "assert l.symbol(str(copy), 'PyInit__rust') is None\n"
        "assert l.symbol(str(l.cryptography_binding()), 'PyInit__rust')\n"
        "print(len(l.mappings()) - len(before), [one.path.name for one in l.mappings() if 'copy' in one.path.name])"
    )
    done = python(code, tmp_path)
    assert done.stdout.split("[")[1] == "]\n", done.stdout + done.stderr
