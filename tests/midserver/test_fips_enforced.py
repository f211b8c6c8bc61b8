"""A MID Server in FIPS Enforced Mode, switched by its script, under the real provider."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from pathlib import Path

import pytest
import trustme

from openmid.fips.provider import Provider
from openmid.midserver.process import fingerprint
from openmid.wire.probes import ProbeResult, RestProbe
from tests.fips.conftest import provider  # noqa: F401  a fixture
from tests.fips.test_kills import BEFORE_CONFIG
from tests.midserver.conftest import PASSWORD, Authority, write_pkcs12
from tests.midserver.fake_instance import FakeInstance
from tests.midserver.partner import Partner
from tests.midserver.test_process import Installed, installed, instance, own_key  # noqa: F401  fixtures

pytestmark = pytest.mark.e2e


@pytest.fixture
async def enforced(installed: Installed, provider: Provider) -> Installed:  # noqa: F811
    status, out, err = await installed.sh("on", script="scripts/set-fips-enforced-mode.sh")
    assert status == 0, out + err
    return installed


async def call(instance: FakeInstance, probe: RestProbe) -> ProbeResult:  # noqa: F811
    count = len(instance.results)
    await instance.give(probe)
    await instance.until(lambda: len(instance.results) > count)
    return instance.results[-1].result


def ed25519_store(folder: Path, authority: Authority) -> Path:
    """A BCFKS store with a key that the policy does not approve."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ed25519
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
    from cryptography.x509.oid import NameOID

    from openmid.keystore import KeyStore
    from openmid.midserver.agent_key import LIFETIME

    key = ed25519.Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "edwards")])
    import datetime

    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + LIFETIME)
    store = KeyStore()
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    store.set_private_key("client", der, [builder.sign(key, None).public_bytes(Encoding.DER)])
    store.save(folder / "edwards.bcfks", PASSWORD)
    return folder / "edwards.bcfks"


async def test_calls_in_fips_enforced_mode(
    enforced: Installed,
    instance: FakeInstance,  # noqa: F811
    authority: Authority,
    partner: Partner,
    bcfks: Path,
    client: trustme.LeafCert,
    tmp_path: Path,
) -> None:
    enforced.allow(partner.port)
    p12 = write_pkcs12(tmp_path / "client.p12", client)
    edwards = ed25519_store(tmp_path, authority)
    await instance.set_profiles(
        ("mauth", str(bcfks), PASSWORD), ("old", str(p12), PASSWORD), ("edwards", str(edwards), PASSWORD)
    )
    await enforced.start()
    line = next(line for line in enforced.log.splitlines() if "Running in FIPS Enforced mode" in line)
    assert "OpenSSL FIPS Provider" in line
    assert "ssl (OpenSSL" in line
    beat = instance.heartbeats[-1]
    assert beat.fips_enforced
    assert beat.proof
    assert json.loads(beat.proof.text)["enforced"]

    _, out, _ = await enforced.sh("status")
    assert "  proved       ssl: " in out
    assert "  proved       cryptography: " in out
    assert "FAILED" not in out

    address = f"//localhost:{partner.port}/"
    asked = {"ca_certificates": authority.pem, "require_fips": True}
    good = await call(instance, RestProbe("mauth:" + address, **asked))  # type: ignore[arg-type]
    assert (good.status_code, good.fips_enforced) == (200, True), good.failure
    assert "AES" in good.tls.cipher

    old = (await call(instance, RestProbe("old:" + address, **asked))).failure  # type: ignore[arg-type]
    assert old
    assert old.code == "keystore_not_bcfks"
    assert f"-srckeystore {p12} -srcstoretype PKCS12" in old.remedy
    assert f"-destkeystore {tmp_path / 'client.bcfks'} -deststoretype BCFKS" in old.remedy

    refused = (await call(instance, RestProbe("edwards:" + address, **asked))).failure  # type: ignore[arg-type]
    assert refused
    assert refused.code == "keystore_not_approved"
    assert str(edwards) in refused.message


@pytest.mark.parametrize("libcrypto", ["ssl", "cryptography"])
async def test_without_its_proof_it_does_not_start(
    enforced: Installed,
    instance: FakeInstance,  # noqa: F811
    libcrypto: str,
) -> None:
    module = enforced.agent / "security" / "fips" / libcrypto / "fips.so"
    content = bytearray(module.read_bytes())
    content[len(content) // 2] ^= 1
    module.write_bytes(content)
    status, out, err = await enforced.sh("start")
    assert (status, out) == (1, "")
    assert err.startswith("openmid: the MID Server does not start: ")
    assert "Traceback" not in err
    assert not instance.public_key
    assert (await enforced.sh("status"))[0] == 3


async def test_with_its_staged_provider_gone_it_does_not_start(enforced: Installed) -> None:
    shutil.rmtree(enforced.agent / "security" / "fips")
    status, _, err = await enforced.sh("start")
    assert status == 1
    assert "does not start" in err


async def test_its_start_puts_back_what_a_killed_switch_left(
    installed: Installed,  # noqa: F811
    instance: FakeInstance,  # noqa: F811
    provider: Provider,  # noqa: F811
) -> None:
    await installed.start()
    assert (await installed.sh("stop"))[0] == 0
    before = fingerprint(installed.agent)
    killed = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        "-c",
        BEFORE_CONFIG,
        str(installed.agent),
        str(provider.path),
        stderr=asyncio.subprocess.PIPE,
    )
    await killed.communicate()
    assert killed.returncode == -9
    status, out, _ = await installed.sh("status", script="scripts/set-fips-enforced-mode.sh")
    assert (status, "was being switched on and was interrupted" in out) == (3, True)
    await installed.start()
    assert "was interrupted; everything was put back" in installed.log
    assert fingerprint(installed.agent) == before
    assert not instance.heartbeats[-1].fips_enforced
    assert (await installed.sh("status", script="scripts/set-fips-enforced-mode.sh"))[0] == 1
