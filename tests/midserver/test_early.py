"""What runs before FIPS Enforced Mode is entered may not import `cryptography`."""

from __future__ import annotations

import subprocess
import sys

import pytest

from openmid.midserver import start


@pytest.mark.parametrize("module", ["start", "config", "process", "control", "install", "logs", "redact"])
def test_it_does_not_import_cryptography(module: str) -> None:
    code = f"import sys, openmid.cli.mid, openmid.midserver.{module}; print('cryptography' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_loop_is_uvloops_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("uvloop")
    for module in ("uvloop", "asyncio"):
        loop = start.new_loop()
        assert type(loop).__module__.startswith(module)
        loop.close()
        monkeypatch.setitem(sys.modules, "uvloop", None)  # as on Windows
