"""bench/pages.py with few rows, over a copy of the furnished instance: no page asks the database more than 20 times."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.browser.furnished import Furnished
from tests.browser.standing import Standing

pytestmark = pytest.mark.xdist_group("browser")  # not that it needs one: there the furnished instance stands
ROOT = Path(__file__).parents[2]
MOST_QUERIES = 20


def copied(instance: Standing, found: Furnished, folder: Path) -> Path:
    """Its folder as a bench may have it, while it runs."""
    shutil.copytree(instance.folder, folder, ignore=shutil.ignore_patterns("openmid.sqlite3*"))
    with (
        contextlib.closing(sqlite3.connect(instance.folder / "openmid.sqlite3")) as one,
        contextlib.closing(sqlite3.connect(folder / "openmid.sqlite3")) as other,
    ):
        one.backup(other)
    (folder / "furnished.json").write_text(json.dumps(found.records))
    return folder


def test_no_page_takes_more_than_twenty_queries(furnished: tuple[Standing, Furnished], tmp_path: Path) -> None:
    folder = copied(*furnished, tmp_path / "instance")
    command = [sys.executable, "bench/pages.py", "--json", "--executions", "120", "--rounds", "1"]
    done = subprocess.run([*command, "--furnished", folder], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    pages = json.loads(done.stdout)["pages"]
    assert len(pages) > 80
    assert [page for page in pages if page["queries"] > MOST_QUERIES] == []
