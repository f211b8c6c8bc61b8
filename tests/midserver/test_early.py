"""What runs before FIPS Enforced Mode is entered may not import `cryptography`."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["start", "config", "process", "control", "install", "logs", "redact"])
def test_it_does_not_import_cryptography(module: str) -> None:
    code = f"import sys, openmid.cli.mid, openmid.midserver.{module}; print('cryptography' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
