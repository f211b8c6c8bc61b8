"""The text form of a transcript: files, what was typed, what was answered. transcripts/README.md has the rules."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

from tests.keystore.vectors import FOLDER as VECTORS

FOLDER = Path(__file__).parent / "transcripts"
CERTIFICATES = Path(__file__).parent / "certificates"
_NO_NEWLINE = "\\ no newline\n"


class Exchange(NamedTuple):
    """One command line (without `keytool`), what was typed at its questions, and what came back."""

    command: str
    answers: str
    out: str
    err: str
    status: int


class Transcript(NamedTuple):
    """Files by name, each a vector; and commands that ran in a folder of them, one after the other."""

    files: dict[str, str]
    exchanges: list[Exchange]

    def lay_out(self, folder: Path) -> None:
        for name, vector in self.files.items():
            known = CERTIFICATES / vector
            shutil.copyfile(known if known.exists() else VECTORS / vector, folder / name)

    def save(self, path: Path) -> None:
        text = "".join(f"file {name} = {vector}\n" for name, vector in self.files.items())
        for step in self.exchanges:
            typed = "".join(f"< {line}\n" for line in step.answers.splitlines())
            text += f"\n$ keytool {step.command}\n{typed}--- stdout\n{_block(step.out)}--- stderr\n{_block(step.err)}"
            text += f"--- exit {step.status}\n"
        path.write_text(text, encoding="utf-8", newline="")

    @classmethod
    def load(cls, path: Path) -> Transcript:
        head, *steps = path.read_bytes().decode().split("\n$ keytool ")
        pairs = [line.removeprefix("file ").split(" = ") for line in head.splitlines() if line.startswith("file ")]
        return cls(dict(pairs), [_exchange(step) for step in steps])


def _exchange(text: str) -> Exchange:
    """A step without answers yet (for recording) has neither streams nor status."""
    typed, _, rest = text.partition("--- stdout\n")
    command, *answers = typed.rstrip("\n").split("\n")
    out, _, rest = rest.partition("--- stderr\n")
    err, _, status = rest.rpartition("--- exit ")
    lines = "".join(f"{line.removeprefix('< ')}\n" for line in answers if line.startswith("< ") or line == "<")
    return Exchange(command, lines, _unblock(out), _unblock(err), int(status or 0))


def _block(text: str) -> str:
    text = text.replace("\r", "␍")
    return text if text.endswith("\n") or not text else f"{text}\n{_NO_NEWLINE}"


def _unblock(text: str) -> str:
    text = text.replace("␍", "\r")
    return text.removesuffix("\n" + _NO_NEWLINE) if text.endswith(_NO_NEWLINE) else text
