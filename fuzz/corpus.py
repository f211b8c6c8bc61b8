"""The corpus of each target as one zip file beside this one: `python -m fuzz.corpus pack|unpack TARGET FOLDER`."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

MOST = 150  # inputs kept for each target, the smallest: enough to start from, few enough to replay in a test
MOMENT = (2026, 1, 1, 0, 0, 0)  # of every member: the same corpus is the same file


def archive(target: str) -> Path:
    return Path(__file__).parent / "corpus" / f"{target}.zip"


def members(target: str) -> Iterator[tuple[str, bytes]]:
    """(name, input) of a target's corpus; nothing where there is none yet."""
    if archive(target).exists():
        with zipfile.ZipFile(archive(target)) as file:
            for name in file.namelist():
                yield name, file.read(name)


def unpack(target: str, folder: Path) -> None:
    for name, data in members(target):
        (folder / Path(name).name).write_bytes(data)


def pack(target: str, folder: Path) -> None:
    archive(target).parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(archive(target), "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(sorted(folder.iterdir(), key=lambda path: path.stat().st_size)[:MOST]):
            file.writestr(zipfile.ZipInfo(path.name, MOMENT), path.read_bytes(), zipfile.ZIP_DEFLATED)


if __name__ == "__main__":
    {"pack": pack, "unpack": unpack}[sys.argv[1]](sys.argv[2], Path(sys.argv[3]))
