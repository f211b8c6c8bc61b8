"""`mid.sh status` for people: the whole standing of a MID Server at a glance. Colour only on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import click

WIDTH = 14


def lines(found: dict[str, Any]) -> Iterator[str]:
    """A head, then a line for each thing that one asks for."""
    yield _head(found)
    for name, text in _rows(found):
        yield f"  {name:<{WIDTH}}{text}"


def _head(found: dict[str, Any]) -> str:
    name = found.get("name") or "the MID Server"
    if not found["running"]:
        return click.style(f"{name} is not running", fg="red")
    state = "paused" if found.get("paused") else "up"
    since = f", started {_ago(found['started'])}" if found.get("started") else ""
    return (
        click.style(f"{name} is {state}", fg="yellow" if state == "paused" else "green")
        + f" (pid {found['pid']}{since})"
    )


def _rows(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "folder", found["agent"]
    if found["fingerprint"]:
        yield "fingerprint", found["fingerprint"]
    if found.get("busy"):
        yield "busy", found["busy"]
    if not found["running"]:
        return
    if "instance" not in found:
        yield "instance", "not reached yet: see logs/agent0.log"
        return
    heard = (
        f"heard {_ago(found['last_contact'])}" if found.get("last_contact") else click.style("never heard", fg="red")
    )
    yield "instance", f"{found['instance']}, {heard}{_clock(found)}"
    yield "validated", _validated(found["validated"])
    yield "FIPS", f"enforced by {found['provider']}" if found["fips_enforced"] else "not enforced"
    yield from _protocols(found["protocols"])
    yield (
        "calls",
        f"{found['calls_running']} run; {found['calls_answered']:,} answered, {found['calls_failed']:,} failed",
    )
    yield "results", _results(found)
    yield "memory", f"{found['memory_bytes'] / 1e6:.0f} MB at most"
    if found["last_trouble"]:
        yield "last trouble", found["last_trouble"]


def _protocols(protocols: dict[str, str]) -> Iterator[tuple[str, str]]:
    if not protocols:
        yield "protocols", "none"
    for number, (protocol, standing) in enumerate(protocols.items()):
        good = standing.startswith("loaded") and "expired" not in standing
        yield (
            ("protocols" if not number else ""),
            f"{protocol}: {standing if good else click.style(standing, fg='red')}",
        )


def _validated(validated: bool | None) -> str:
    if validated is None:
        return "not known yet"
    return "yes" if validated else click.style("no: an administrator has to compare the fingerprint", fg="yellow")


def _results(found: dict[str, Any]) -> str:
    if not found["undelivered"]:
        return "all delivered"
    size = f"{found['undelivered_bytes'] / 1e6:.1f} MB in the journal"
    return click.style(f"{found['undelivered']:,} wait for the instance ({size})", fg="yellow")


def _clock(found: dict[str, Any]) -> str:
    difference = found["clock_difference_s"]
    return click.style(f", clocks differ by {difference:+.0f} s", fg="yellow") if abs(difference) > 30 else ""


def _ago(iso: str) -> str:
    seconds = max(0, int((datetime.now(UTC) - datetime.fromisoformat(iso)).total_seconds()))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"
