"""The fence: what is denied by default, and what a rule opens."""

from __future__ import annotations

from pathlib import Path

import pytest

from openmid.midserver.egress import Egress
from openmid.midserver.errors import ConfigError
from tests.midserver.conftest import make_config


def egress(tmp_path: Path, rules: str = "") -> Egress:
    return Egress.of(make_config(tmp_path / "agent", rules))


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "::1",
        "::",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "169.254.169.254",
        "fe80::1%eth0",
        "fd00:ec2::254",
        "100.100.100.200",
        "168.63.129.16",
    ],
)
def test_this_host_and_metadata_are_denied_by_default(tmp_path: Path, address: str) -> None:
    assert not egress(tmp_path).judge("partner.example", address, 443).allowed


@pytest.mark.parametrize("address", ["10.0.0.1", "192.168.1.1", "203.0.113.9", "2001:db8::1", "64:ff9b::cb00:7109"])
def test_everything_else_is_allowed_by_default(tmp_path: Path, address: str) -> None:
    assert egress(tmp_path).judge("partner.example", address, 443).allowed


@pytest.mark.parametrize(
    ("rules", "host", "address", "port", "allowed"),
    [
        ('<allow host="127.0.0.1" port="8443"/>', "localhost", "127.0.0.1", 8443, True),
        ('<allow host="127.0.0.1" port="8443"/>', "localhost", "127.0.0.1", 8444, False),
        ('<allow host="127.0.0.1" port="8443"/>', "localhost", "127.0.0.2", 8443, False),
        ('<allow host="127.0.0.0/8" port="8000-8999"/>', "localhost", "127.1.2.3", 8999, True),
        ('<allow host="::1"/>', "localhost", "::1", 1, True),
        ('<allow host="::ffff:127.0.0.1"/>', "localhost", "127.0.0.1", 1, True),
        ('<allow host="fe80::1%eth0"/>', "router", "fe80::1%eth0", 1, True),
        ('<allow host="127.0.0.1"/>', "localhost", "::ffff:127.0.0.1", 1, True),
        # A name, or a network that is wider than the range, does not open what is denied by default.
        ('<allow host="localhost"/>', "localhost", "127.0.0.1", 8443, False),
        ('<allow host="partner.example"/>', "partner.example", "169.254.169.254", 80, False),
        ('<allow host="0.0.0.0/0"/>', "localhost", "127.0.0.1", 8443, False),
        ('<allow host="100.64.0.0/10"/>', "x", "100.100.100.200", 80, False),
        ('<deny host="10.0.0.0/8"/>', "partner.example", "10.9.9.9", 443, False),
        ('<deny host="Partner.Example"/>', "partner.example.", "203.0.113.9", 443, False),
        ('<deny host="partner.example" port="80"/>', "partner.example", "203.0.113.9", 443, True),
        # The first rule that matches decides.
        ('<allow host="10.1.0.0/16"/><deny host="0.0.0.0/0"/>', "x", "10.1.2.3", 443, True),
        ('<allow host="10.1.0.0/16"/><deny host="0.0.0.0/0"/>', "x", "10.2.2.3", 443, False),
        ('<deny host="10.1.2.3"/><allow host="10.1.0.0/16"/>', "x", "10.1.2.3", 443, False),
        ('<allow host="partner.example"/><deny host="0.0.0.0/0"/>', "partner.example", "203.0.113.9", 443, True),
    ],
)
def test_rules(tmp_path: Path, rules: str, host: str, address: str, port: int, allowed: bool) -> None:
    assert egress(tmp_path, rules).judge(host, address, port).allowed is allowed


def test_rules_are_told_as_sentences(tmp_path: Path) -> None:
    rules = '<allow host="127.0.0.1" port="8443"/><deny host="10.0.0.0/8"/><allow host="a.example" port="80-90"/>'
    assert egress(tmp_path, rules).sentences() == [
        "allow 127.0.0.1, port 8443",
        "deny 10.0.0.0/8, any port",
        "allow a.example, ports 80-90",
    ]


@pytest.mark.parametrize(
    "rules",
    [
        '<allow port="1"/>',
        '<permit host="a"/>',
        '<allow host="10.0.0.0/33"/>',
        '<allow host="10.0.0"/>',
        '<allow host="a" port="x"/>',
        '<allow host="a" port="0"/>',
        '<allow host="a" port="9-1"/>',
        '<allow host="a" port="65536"/>',
    ],
)
def test_a_rule_that_cannot_be_understood_is_refused(tmp_path: Path, rules: str) -> None:
    with pytest.raises(ConfigError, match="egress"):
        egress(tmp_path, rules)
