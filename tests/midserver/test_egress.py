"""The fence: what is denied by default, and what a rule opens."""

from __future__ import annotations

import subprocess
from ipaddress import ip_network
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
        "0.1.2.3",
        "64:ff9b:1::a00:1",  # NAT64 of the network's own: nobody else knows which address it is
        "::127.0.0.1",  # IPv4-compatible
        "::169.254.169.254",
        "2002:7f00:1::1",  # 6to4 of 127.0.0.1
        "2001:0:7f00:1::",  # Teredo: the server
        "2001:0:cb00:7109:0:0:80ff:fffe",  # Teredo: the client, inverted
        "fe80::5efe:10.0.0.1",
        "2001:db8::200:5efe:127.0.0.1",  # ISATAP
        "fd00:ec2::23",
    ],
)
def test_this_host_and_metadata_are_denied_by_default(tmp_path: Path, address: str) -> None:
    assert not egress(tmp_path).judge("partner.example", address, 443).allowed


@pytest.mark.parametrize(
    "address", ["10.0.0.1", "192.168.1.1", "203.0.113.9", "2001:db8::1", "64:ff9b::cb00:7109", "2002:cb00:7109::1"]
)
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
        ('<allow host="64:ff9b:1::/96"/>', "x", "64:ff9b:1::a00:1", 443, True),
        ('<allow host="64:ff9b::/16"/>', "x", "64:ff9b:1::a00:1", 443, False),
        # A denial counts for every guise of an address, a permission for the address itself.
        ('<deny host="203.0.113.0/24"/>', "x", "2002:cb00:7109::1", 443, False),
        ('<deny host="203.0.113.0/24"/>', "x", "64:ff9b::cb00:7109", 443, False),
        ('<allow host="203.0.113.9"/><deny host="::/0"/>', "x", "2002:cb00:7109::1", 443, False),
        ('<deny host="bücher.example"/>', "xn--bcher-kva.example", "203.0.113.9", 443, False),
        ('<deny host="xn--bcher-kva.example."/>', "BÜCHER.example", "203.0.113.9", 443, False),
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


def own_addresses() -> list[str]:
    """What this host is called by in its network."""
    answer = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=False)
    return answer.stdout.split()


def test_this_hosts_addresses_in_the_network_are_denied_by_default(tmp_path: Path) -> None:
    found = own_addresses()
    if not found:
        pytest.skip("this host has no address in a network")
    for address in found:
        verdict = egress(tmp_path).judge("partner.example", address, 443)
        assert (verdict.allowed, verdict.rule) == (False, "this host's own addresses are denied by default")
        assert egress(tmp_path, f'<allow host="{address}"/>').judge("partner.example", address, 443).allowed
        wide = ip_network(f"{address}/16", strict=False)
        assert not egress(tmp_path, f'<allow host="{wide}"/>').judge("partner.example", address, 443).allowed


@pytest.mark.parametrize(
    ("rules", "host", "allowed"),
    [
        ("", "partner.example", True),
        ("", "203.0.113.9", True),
        ("", "127.0.0.1", False),
        ("", "[::1]".strip("[]"), False),
        # What the proxy would take for itself, or for an address.
        ("", "localhost", False),
        ("", "a.localhost.", False),
        ("", "metadata.google.internal", False),
        ("", "2130706433", False),
        ("", "127.1", False),
        ("", "0x7f000001", False),
        ('<allow host="localhost"/>', "localhost", False),
        ('<deny host="partner.example"/>', "Partner.Example.", False),
        ('<allow host="partner.example"/><deny host="0.0.0.0/0"/>', "partner.example", True),
        ('<allow host="partner.example"/><deny host="0.0.0.0/0"/>', "other.example", False),
        ('<deny host="10.0.0.0/8"/>', "partner.example", True),  # nobody here knows its address
        ('<deny host="10.0.0.0/8"/>', "10.1.2.3", False),
        ('<deny host="partner.example" port="80"/>', "partner.example", True),
    ],
)
def test_the_target_behind_a_proxy_is_judged_by_its_name(tmp_path: Path, rules: str, host: str, allowed: bool) -> None:
    assert egress(tmp_path, rules).judge_name(host, 443).allowed is allowed
