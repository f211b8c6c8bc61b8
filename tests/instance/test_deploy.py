"""Django's own check of a deployment finds nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.instance.test_commands import openmid


def test_check_deploy(tmp_path: Path) -> None:
    folder = tmp_path / "instance"
    openmid("init", str(folder), "--public-name", "openmid.example")
    environment = {
        **os.environ,
        "OPENMID_INSTANCE_DIR": str(folder),
        "DJANGO_SETTINGS_MODULE": "openmid.instance.settings",
    }
    words = [sys.executable, "-m", "django", "check", "--deploy", "--fail-level", "INFO"]
    done = subprocess.run(words, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout
