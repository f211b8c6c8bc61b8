"""The journal: what a MID Server knows after it was killed, at any byte."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

import pytest
from msgspec import Raw

from openmid.midserver import journal as module
from openmid.midserver.journal import FILE, Journal, JournalFull
from openmid.wire.codec import encode
from openmid.wire.messages import Job, JobResult, Released
from openmid.wire.probes import ProbeResult, RestProbe

SECRET = "ab" * 32
CANARY = "canary-of-the-partner"


def job(name: str) -> Job:
    return Job(name, f"lease-{name}", 60, Raw(encode(RestProbe("https://a", headers=[("Cookie", CANARY)]))))


def result(name: str, body: str = CANARY) -> JobResult:
    return JobResult(name, f"lease-{name}", ProbeResult(1, status_code=200, body=body))


def opened(agent: Path, limit: int = 1 << 20, secret: str = SECRET) -> Journal:
    return Journal(agent, secret, limit)


def killed(journal: Journal) -> None:
    """As kill -9 leaves it."""
    os.close(journal._file)


def test_each_job_is_left_as_far_as_it_had_come(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.taken([job("taken"), job("begun"), job("ended"), job("delivered")])
    for name in ("begun", "ended", "delivered"):
        journal.begun(name)
    journal.ended(result("ended"))
    journal.ended(result("delivered"))
    journal.delivered(["delivered"])
    killed(journal)
    left = opened(tmp_path).left
    assert left.results == [result("ended")]
    assert left.released == [Released("taken", "lease-taken", False), Released("begun", "lease-begun", True)]


def test_after_a_delivery_nothing_is_left_and_a_stop_empties_the_file(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.taken([job("a")])
    journal.begun("a")
    journal.ended(result("a"))
    journal.delivered(["a"])
    assert journal.undelivered_bytes == 0
    journal.close()
    again = opened(tmp_path)
    assert (again.left.results, again.left.released) == ([], [])
    assert again.size_bytes < 200


def test_killed_at_every_byte_a_job_is_never_said_to_be_unsent_once_it_was_begun(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    ends = []
    for step in (
        lambda: journal.taken([job("a"), job("b")]),
        lambda: journal.begun("a"),
        lambda: journal.ended(result("a", "x" * 50)),
        lambda: journal.delivered(["a"]),
    ):
        step()
        ends.append(journal.size_bytes)
    killed(journal)
    whole = (tmp_path / FILE).read_bytes()
    for size in range(len(whole) + 1):
        (tmp_path / FILE).write_bytes(whole[:size])
        left = opened(tmp_path).left
        taken, begun, ended, delivered = (size >= end for end in ends)
        assert [each.sys_id for each in left.results] == (["a"] if ended and not delivered else [])
        expected = [("a", begun)] if taken and not ended else []
        expected += [("b", False)] if taken else []
        assert [(each.sys_id, each.sent) for each in left.released] == expected
        assert not (tmp_path / "work/journal.damaged").exists()


def test_a_damaged_record_is_set_aside_and_what_stands_before_it_counts(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.taken([job("a")])
    end = journal.size_bytes
    journal.begun("a")
    journal.taken([job("b")])
    killed(journal)
    raw = bytearray((tmp_path / FILE).read_bytes())
    raw[end + 8] ^= 1
    (tmp_path / FILE).write_bytes(raw)
    again = opened(tmp_path)
    assert [each.sys_id for each in again.left.released] == ["a"]
    assert (tmp_path / "work/journal.damaged").stat().st_mode & 0o777 == 0o600
    again.taken([job("c")])
    killed(again)
    assert [each.sys_id for each in opened(tmp_path).left.released] == ["a", "c"]


def test_results_lie_encrypted_and_open_with_the_same_secret_only(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.taken([job("a")])
    journal.begun("a")
    journal.ended(result("a"))
    killed(journal)
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert CANARY.encode() not in (tmp_path / FILE).read_bytes()
    other = opened(tmp_path, secret="cd" * 32)
    assert other.left.results == []
    assert other.left.released == [Released("a", "lease-a", True)]  # whoever lost it says so


def test_after_a_new_start_of_the_machine_every_job_may_have_been_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = opened(tmp_path)
    journal.taken([job("a")])
    killed(journal)
    boot = tmp_path / "boot_id"
    boot.write_text("another")
    monkeypatch.setattr(module, "BOOT_ID", boot)
    assert opened(tmp_path).left.released == [Released("a", "lease-a", True)]


def test_and_so_it_is_at_every_start_after_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one is killed before it could give the job back."""
    journal = opened(tmp_path)
    journal.taken([job("a")])
    killed(journal)
    boot = tmp_path / "boot_id"
    boot.write_text("another")
    monkeypatch.setattr(module, "BOOT_ID", boot)
    journal = opened(tmp_path)
    journal.taken([job("b")])
    killed(journal)
    assert opened(tmp_path).left.released == [Released("a", "lease-a", True), Released("b", "lease-b", False)]


def test_a_copied_folder_knows_nothing_of_what_the_original_has_sent(tmp_path: Path) -> None:
    original = tmp_path / "original"
    original.mkdir()
    journal = opened(original)
    journal.taken([job("a")])
    copy = tmp_path / "copy"
    shutil.copytree(original, copy)
    journal.begun("a")
    assert opened(copy).left.released == [Released("a", "lease-a", True)]
    killed(journal)
    original.rename(tmp_path / "moved")
    assert opened(tmp_path / "moved").left.released == [Released("a", "lease-a", True)]


def test_a_moved_folder_is_the_same(tmp_path: Path) -> None:
    (tmp_path / "agent").mkdir()
    journal = opened(tmp_path / "agent")
    journal.taken([job("a")])
    killed(journal)
    (tmp_path / "agent").rename(tmp_path / "moved")
    assert opened(tmp_path / "moved").left.released == [Released("a", "lease-a", False)]


def test_a_full_disk_refuses_the_record_and_keeps_the_journal_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = opened(tmp_path)
    journal.taken([job("a")])
    real = os.write
    with monkeypatch.context() as full:
        full.setattr(os, "write", lambda file, data: real(file, data[:7]))
        with pytest.raises(JournalFull, match="the disk is full"):
            journal.begun("a")
    journal.taken([job("b")])
    killed(journal)
    assert opened(tmp_path).left.released == [Released("a", "lease-a", False), Released("b", "lease-b", False)]


def test_undelivered_results_are_bounded_and_counted(tmp_path: Path) -> None:
    journal = opened(tmp_path, limit=1000)
    journal.taken([job("a"), job("b")])
    for name in ("a", "b"):
        journal.begun(name)
        journal.ended(result(name, "x" * 600))
    assert journal.full
    journal.delivered(["a", "b"])
    assert not journal.full


def test_a_long_journal_is_written_anew_with_what_is_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COMPACT_BYTES", 500)
    journal = opened(tmp_path)
    journal.taken([job("waits"), job("runs"), job("has ended")])
    journal.begun("runs")
    journal.ended(result("has ended"))
    for number in range(100):
        journal.taken([job(str(number))])
        journal.begun(str(number))
        journal.ended(result(str(number)))
        journal.delivered([str(number)])
    assert journal.size_bytes < 5000
    killed(journal)
    left = opened(tmp_path).left
    assert left.results == [result("has ended")]
    assert [(each.sys_id, each.sent) for each in left.released] == [("waits", False), ("runs", True)]
    assert [each.name for each in (tmp_path / "work").iterdir()] == ["journal"]


def test_a_journal_that_fills_its_disk_makes_room_for_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in it is open any more: the disk is full of what the instance has."""
    room = 8192
    real = os.write

    def write(file: int, data: bytes) -> int:
        return real(file, data[: max(0, room - os.fstat(file).st_size)])

    monkeypatch.setattr(os, "write", write)
    journal = opened(tmp_path)
    for number in range(100):
        name = f"job{number}"
        with contextlib.suppress(JournalFull):
            journal.taken([job(name)])
            journal.begun(name)
            journal.ended(result(name, "x" * 300))
        journal.delivered([name])
    assert os.fstat(journal._file).st_size == journal.size_bytes < room
    journal.taken([job("last")])
    killed(journal)
    assert opened(tmp_path).left.released == [Released("last", "lease-last", False)]


def test_an_emptied_journal_says_since_when_before_it_says_anything_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = opened(tmp_path)
    os.ftruncate(journal._file, 0)
    journal._size = 0
    journal.taken([job("a")])
    killed(journal)
    monkeypatch.setattr(module, "_boot", lambda: "another start")
    assert opened(tmp_path).left.released == [Released("a", "lease-a", True)]
