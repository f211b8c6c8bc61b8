"""Our two test providers, compiled once, and staged as the real one is: a copy for each libcrypto."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from openmid.fips.provider import MODULE, Provider, stage
from tests import parts

SOURCE = Path(__file__).with_name("counting.c")


def _compiled(folder: Path, *options: str) -> Path:
    compiler = parts.program("cc", "build-essential")
    found = subprocess.run(
        [compiler, "-E", "-x", "c", "-"],
        input="#include <openssl/core.h>\n",
        capture_output=True,
        text=True,
        check=False,
    )
    if found.returncode != 0:
        parts.missing("openssl/core.h", "libssl-dev")
    made = folder / MODULE
    words = [compiler, "-O1", "-Wall", "-Werror", "-shared", "-fPIC", *options, "-o", str(made), str(SOURCE), "-ldl"]
    subprocess.run(words, check=True, timeout=120)
    return made


@pytest.fixture(scope="session")
def counting(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A staged folder in which each fips.so counts and hands on to the real one beside it."""
    folder = tmp_path_factory.mktemp("counting")
    made = _compiled(folder)
    staged = stage(provider, folder / "staged").folder
    for module in staged.glob(f"*/{MODULE}"):
        module.rename(module.with_name("real-fips.so"))
        shutil.copy(made, module)
    return staged


@pytest.fixture(scope="session")
def empty(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A staged folder in which each fips.so is active and offers nothing."""
    folder = tmp_path_factory.mktemp("empty")
    made = _compiled(folder, "-DEMPTY")
    staged = stage(provider, folder / "staged").folder
    for module in staged.glob(f"*/{MODULE}"):
        shutil.copy(made, module)
    return staged
