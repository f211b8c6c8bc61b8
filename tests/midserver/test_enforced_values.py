"""In an enforced process: secure values, Vault, and a store of the MID Server's own; over the provider's TLS alone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from openmid.fips.provider import Staged
from tests.fips.conftest import provider, staged  # noqa: F401  fixtures
from tests.midserver.conftest import Authority
from tests.midserver.test_external_vault import ROOT, FakeVault, serve

ENFORCED = """
import json, sys
from pathlib import Path
from openmid.fips import activation
activation.enter(Path(sys.argv[1]))
from openmid.midserver import secure_values
from openmid.midserver.config import Config
from openmid.midserver.errors import SecretUnavailable
from openmid.midserver.external_store import Options
from openmid.midserver.external_vault import Vault
import _hashlib
config = Config.read(Path(sys.argv[2]))
names = secure_values.protect(config)
opened = Config.read(Path(sys.argv[2])).parameter("mid.proxy.password")
store = Vault(Options(config.agent, True, json.loads(sys.argv[3])))
try:
    found = store.secret("mid/partner")
except SecretUnavailable as error:
    found = str(error)
try:
    _hashlib.new("md5", b"")
    md5 = "there"
except ValueError:
    md5 = "refused"
print(json.dumps({"names": names, "opened": opened, "vault": found, "md5": md5}))
"""


@pytest.fixture
def vault(authority: Authority, tmp_path: Path) -> Iterator[FakeVault]:
    for fake in serve(authority, tmp_path, "localhost"):
        fake.answers["/v1/secret/data/mid/partner"] = fake.v2(password="word")
        yield fake


def enforced(staged: Staged, tmp_path: Path, vault: FakeVault) -> dict[str, object]:  # noqa: F811
    agent = tmp_path / "agent"
    agent.mkdir()
    (agent / "config.xml").write_text(
        '<parameters><parameter name="mid.proxy.password" value="sesame" secure="true"/></parameters>'
    )
    (agent / "token").write_text(ROOT)
    options = json.dumps({"url": vault.url, "ca": str(vault.ca), "token_file": "token"})
    words = [sys.executable, "-c", ENFORCED, str(staged.folder), str(agent), options]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "sesame" not in (agent / "config.xml").read_text()
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_secure_values_and_vault_work_under_the_provider(
    staged: Staged,  # noqa: F811
    tmp_path: Path,
    vault: FakeVault,
) -> None:
    assert enforced(staged, tmp_path, vault) == {
        "names": ["mid.proxy.password"],
        "opened": "sesame",
        "vault": "word",
        "md5": "refused",
    }


def test_a_vault_that_offers_nothing_approved_is_refused(
    staged: Staged,  # noqa: F811
    tmp_path: Path,
    vault: FakeVault,
) -> None:
    """ChaCha20 is no algorithm of the provider's: that hvac's TLS is the provider's shows in this."""
    vault.context.set_ciphers("ECDHE+CHACHA20")
    vault.context.maximum_version = vault.context.maximum_version.TLSv1_2
    assert "no TLS with Vault at" in str(enforced(staged, tmp_path, vault)["vault"])
    assert not vault.asked
