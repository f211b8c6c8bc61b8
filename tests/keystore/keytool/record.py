"""Records transcripts/*.txt anew with Java's keytool and Bouncy Castle: `python -m tests.keystore.keytool.record [NAME...]`.

The files and commands of each transcript stay, and what keytool writes is put under them.
"""

from __future__ import annotations

import datetime
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from tests import parts
from tests.keystore.keytool.transcript import FOLDER, Exchange, Transcript

JAVA = ("-J-Duser.language=en", "-J-Duser.country=US", "-J-Duser.timezone=UTC", "-J-Dfile.encoding=UTF-8")


def keytool(step: Exchange, folder: Path) -> Exchange:
    """Run one command of Java's keytool."""
    bouncy_castle = ("-provider", "org.bouncycastle.jce.provider.BouncyCastleProvider", "-providerpath", parts.bcprov())
    words = [word for part in shlex.split(step.command) for word in (bouncy_castle if part == "$BC" else [part])]
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC", "SECRET": "changeit"}
    program = [parts.program("keytool", "default-jre-headless"), *JAVA]
    done = subprocess.run(
        [*program, *words], cwd=folder, input=step.answers.encode(), capture_output=True, env=environment, check=False
    )
    today = datetime.datetime.now(datetime.UTC)
    day = f"{today:%b} {today.day}, {today.year}"
    out, err = (text.decode().replace(day, "<today>") for text in (done.stdout, done.stderr))
    return step._replace(out=out, err=err, status=done.returncode)


def record(path: Path) -> None:
    asked = Transcript.load(path)
    with tempfile.TemporaryDirectory() as folder:
        asked.lay_out(Path(folder))
        exchanges = [keytool(step, Path(folder)) for step in asked.exchanges]
    asked._replace(exchanges=exchanges).save(path)


if __name__ == "__main__":
    for path in [FOLDER / f"{name}.txt" for name in sys.argv[1:]] or sorted(FOLDER.glob("*.txt")):
        print(path.stem, flush=True)
        record(path)
