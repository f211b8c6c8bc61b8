"""IP ranges: `10.1.0.0/16`, one address, or `first-last`. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from django.core.exceptions import ValidationError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def ip_range(value: str) -> None:
    """Raises ValidationError unless `value` is a range."""
    try:
        bounds(value)
    except ValueError:
        raise ValidationError(
            f"“{value}” is no range of addresses: write 10.1.0.0/16, 10.1.2.3 or 10.1.2.3-10.1.2.9."
        ) from None


def bounds(value: str) -> tuple[Address, Address]:
    """The first and the last address.

    Raises:
        ValueError: it is no range.
    """
    if "-" not in value:
        network = ipaddress.ip_network(value.strip(), strict=False)
        return network[0], network[-1]
    first, last = (ipaddress.ip_address(part.strip()) for part in value.split("-", 1))
    if first.version != last.version or int(first) > int(last):
        raise ValueError(value)
    return first, last


def address(host: str) -> str:
    """`host` where it is an address, else nothing: the instance does not resolve names of closed networks."""
    try:
        return str(ipaddress.ip_address(host.removeprefix("[").removesuffix("]")))
    except ValueError:
        return ""


def within(ranges: Iterable[tuple[str, str]], host: str) -> bool:
    """Whether a MID Server with these (type, range) is there for the address `host`: in one that is included, or none is,
    and in none that is excluded."""
    ranges = list(ranges)
    included = [value for kind, value in ranges if kind == "include"]
    excluded = [value for kind, value in ranges if kind == "exclude"]
    return (not included or _any(included, host)) and not _any(excluded, host)


def _any(ranges: list[str], host: str) -> bool:
    wanted = ipaddress.ip_address(host)
    for first, last in map(bounds, ranges):
        if first.version == wanted.version and int(first) <= int(wanted) <= int(last):
            return True
    return False
