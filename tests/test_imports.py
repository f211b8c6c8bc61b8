"""What importing costs: nothing may pull in `cryptography` before `openmid.fips.activation` has run."""

from __future__ import annotations

import subprocess
import sys

import pytest

EARLY = ["openmid", "openmid.fips", "openmid.fips.activation", "openmid.fips.provider", "openmid.fips.keys"]
EARLY += ["openmid.cli", "openmid.cli.commands"]


@pytest.mark.parametrize("module", EARLY)
def test_importing_it_does_not_import_cryptography(module: str) -> None:
    code = f"import sys, {module}; print('cryptography' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_command_line_teaches_without_importing_a_room() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "openmid", "--help"], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert {word for word in ("demo", "instance", "mid", "keytool") if f"\n  {word} " in done.stdout} == {
        "demo",
        "instance",
        "mid",
        "keytool",
    }
    assert "django" not in done.stderr
    assert "aiohttp" not in done.stderr
