"""Processes that speak as one MID Server, one letter a heartbeat: which are a restart, and which are copies."""

from __future__ import annotations

import pytest

from openmid.instance.mid import copies
from openmid.instance.mid.copies import Process
from openmid.wire.messages import Heartbeat

START = 1_700_000_000_000_000


def after(processes: str) -> list[Process]:
    """What is known after their heartbeats."""
    known: list[Process] = []
    for each in processes:
        known = copies.heard(known, Heartbeat("0.1.0", f"host-{each}", START + ord(each)))
    return known


@pytest.mark.parametrize(
    ("processes", "found"),
    [
        ("", ""),
        ("aaaa", ""),
        ("aaaabbbb", ""),  # a restart
        ("abcdefghijkl", ""),  # over and over
        ("lkjihgfedcba", ""),  # the clock put back before each
        ("aabab", ""),  # the last heartbeat before the restart arrives late
        ("aabab" + 11 * "b" + "cbc", ""),  # and again at the next one
        ("abab", ""),
        ("ababa", "ab"),
        ("babab", "ab"),
        ("aaabbabbba", "ab"),  # one is quicker
        ("abcabc", "abc"),
        ("abcabcabc", "abc"),
        ("abacada", "ad"),  # a copy that starts over and over
        ("ababa" + 10 * "a", "ab"),
        ("ababa" + 11 * "a", ""),
        ("babab" + 6 * "cb", "bc"),  # the first one restarted, the other went on
    ],
)
def test_who_takes_turns(processes: str, found: str) -> None:
    assert "".join(each.host_name[-1] for each in copies.copies(after(processes))) == found


def test_what_is_kept_is_bounded() -> None:
    assert len(after("abcdefghijklmnopqrstuvwxyz")) == copies.KEPT


def test_no_host_and_no_time_breaks_the_sentence() -> None:
    known = [Process(2**62, "x" * 255, 0, 3), Process(-(2**62), "", 1, 2)]
    said = copies.sentence("m" * 80, known)
    assert said.endswith(f"{'x' * 40} (since an unknown time)")
    assert " (since an unknown time) and " in said
    assert copies.sentence("mid1", known[:1]) == ""
