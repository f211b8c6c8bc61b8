"""One target under atheris: `FUZZ_SELF=... python -m fuzz.fuzz TARGET FINDINGS [libFuzzer's arguments] CORPUS`, by fuzz/run.

A finding is written into the folder FINDINGS, with its traceback, and does not end the run: one of each kind is kept.
"""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path

import atheris  # type: ignore[import-untyped, import-not-found, unused-ignore]

with atheris.instrument_imports(include=["openmid.keystore"]):
    from fuzz import mutation, targets


def kind(error: BaseException) -> str:
    """Where it was raised, and what: two findings of one kind are one."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "openmid" in frame.filename]
    place = f"{Path(frames[-1].filename).stem}-{frames[-1].name}-{frames[-1].lineno}" if frames else "harness"
    return f"{type(error).__name__}-{place}"


def main() -> None:
    target, folder = sys.argv[1], Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)

    def one(data: bytes) -> None:
        try:
            targets.exercise(target, data)
        except Exception as error:
            report = folder / f"{target}-{kind(error)}"
            if not report.with_suffix(".bin").exists():
                report.with_suffix(".bin").write_bytes(data)
                report.with_suffix(".txt").write_text("".join(traceback.format_exception(error)))
                sys.stderr.write(f"finding: {report.name}\n")

    def structured(data: bytes, largest: int, seed: int) -> bytes:
        return mutation.mutate(data, largest, seed, atheris.Mutate)

    how = {} if target in targets.NOT_DER else {"custom_mutator": structured}
    atheris.Setup([os.environ["FUZZ_SELF"], *sys.argv[3:]], one, **how)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
