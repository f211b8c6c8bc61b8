"""Where this MID Server may connect to: `<egress>` in agent/config.xml.

The first rule that matches decides. Without one, this host itself, link-local and cloud metadata addresses are denied and
everything else is allowed. A rule names a host, an address or a network, and a port or a range.

What counts is the address actually connected to. A rule that names a host matches what was called, and never opens what
is denied by default, so that no name server can lead a call to loopback; nor does a rule for a network so wide that it
was hardly meant to. Those addresses are opened by writing the address, or a network within the range.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from openmid.midserver.config import Config
from openmid.midserver.errors import ConfigError

Address = IPv4Address | IPv6Address

# Where clouds hand out credentials to whoever asks, outside the link-local range.
METADATA = {
    ip_address("100.100.100.200"): "Alibaba Cloud",
    ip_address("168.63.129.16"): "Azure",
    ip_address("192.0.0.192"): "Oracle Cloud",
    ip_address("fd00:ec2::254"): "AWS",
    ip_address("fd20:ce::254"): "Google Cloud",
}
NAT64 = IPv6Network("64:ff9b::/96")


@dataclass(frozen=True)
class Verdict:
    """`rule` is the sentence that decided."""

    allowed: bool
    rule: str


@dataclass(frozen=True)
class Rule:
    """One `<allow>` or `<deny>`."""

    allow: bool
    host: str
    ports: range
    matches: Callable[[str, Address], bool]
    opens_reserved: bool

    def __str__(self) -> str:
        first, last = self.ports[0], self.ports[-1]
        ports = (
            "any port" if (first, last) == (1, 65535) else f"port {first}" if first == last else f"ports {first}-{last}"
        )
        return f"{'allow' if self.allow else 'deny'} {self.host}, {ports}"


class Egress:
    """The policy in force."""

    def __init__(self, rules: list[Rule]) -> None:
        self.rules = rules

    @classmethod
    def of(cls, config: Config) -> Egress:
        """The policy of a config.xml.

        Raises:
            ConfigError: a rule cannot be understood. A MID Server does not start without its fence.
        """
        return cls([_rule(config, element) for element in config.elements("egress")])

    def sentences(self) -> list[str]:
        """The rules in order, for the heartbeat."""
        return [str(rule) for rule in self.rules]

    def judge(self, host: str, address: str, port: int) -> Verdict:
        """May a call to `host` connect to this numeric address and port?"""
        target = plain(address)
        reserved = _reserved(target)
        for rule in self.rules:
            if port in rule.ports and rule.matches(host.rstrip(".").lower(), target):
                if rule.allow and reserved and not rule.opens_reserved:
                    continue
                return Verdict(rule.allow, str(rule))
        return Verdict(
            not reserved, f"{reserved} addresses are denied by default" if reserved else "allowed by default"
        )


def plain(address: str) -> Address:
    """The address that the kernel will talk to: IPv4 in IPv6 clothes is IPv4."""
    target = ip_address(address.partition("%")[0])
    if isinstance(target, IPv6Address):
        if target.ipv4_mapped:
            return target.ipv4_mapped
        if target in NAT64:
            return IPv4Address(int(target) & 0xFFFFFFFF)
    return target


def _reserved(target: Address) -> str:
    if target.is_loopback or target.is_unspecified:
        return "loopback"
    if target.is_link_local:
        return "link-local and metadata"
    return "metadata" if target in METADATA else ""


def _rule(config: Config, element: Any) -> Rule:
    host, port = element.get("host", "").strip().lower(), element.get("port", "").strip()
    if element.tag not in ("allow", "deny") or not host:
        raise ConfigError(
            f"<egress> in {config.path} holds <{element.tag}> without a meaning",
            'rules look like <allow host="10.0.0.0/8" port="443"/> and <deny host="printer.example"/>',
        )
    matches, opens_reserved = _matcher(config, host)
    return Rule(element.tag == "allow", host, _ports(config, port), matches, opens_reserved)


def _matcher(config: Config, host: str) -> tuple[Callable[[str, Address], bool], bool]:
    try:
        network = ip_network(host if "/" in host else plain(host), strict=False)
    except ValueError:
        if "/" in host or host.replace(".", "").isdigit():
            raise ConfigError(f'"{host}" in <egress> of {config.path} is neither a name nor a network') from None
        return (lambda called, _: called == host.rstrip(".")), False
    narrow = network.num_addresses == 1 or network.is_loopback or network.is_link_local
    return (lambda _, target: target in network), narrow


def _ports(config: Config, text: str) -> range:
    first, _, last = (text or "1-65535").partition("-")
    last = last or first
    if not (first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last) <= 65535):
        raise ConfigError(f'"{text}" in <egress> of {config.path} is not a port', "a port is 443 or 8000-8099")
    return range(int(first), int(last) + 1)
