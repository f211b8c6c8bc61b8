"""Which MID Server is chosen, and what is said when none is."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from openmid.instance.connections import candidates
from openmid.instance.folder import Folder
from openmid.instance.mid.models import MidServer
from openmid.instance.mid.selection import MOST_COMPARED, Candidate, Requirement, fit, pick
from openmid.instance.records import clock
from openmid.instance.records.database import reader
from openmid.wire.probes import Failure

on_both_databases = True

NOT_LOADED = Failure("keystore_missing", "there is no file /x", "put it there")


def candidate(name: str, **changed: object) -> Candidate:
    good = {"validated": "true", "reported_status": "Up", "last_refreshed": 1, "fips_enforced": True}
    return Candidate(**({"sys_id": name, "name": name, "profile_applies": True} | good | changed))  # type: ignore[arg-type]


def choose(
    pool: list[Candidate],
    wanted: Requirement,
    now: int,
    open_jobs: Callable[[Candidate], int] = lambda _: 0,
    turn: int = 0,
) -> Candidate | Failure:
    found = fit(pool, wanted, now)
    return found if isinstance(found, Failure) else pick(found, open_jobs, turn)


def name(found: object) -> str:
    return getattr(found, "name", "")


def test_the_one_with_the_fewest_open_jobs_is_chosen_and_equals_take_turns() -> None:
    pool = [candidate("a"), candidate("b"), candidate("c", validated="false")]
    jobs = {"a": 3, "b": 1}
    assert name(choose(pool, Requirement(), 2, lambda each: jobs[each.sys_id])) == "b"
    assert {name(choose(pool, Requirement(), 2, turn=turn)) for turn in (7, 8)} == {"a", "b"}


def test_of_many_each_gets_its_turn_and_not_all_are_asked() -> None:
    pool = [candidate(f"m{number:03}") for number in range(100)]
    asked: list[str] = []

    def note(each: Candidate) -> int:
        asked.append(each.name)
        return 0

    chosen = {name(choose(pool, Requirement(), 2, note, turn)) for turn in range(100)}
    assert chosen == {each.name for each in pool}
    assert len(asked) == 100 * MOST_COMPARED


@pytest.mark.parametrize(("down", "taken"), [((), "first"), (("first",), "second"), (("first", "second"), "last")])
def test_a_failover_cluster_takes_the_lowest_order_that_fits(down: tuple[str, ...], taken: str) -> None:
    members = {"last": 300, "first": 100, "second": 200}
    pool = [candidate(each, order=order, last_refreshed=None if each in down else 1) for each, order in members.items()]
    assert name(choose(pool, Requirement(cluster="c"), 2, lambda each: each.order != 300)) == taken


WANTED = Requirement(
    mid="mine",
    profile="p",
    protocol="mauth",
    require_fips=True,
    application="Billing",
    capabilities=("DMZ", "SAP"),
    address="10.1.2.3",
)
FITS = {"applications": frozenset({"Billing"}), "capabilities": frozenset({"ALL"})}


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"validated": "rekey", "last_refreshed": None}, "mid_server_not_validated"),
        ({"reported_status": "Degraded", "fips_enforced": False}, "mid_server_degraded"),
        ({"last_refreshed": None, "paused": True}, "mid_server_down"),
        ({"paused": True, "applications": frozenset()}, "mid_server_paused"),
        ({"reported_status": "Draining"}, "mid_server_down"),
        ({"applications": frozenset({"Other"}), "ranges": (("exclude", "10.0.0.0/8"),)}, "mid_server_application"),
        ({"ranges": (("include", "10.2.0.0/16"),), "capabilities": frozenset()}, "mid_server_ip_range"),
        ({"ranges": (("include", "10.0.0.0/8"), ("exclude", "10.1.2.1-10.1.2.9"))}, "mid_server_ip_range"),
        ({"capabilities": frozenset({"DMZ"}), "trouble": NOT_LOADED}, "mid_server_capability"),
        ({"profile_applies": False}, "profile_does_not_apply"),
        ({"trouble": NOT_LOADED, "fips_enforced": False}, "keystore_missing"),
        ({"fips_enforced": False}, "mid_server_not_fips_enforced"),
    ],
)
def test_the_first_filter_that_is_not_passed_is_the_reason(changed: dict[str, object], code: str) -> None:
    refused = choose([candidate("mine", **(FITS | changed))], WANTED, 2)
    assert isinstance(refused, Failure)
    assert refused.code == code
    assert refused.message.startswith("MID Server mine ")
    assert refused.remedy


def test_the_one_that_passes_every_filter_is_chosen() -> None:
    ranges = (("include", "10.1.0.0/16"), ("exclude", "10.1.3.0/24"))
    assert name(choose([candidate("mine", ranges=ranges, **FITS)], WANTED, 2)) == "mine"


def test_when_none_of_several_fits_each_reason_is_named_once() -> None:
    pool = [candidate(f"down{number}", last_refreshed=None) for number in range(7)]
    pool += [candidate("off", fips_enforced=False)]
    refused = choose(pool, Requirement(require_fips=True), 2)
    assert isinstance(refused, Failure)
    assert refused.code == "no_mid_server_fits"
    assert "down0, down1, down2, down3, down4 and 2 more is Down" in refused.message
    assert "; off is not in FIPS Enforced Mode" in refused.message


def test_those_that_the_profile_does_not_apply_to_are_not_in_question() -> None:
    pool = [candidate("down", last_refreshed=None), candidate("other", profile_applies=False)]
    refused = choose(pool, Requirement(profile="p", protocol="mauth"), 2)
    assert isinstance(refused, Failure)
    assert refused.code == "mid_server_down"
    assert "other" not in refused.message
    both = choose([candidate("a", profile_applies=False)] * 1, Requirement(profile="p", protocol="mauth"), 2)
    assert getattr(both, "code", "") == "profile_does_not_apply"


@pytest.fixture
def enrolled(instance: Folder) -> list[MidServer]:
    """A hundred MID Servers that were heard of just now."""
    made = [
        MidServer(name=f"m{number:03}", validated="true", reported_status="Up", last_refreshed=clock.now())
        for number in range(100)
    ]
    return MidServer.objects.bulk_create(made)


def test_of_very_many_mid_servers_a_few_are_read_and_others_each_time(enrolled: list[MidServer]) -> None:
    connection = reader()
    seen: set[str] = set()
    for _ in range(200):
        connection.known.clear()
        found = candidates.fitting(connection, Requirement())
        assert isinstance(found, list)
        assert len(found) == candidates.SAMPLE
        seen |= {each.name for each in found}
    assert len(seen) == len(enrolled)


def test_where_few_of_very_many_fit_all_are_read(enrolled: list[MidServer]) -> None:
    MidServer.objects.exclude(name__in=("m000", "m050", "m099")).update(fips_enforced=False)
    MidServer.objects.filter(name__in=("m000", "m050", "m099")).update(fips_enforced=True)
    found = candidates.fitting(reader(), Requirement(require_fips=True))
    assert isinstance(found, list)
    assert [each.name for each in found] == ["m000", "m050", "m099"]


def test_where_none_of_very_many_fits_the_reason_is_that_of_all(enrolled: list[MidServer]) -> None:
    MidServer.objects.update(paused=True)
    found = candidates.fitting(reader(), Requirement())
    assert isinstance(found, Failure)
    assert found.code == "mid_server_paused"
    assert "m000" in found.message
