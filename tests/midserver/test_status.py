"""`mid.sh status`: what a host admin sees."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import click

from openmid.cli.mid_status import lines

UP: dict[str, Any] = {
    "running": True,
    "pid": 4711,
    "agent": "/srv/mid/agent",
    "fingerprint": "AB:CD",
    "name": "mid1",
    "instance": "https://instance.example:8443",
    "validated": True,
    "paused": False,
    "fips_enforced": True,
    "provider": "OpenSSL FIPS Provider 3.0.20",
    "protocols": {"mauth": "loaded, CN=client, 89 days left", "old": "the keystore /old.bcfks does not exist"},
    "calls_running": 3,
    "calls_answered": 1204,
    "calls_failed": 2,
    "undelivered": 0,
    "undelivered_bytes": 0,
    "memory_bytes": 61_000_000,
    "clock_difference_s": 0.1,
    "last_trouble": "",
}


def shown(**changed: Any) -> list[str]:
    times = {name: (datetime.now(UTC) - timedelta(minutes=150)).isoformat() for name in ("started", "last_contact")}
    return [click.unstyle(line) for line in lines(UP | times | changed)]


def test_everything_at_a_glance() -> None:
    assert shown() == [
        "mid1 is up (pid 4711, started 2 h ago)",
        "  folder        /srv/mid/agent",
        "  fingerprint   AB:CD",
        "  instance      https://instance.example:8443, heard 2 h ago",
        "  validated     yes",
        "  FIPS          enforced by OpenSSL FIPS Provider 3.0.20",
        "  protocols     mauth: loaded, CN=client, 89 days left",
        "                old: the keystore /old.bcfks does not exist",
        "  calls         3 run; 1,204 answered, 2 failed",
        "  results       all delivered",
        "  memory        61 MB at most",
    ]


def test_what_needs_attention_is_said() -> None:
    said = "\n".join(
        shown(
            paused=True,
            validated=False,
            undelivered=1200,
            undelivered_bytes=2_500_000,
            clock_difference_s=-3600.0,
            last_contact=None,
            fips_enforced=False,
            protocols={},
            last_trouble="the instance cannot be reached",
        )
    )
    for sentence in (
        "mid1 is paused",
        "never heard, clocks differ by -3600 s",
        "no: an administrator has to compare the fingerprint",
        "1,200 wait for the instance (2.5 MB in the journal)",
        "FIPS          not enforced",
        "protocols     none",
        "last trouble  the instance cannot be reached",
    ):
        assert sentence in said


def test_one_that_does_not_run_says_no_more_than_is_known() -> None:
    found = {"running": False, "pid": None, "agent": "/srv/mid/agent", "fingerprint": ""}
    assert [click.unstyle(line) for line in lines(found)] == [
        "the MID Server is not running",
        "  folder        /srv/mid/agent",
    ]
