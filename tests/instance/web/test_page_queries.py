"""bench/pages.py with few rows: no page asks the database more than 20 times."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
MOST_QUERIES = 20


def test_no_page_takes_more_than_twenty_queries() -> None:
    command = [sys.executable, "bench/pages.py", "--json", "--executions", "120", "--rounds", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    pages = json.loads(done.stdout)["pages"]
    assert len(pages) > 80
    assert [page for page in pages if page["queries"] > MOST_QUERIES] == []
