"""The chaos suite as CI runs it: 20 kills of instance, MID Server and partner at random moments. For its time's sake without
FIPS Enforced Mode: `make chaos` has it."""

from __future__ import annotations

import os
import random

import pytest

from tests.chaos.__main__ import run
from tests.chaos.world import Wish

pytestmark = pytest.mark.e2e
LEASE_SECONDS = 8
"""A lease of the product's minute would be waited for: a kill between a claim and its answer."""


def test_twenty_kills_at_random_moments_lose_nothing_and_send_nothing_twice(capfd: pytest.CaptureFixture[str]) -> None:
    seed = int(os.environ.get("OPENMID_SEED", random.randrange(10**6)))
    wrong = run(Wish(seed, fips=False, lease=LEASE_SECONDS), ["kill"], kills=20, minutes=0, count=200)
    assert not wrong, capfd.readouterr().out
