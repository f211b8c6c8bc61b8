"""Heartbeats stay below what the instance takes."""

from __future__ import annotations

import pytest

from openmid.midserver import heartbeats
from openmid.wire.codec import encode
from openmid.wire.messages import MAX_HEARTBEAT_BYTES, Heartbeat, ProfileStatus


def beat(profiles: int = 1, words: int = 10, lines: int = 1) -> Heartbeat:
    return Heartbeat(
        version="1",
        host_name="h",
        started=1,
        profiles=[
            ProfileStatus(
                sys_id=f"{n:032x}", protocol="mauth", loaded=False, error="\u20ac" * words, remedy="x" * words
            )
            for n in range(profiles)
        ],
        log_tail=["y" * words] * lines,
    )


def test_a_small_one_is_as_it_was() -> None:
    assert heartbeats.fitting(beat()) == beat()


@pytest.mark.parametrize(
    ("profiles", "words", "lines"), [(20, 5000, 100), (300, 5000, 100), (2000, 5000, 100), (1, 10, 100)]
)
def test_whatever_there_is_to_say_it_fits(profiles: int, words: int, lines: int) -> None:
    found = heartbeats.fitting(beat(profiles, words, lines))
    assert len(encode(found)) < MAX_HEARTBEAT_BYTES
    assert len(found.profiles) == min(profiles, 200 if profiles > 300 else profiles)
    assert all(each.error for each in found.profiles)
