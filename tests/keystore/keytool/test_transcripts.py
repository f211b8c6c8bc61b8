"""What Java's keytool answered is what ours answers: streams, bytes and exit status. transcripts/README.md says how it
was recorded; what is different on purpose is in docs/keytool.md, and told here by rule."""

from __future__ import annotations

import io
import os
import re
import shlex
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from openmid.keystore.keytool import describe
from openmid.keystore.keytool.__main__ import main
from tests.keystore.keytool.transcript import FOLDER, Exchange, Transcript

BC = [
    "-provider",
    "org.bouncycastle.jce.provider.BouncyCastleProvider",
    "-providerpath",
    "/nowhere/bcprov.jar",
]
USAGE = re.compile(r"^(Key and Certificate Management Tool|keytool -\w+ \[OPTION\]\.\.\.).*", re.S | re.M)
# Ours are other answers on purpose, tested in test_commands.py and ../test_keytool.py: (transcript, number of the step).
OTHERWISE = {
    ("certreq", 4): "RSASSA-PSS signs with a random salt",
    ("genkeypair", 10): "another sentence about the size",
    ("genkeypair", 20): "the keys are new ones",
    ("importcert", 17): "a secret key in the way is said",
    ("list-bcfks", 10): "the password is asked for",
    ("list-pkcs12", 6): "no listing without the password",
    ("printcert", 8): "text around PEM is skipped",
    ("printcert", 9): "a key beside the certificates is skipped",
    ("printcert", 10): "text around PEM is skipped",
    ("showinfo", 2): "suites have OpenSSL's names",
    ("usage", 2): "help that was asked for goes to standard output",
    ("usage", 12): "help that was asked for goes to standard output",
    ("usage", 15): "no default keystore",
    ("weak", 12): "keys that are not approved are not made",
}


@pytest.fixture(autouse=True)
def utc() -> Iterator[None]:
    """The transcripts are of a machine on UTC."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "UTC"
    time.tzset()
    yield
    del os.environ["TZ"]
    if before is not None:
        os.environ["TZ"] = before
    time.tzset()


def normal(out: str, err: str) -> tuple[str, str]:
    """Both streams without what is different on purpose everywhere."""
    out = re.sub(r"^Keystore provider: \w+$", "Keystore provider: openmid", out, flags=re.M)
    out = re.sub(r"^keytool error: java\.lang\.Exception: ", "keytool error: ", out)
    out = re.sub(r"^keytool error: [a-z]+(\.\w+)+: .*", "keytool error: (another sentence)", out, flags=re.S)
    out = re.sub(r"^hint: .*\n", "", out, flags=re.M)
    err = re.sub(r"^note: .*\n", "", err, flags=re.M)
    return USAGE.sub("(usage)", out), USAGE.sub("(usage)", err)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.txt")), ids=lambda path: path.stem)
def test_ours_answers_as_javas_does(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    transcript = Transcript.load(path)
    transcript.lay_out(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECRET", "changeit")
    for number, step in enumerate(transcript.exchanges, 1):
        ours = run(step, capsys, monkeypatch)
        if (path.stem, number) not in OTHERWISE:
            assert_alike(step, ours)


def run(step: Exchange, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Exchange:
    words = [word for part in shlex.split(step.command) for word in (BC if part == "$BC" else [part])]
    monkeypatch.setattr(sys, "stdin", io.StringIO(step.answers))
    status = main(words)
    today = describe.day(datetime.now(UTC))  # the vectors were made on the day of the recording: that was "today" too
    out, err = (text.replace(today, "<today>").replace("Nov 23, 2026", "<today>") for text in capsys.readouterr())
    return step._replace(out=out, err=err, status=status)


def assert_alike(theirs: Exchange, ours: Exchange) -> None:
    expected, found = normal(theirs.out, theirs.err), normal(ours.out, ours.err)
    if expected[0].endswith("(another sentence)"):
        found = (re.sub(r"^keytool error: .*", "keytool error: (another sentence)", found[0], flags=re.S), found[1])
    what = f"keytool {theirs.command}"
    assert (what, *found, ours.status) == (what, *expected, theirs.status)
