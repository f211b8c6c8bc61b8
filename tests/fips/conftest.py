"""The real provider: found on this machine, or built once into the user's cache folder. Nothing here is enforced in
the process of pytest itself: whatever is enforced runs in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from openmid.fips import build
from openmid.fips.errors import FipsError
from openmid.fips.provider import Provider, Staged, find_provider, stage
from tests import parts

Python = Callable[..., "subprocess.CompletedProcess[str]"]


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
    """Run Python code (or a module, with `module=`) in a process of its own."""

    def run(code: str, *words: object, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        given = [sys.executable, *(["-m", code] if " " not in code and "." in code else ["-c", code]), *map(str, words)]
        return subprocess.run(
            given, env=os.environ | (env or {}), capture_output=True, text=True, timeout=60, check=False
        )

    return run
