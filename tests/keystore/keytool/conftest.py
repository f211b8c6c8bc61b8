"""`keytool(...)` runs a command line in this process, in an empty folder."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from openmid.keystore.keytool.__main__ import main


class Answer(NamedTuple):
    status: int
    out: str
    err: str


class Keytool:
    """`answers` are what standard input holds; `here` is the folder."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, here: Path) -> None:
        self.capsys, self.monkeypatch, self.here = capsys, monkeypatch, here

    def __call__(self, line: str, *more: str, answers: str = "") -> Answer:
        self.monkeypatch.setattr(sys, "stdin", io.StringIO(answers))
        status = main([*line.split(), *more])
        return Answer(status, *self.capsys.readouterr())

    def fine(self, line: str, *more: str, answers: str = "") -> Answer:
        done = self(line, *more, answers=answers)
        assert done.status == 0, done
        return done

    def refused(self, line: str, *more: str, answers: str = "") -> str:
        """What it said; a failure says it on standard output, and never with a traceback."""
        done = self(line, *more, answers=answers)
        assert done.status == 1, done
        assert done.out.startswith("keytool error: "), done
        assert "Traceback" not in done.out + done.err
        return done.out


@pytest.fixture
def keytool(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Keytool:
    monkeypatch.chdir(tmp_path)
    return Keytool(capsys, monkeypatch, tmp_path)
