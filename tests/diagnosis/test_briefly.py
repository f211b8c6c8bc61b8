"""The causes that a retry policy may name."""

from __future__ import annotations

from openmid.diagnosis.briefly import BRIEFLY, LEFT_OUT, OTHERS_BRIEFLY, PASSING_BRIEFLY
from openmid.diagnosis.causes import CAUSES, PASSING


def test_every_cause_has_its_few_words_but_those_that_no_repetition_mends() -> None:
    assert BRIEFLY.keys() <= CAUSES.keys()
    assert {"request_invalid", "fips_required", "profile_not_loaded"} == LEFT_OUT
    assert len(set(BRIEFLY.values())) == len(BRIEFLY)


def test_those_that_pass_come_first() -> None:
    assert PASSING_BRIEFLY.keys() == PASSING
    assert list(PASSING_BRIEFLY | OTHERS_BRIEFLY) == list(BRIEFLY)
