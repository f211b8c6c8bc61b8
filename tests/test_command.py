"""The `openmid` command as a whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("words", [["--help"], ["instance", "init", "--help"], ["mid", "status", "--help"]])
def test_standard_output_on_a_full_disk_is_a_sentence(words: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([sys.executable, "-m", "openmid", *words], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("openmid: standard output, or a file, cannot be written: No space left on device")
    assert "Traceback" not in done.stderr
