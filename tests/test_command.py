"""The `openmid` command as a whole."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import trustme


@pytest.mark.parametrize("words", [["--help"], ["instance", "init", "--help"], ["mid", "status", "--help"]])
def test_standard_output_on_a_full_disk_is_a_sentence(words: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([sys.executable, "-m", "openmid", *words], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("openmid: standard output, or a file, cannot be written: No space left on device")
    assert "Traceback" not in done.stderr


def test_the_advice_to_start_a_mid_server_can_be_pasted(tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    (tmp_path / "token").write_text("enrol-x\n")
    words = ["install", str(tmp_path / "a folder"), "--url", "https://instance.test", "--name", "mid-1"]
    files = ["--ca", str(tmp_path / "ca.pem"), "--token", str(tmp_path / "token")]
    said = subprocess.run(
        [sys.executable, "-m", "openmid", "mid", *words, *files], capture_output=True, text=True, check=True
    ).stderr
    script, word = shlex.split(said.removeprefix("start it: "))
    assert (Path(script).is_file(), word) == (True, "start")
