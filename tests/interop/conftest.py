"""Java processes for the session: one for each Bouncy Castle that the stores must get along with."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from _pytest.mark import ParameterSet

from tests import parts
from tests.interop.java import BC, BC_FIPS, Java
from tests.keystore.conftest import pair

__all__ = ["pair"]

APPROVED_ONLY = "-Dorg.bouncycastle.fips.approved_only=true"

OTHERS: dict[str, Callable[[], Java]] = {
    "bcprov": lambda: Java(parts.bcprov(), BC),
    "bc-fips": lambda: Java(parts.bc_fips(), BC_FIPS),
    "bc-fips-approved": lambda: Java(parts.bc_fips(), BC_FIPS, APPROVED_ONLY),
    "old-bc-fips-approved": lambda: Java(parts.bc_fips("1.0.2.6"), BC_FIPS, APPROVED_ONLY),
    "bcprov-current": lambda: Java(parts.current_bcprov(), BC),
}
USUAL = [name for name in OTHERS if name != "bcprov-current"]


def each(*names: str) -> list[ParameterSet]:
    """The tests with one process go to one worker: starting it is the expensive part."""
    return [pytest.param(name, marks=[pytest.mark.java, pytest.mark.xdist_group(f"java-{name}")]) for name in names]


@pytest.fixture(scope="session")
def others() -> Iterator[dict[str, Java]]:
    """Those that were started, by name."""
    running: dict[str, Java] = {}
    yield running
    for java in running.values():
        java.close()


@pytest.fixture(params=each(*USUAL))
def other(request: pytest.FixtureRequest, others: dict[str, Java]) -> Java:
    """Each Bouncy Castle in turn."""
    return started(request.param, others)


@pytest.fixture(params=each("bcprov-current"))
def current(request: pytest.FixtureRequest, others: dict[str, Java]) -> Java:
    """A Bouncy Castle that knows what is new."""
    return started(request.param, others)


@pytest.fixture(params=each("bcprov"))
def bouncy_castle(request: pytest.FixtureRequest, others: dict[str, Java]) -> Java:
    """The one without FIPS."""
    return started(request.param, others)


@pytest.fixture(params=each(*(name for name in OTHERS if name.endswith("approved"))))
def approved(request: pytest.FixtureRequest, others: dict[str, Java]) -> Java:
    """bc-fips in approved-only mode, of both generations."""
    return started(request.param, others)


def started(name: str, others: dict[str, Java]) -> Java:
    if name not in others:
        others[name] = OTHERS[name]()
        others[name].name = name
    return others[name]
