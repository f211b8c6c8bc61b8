"""With a provider in its place that offers nothing, the MID Server's cryptography fails, kind by kind: nothing else in the
process would do it instead. What still succeeds is known, with its call sites."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import trustme

import openmid
from openmid import keystore
from openmid.fips.provider import Provider, stage
from openmid.midserver import agent_key
from openmid.midserver.process import PUBLIC_KEY
from openmid.wire.sealing import SealedFor, seal
from tests.fips.evidence.conftest import SOURCE
from tests.midserver.conftest import PASSWORD, authority, bcfks, chain, client, pkcs8  # noqa: F401  fixtures

pytestmark = pytest.mark.xdist_group("evidence")  # compiled once
DOCS = Path(__file__).parents[3] / "docs" / "fips-evidence.md"
STILL = {
    "hashlib.sha256",
    "the fingerprint shown on the host (midserver.process.fingerprint)",
    "the fingerprint of a sealing key (wire.sealing.fingerprint)",
    "approving a certificate (fips.policy)",
    "numbers of the kernel (os.urandom, secrets)",
    "jitter of a repetition (random)",
    "reading a certificate's names and dates (midserver.certificate)",
}


def tried(staged: Path, folder: Path, bcfks: Path, client: trustme.LeafCert, own: Path) -> dict[str, str]:  # noqa: F811
    agent = folder / "agent"
    shutil.copytree(own, agent / "security")
    files = {"certificate": chain(client)[0], "public": (agent / PUBLIC_KEY).read_bytes()}
    files["key"] = (
        keystore.load(agent / agent_key.KEYSTORE, (agent / agent_key.SECRET).read_text())
        .private_keys()["mid"]
        .private_key
    )
    bound = SealedFor("mid", "mid_protocol_profile", "record", "password")
    files["sealed"] = seal("secret", files["public"].decode(), bound).encode()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    words = [staged, agent, bcfks, PASSWORD, *(folder / name for name in ("certificate", "public", "key", "sealed"))]
    done = subprocess.run(
        [sys.executable, SOURCE.with_name("operations.py"), *map(str, words)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(found, dict)
    return found


def test_without_the_provider_every_kind_fails(
    empty: Path,
    tmp_path: Path,
    bcfks: Path,  # noqa: F811
    client: trustme.LeafCert,  # noqa: F811
    own_keystore: Path,
) -> None:
    found = tried(empty, tmp_path, bcfks, client, own_keystore)
    sys.stderr.write(json.dumps(found, indent=1) + "\n")
    assert {kind for kind, problem in found.items() if not problem} == STILL
    text = DOCS.read_text()
    for kind in found:
        assert kind in text, f"docs/fips-evidence.md does not list: {kind}"


def test_with_the_provider_every_kind_succeeds(
    provider: Provider,
    tmp_path: Path,
    bcfks: Path,  # noqa: F811
    client: trustme.LeafCert,  # noqa: F811
    own_keystore: Path,
) -> None:
    """The counter-test: the same operations, the same process, the real module."""
    staged = stage(provider, tmp_path / "staged").folder
    found = tried(staged, tmp_path, bcfks, client, own_keystore)
    problems = {kind: problem for kind, problem in found.items() if problem}
    assert problems == {}


@pytest.mark.parametrize("room", ["midserver", "wire", "diagnosis"])
def test_every_use_of_hashlib_is_listed(room: str) -> None:
    text = DOCS.read_text()
    package = Path(openmid.__file__).parent
    for path in sorted((package / room).rglob("*.py")):
        for row in path.read_text().splitlines():
            if (
                re.search(r"\b(hashlib\.|sha256\(|secrets\.[a-z]|os\.urandom|random\.[a-z])", row)
                and "import" not in row
            ):
                assert str(path.relative_to(package)) in text, f"{path.name}: {row.strip()}"
