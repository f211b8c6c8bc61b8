"""agent0.log: readable lines without secrets."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from openmid.midserver import logs, redact
from openmid.midserver.errors import ConfigError


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    for handler in set(logging.root.handlers) - set(handlers):
        handler.close()
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    structlog.reset_defaults()


def written(agent: Path) -> str:
    return (agent / "logs" / "agent0.log").read_text()


def test_a_line_says_when_how_bad_what_and_with_what(tmp_path: Path) -> None:
    logs.configure(tmp_path, "info", console=False)
    structlog.get_logger().info("the sentence", job="j1", empty="")
    structlog.get_logger().debug("not this")
    line = written(tmp_path).rstrip("\n")
    when, level, rest = line.split(maxsplit=2)
    assert when.endswith("Z")
    assert (level, rest) == ("info", "the sentence  job=j1")


def test_no_secret_is_written(tmp_path: Path) -> None:
    logs.configure(tmp_path, "debug", console=False)
    redact.learn("pa55word-of-the-store")
    log = structlog.get_logger()
    log.warning(
        "tried pa55word-of-the-store", password="short", header="Bearer abc.def", path="/pa55word-of-the-store/x"
    )
    logging.getLogger("aiohttp").error("broke on %s", "pa55word-of-the-store")
    for logger in (log, logging.getLogger("asyncio")):
        try:
            int("pa55word-of-the-store")
        except ValueError:
            logger.exception("failed")
    text = written(tmp_path)
    assert "pa55word" not in text
    assert "abc.def" not in text
    assert "password=********" in text
    assert text.count("ValueError: invalid literal for int() with base 10: '********'") == 2


def test_nothing_that_is_logged_begins_a_line_of_its_own(tmp_path: Path) -> None:
    logs.configure(tmp_path, "debug", console=False)
    forged = "a\n2026-01-31T12:00:00.000000Z error   forged"
    structlog.get_logger().info(f"GET https://{forged} was answered", client=f"CN={forged}", last="\x1b[2J\udcff ä")
    logging.getLogger("aiohttp").error("broke on %s", forged)
    lines = written(tmp_path).splitlines()
    assert len(lines) == 2
    assert lines[0].endswith(r"last=\x1b[2J\udcff ä")


def test_of_passing_secrets_the_last_ones_are_masked_and_the_others_cost_nothing() -> None:
    redact.learn("lasting-secret")
    for number in range(2 * redact.MOST_PASSING):
        redact.learn(f"passing-{number:06}", passing=True)
    last = f"passing-{2 * redact.MOST_PASSING - 1:06}"
    assert redact.clean(f"lasting-secret {last} passing-000000") == "******** ******** passing-000000"
    assert sum(each.startswith("passing-") for each in redact._learnt) == redact.MOST_PASSING


def test_an_unknown_level_has_its_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"mid\.log\.level"):
        logs.configure(tmp_path, "loud", console=False)


def test_the_file_is_rotated_by_its_size_and_counts_what_an_earlier_process_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "MOST_BYTES", 2000)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "agent0.log").write_text("before\n" * 200)
    logs.configure(tmp_path, "info", console=False)
    for number in range(60):
        structlog.get_logger().info(f"sentence {number}")
    files = sorted((tmp_path / "logs").iterdir())
    assert [each.name for each in files] == ["agent0.log", "agent0.log.1", "agent0.log.2"]
    assert all(each.stat().st_size <= 2000 + 100 for each in files)
    text = "".join(each.read_text() for each in reversed(files))
    assert [line.rsplit(" ", 1)[1] for line in text.splitlines() if "sentence" in line] == [str(n) for n in range(60)]
    assert text.startswith("before\n")
