"""The real provider: found on this machine, or built once into the user's cache folder. Nothing here is enforced in
the process of pytest itself: whatever is enforced runs in a process of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from openmid.fips import build
from openmid.fips.errors import FipsError
from openmid.fips.provider import Provider, Staged, find_provider, stage
from openmid.midserver import agent_key, install
from tests import parts

Python = Callable[..., "subprocess.CompletedProcess[str]"]
Switch = Callable[..., "subprocess.CompletedProcess[str]"]
SCRIPT = "bin/scripts/set-fips-enforced-mode.sh"


@pytest.fixture(scope="session")
def provider() -> Provider:
    try:
        return find_provider()
    except FipsError:
        try:
            return find_provider(build.build())
        except FipsError as error:
            parts.missing(
                f"an OpenSSL FIPS provider ({error})", "openssl-provider-fips, or dpkg-dev build-essential perl"
            )
            raise AssertionError from error


@pytest.fixture
def staged(provider: Provider, tmp_path: Path) -> Staged:
    return stage(provider, tmp_path / "fips")


@pytest.fixture
def python() -> Python:
    """Run Python code, or a module by its dotted name, in a process of its own."""

    def run(code: str, *words: object, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        given = [sys.executable, *(["-m", code] if " " not in code and "." in code else ["-c", code]), *map(str, words)]
        return subprocess.run(
            given, env=os.environ | (env or {}), capture_output=True, text=True, timeout=60, check=False
        )

    return run


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def own_keystore(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """security/ after a first start; made once, since a key of RSA-3072 takes its time."""
    folder = tmp_path_factory.mktemp("template") / "agent"
    (folder / "security").mkdir(parents=True)
    agent_key.load_or_create(folder, "mid-one")
    return folder / "security"


@pytest.fixture
def agent(tmp_path: Path, authority: trustme.CA) -> Path:
    """Installed and never started: it has no key of its own yet."""
    ca = authority.cert_pem.bytes().decode()
    return install.install(tmp_path / "mid one", install.Wish("https://instance.test", "mid-one", ca, "token"))[0]


@pytest.fixture
def started(agent: Path, own_keystore: Path) -> Path:
    """Installed, and started once: it has a key of its own."""
    shutil.copytree(own_keystore, agent / "security", dirs_exist_ok=True)
    return agent


@pytest.fixture
def switch(agent: Path, provider: Provider) -> Switch:
    """Run the script as an administrator does; the provider is named by the environment."""

    def run(*words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"OPENMID_FIPS_PROVIDER": str(provider.path)} | (env or {})
        return subprocess.run(
            [agent / SCRIPT, *words], cwd="/", env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    return run


def snapshot(agent: Path) -> dict[str, tuple[int, bytes]]:
    """Every file of the agent folder, with its mode; not what only says that somebody looked."""
    return {
        str(path.relative_to(agent)): (path.stat().st_mode, path.read_bytes())
        for path in sorted(agent.rglob("*"))
        if path.is_file() and path.name != "mid.lock"
    }
