"""Where this MID Server may connect to: `<egress>` in agent/config.xml.

The first rule that matches decides. Without one, this host itself (loopback and its own addresses in the network),
link-local and cloud metadata addresses are denied, however they are dressed, and everything else is allowed. A rule names
a host, an address or a network, and a port or a range.

What counts is the address actually connected to. A rule that names a host matches what was called, and never opens what
is denied by default, so that no name server can lead a call to loopback; nor does a rule for a network so wide that it
was hardly meant to. Those addresses are opened by writing the address, or a network within the range.

Through a proxy it is the proxy that resolves the name. Then the proxy's address is judged as any other, and the target
by its name: rules for names count, and rules for all addresses (0.0.0.0/0, ::/0); other networks cannot be judged.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from yarl import URL

from openmid.midserver.config import Config
from openmid.midserver.errors import ConfigError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# Where clouds hand out credentials to whoever asks, outside the link-local range.
METADATA = {
    ip_address("100.100.100.200"): "Alibaba Cloud",
    ip_address("168.63.129.16"): "Azure",
    ip_address("192.0.0.192"): "Oracle Cloud",
    ip_address("fd00:ec2::254"): "AWS",
    ip_address("fd00:ec2::23"): "AWS EKS",
    ip_address("fd20:ce::254"): "Google Cloud",
}
METADATA_NAMES = frozenset({"metadata", "metadata.google.internal", "instance-data"})
NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052
IPV4_COMPATIBLE = IPv6Network("::/96")  # RFC 4291, 2.5.5.1
TUNNELS = frozenset({0x5EFE, 0x02005EFE})  # the upper half of an ISATAP interface identifier (RFC 5214, 6.1)

# Denied by default as a whole; what an <allow> has to lie within to open them.
RESERVED: tuple[tuple[Network, str], ...] = (
    (IPv4Network("127.0.0.0/8"), "loopback"),
    (IPv4Network("0.0.0.0/8"), "loopback"),  # "this host on this network" (RFC 6890)
    (IPv6Network("::1/128"), "loopback"),
    (IPv6Network("::/128"), "loopback"),
    (IPv4Network("169.254.0.0/16"), "link-local and metadata"),
    (IPv6Network("fe80::/10"), "link-local and metadata"),
    (IPv6Network("64:ff9b:1::/48"), "locally translated"),  # RFC 8215: only the network knows which IPv4 address it is
)


def own(address: Address) -> bool:
    """Is this an address of this host? The route to it says so: it begins where it ends. Sends nothing."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), 9))
            return ip_address(probe.getsockname()[0].partition("%")[0]) == address
    except (OSError, ValueError):
        return False


@dataclass(frozen=True)
class Verdict:
    """`rule` is the sentence that decided."""

    allowed: bool
    rule: str


@dataclass(frozen=True)
class Rule:
    """One `<allow>` or `<deny>`, for a name or a network."""

    allow: bool
    host: str
    ports: range
    network: Network | None

    def matches(self, called: str, faces: tuple[Address, ...]) -> bool:
        """A denial counts for every guise of the address, a permission for what it is."""
        if self.network is None:
            return called == self.host
        network = self.network
        return any(face in network for face in (faces[:1] if self.allow else faces))

    def matches_name(self, called: str) -> bool:
        """Whether it decides about a name whose address only a proxy knows."""
        if self.network is None:
            return called == self.host
        return self.network.prefixlen == 0

    @property
    def opens_reserved(self) -> bool:
        """Whether it is narrow enough to have meant an address that is denied by default."""
        network = self.network
        if network is None:
            return False
        within = any(network.version == each.version and network.subnet_of(each) for each, _ in RESERVED)  # type: ignore[arg-type]
        return within or network.num_addresses == 1

    def __str__(self) -> str:
        first, last = self.ports[0], self.ports[-1]
        ports = (
            "any port" if (first, last) == (1, 65535) else f"port {first}" if first == last else f"ports {first}-{last}"
        )
        return f"{'allow' if self.allow else 'deny'} {self.host}, {ports}"


class Egress:
    """The policy in force."""

    def __init__(self, rules: list[Rule], own: Callable[[Address], bool] = own) -> None:
        self.rules = rules
        self._own = own

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
        faces = _faces(plain(address))
        reserved = self._reserved(faces)
        called = canonical(host)
        for rule in self.rules:
            if port in rule.ports and rule.matches(called, faces):
                if rule.allow and reserved and not rule.opens_reserved:
                    continue
                return Verdict(rule.allow, str(rule))
        return _default(reserved)

    def judge_name(self, host: str, port: int) -> Verdict:
        """May a call go to `host`, which a proxy resolves? A numeric address is judged as such."""
        called = canonical(host)
        try:
            return self.judge(host, called, port)
        except ValueError:
            reserved = _reserved_name(called)
        for rule in self.rules:
            if port in rule.ports and rule.matches_name(called) and not (rule.allow and reserved):
                return Verdict(rule.allow, str(rule))
        return _default(reserved)

    def _reserved(self, faces: tuple[Address, ...]) -> str:
        for face in faces:
            for network, kind in RESERVED:
                if face in network:
                    return kind
            if face in METADATA:
                return "metadata"
            if self._own(face):
                return "this host's own"
        return ""


def canonical(host: str) -> str:
    """A host's name in its one form: lower case, without the root's dot, in ASCII (RFC 5891)."""
    name = host.rstrip(".").lower()
    if name.isascii():
        return name
    try:
        return URL.build(scheme="https", host=name).raw_host or name
    except ValueError:
        return name


def _default(reserved: str) -> Verdict:
    return Verdict(not reserved, f"{reserved} addresses are denied by default" if reserved else "allowed by default")


def _reserved_name(called: str) -> str:
    """What a proxy would take for itself, for metadata, or for an address that is written unusually (127.1, 0x7f000001)."""
    if called == "localhost" or called.endswith(".localhost"):
        return "loopback"
    if called in METADATA_NAMES:
        return "metadata"
    last = called.rpartition(".")[2]
    unusual = last.isdecimal() or (last.startswith("0x") and all(digit in "0123456789abcdef" for digit in last[2:]))
    return "unusually written" if unusual else ""


def plain(address: str) -> Address:
    """The address that the kernel will talk to: IPv4 in IPv6 clothes is IPv4.

    Raises:
        ValueError: not an address.
    """
    target = ip_address(address.partition("%")[0])
    if isinstance(target, IPv6Address):
        if target.ipv4_mapped:
            return target.ipv4_mapped
        if target in NAT64:
            return IPv4Address(int(target) & 0xFFFFFFFF)
    return target


def _faces(target: Address) -> tuple[Address, ...]:
    """The address, and the IPv4 addresses that a tunnel or an old stack would take out of it."""
    if isinstance(target, IPv4Address):
        return (target,)
    last = int(target) & 0xFFFFFFFF
    found: list[Address] = [target]
    if target in IPV4_COMPATIBLE and last > 1:
        found.append(IPv4Address(last))
    if target.sixtofour:
        found.append(target.sixtofour)
    if target.teredo:
        found += target.teredo
    if (int(target) >> 32) & 0xFFFFFFFF in TUNNELS:
        found.append(IPv4Address(last))
    return tuple(found)


def _rule(config: Config, element: Any) -> Rule:
    host, port = element.get("host", "").strip().lower(), element.get("port", "").strip()
    if element.tag not in ("allow", "deny") or not host:
        raise ConfigError(
            f"<egress> in {config.path} holds <{element.tag}> without a meaning",
            'rules look like <allow host="10.0.0.0/8" port="443"/> and <deny host="printer.example"/>',
        )
    network = _network(config, host)
    return Rule(element.tag == "allow", host if network else canonical(host), _ports(config, port), network)


def _network(config: Config, host: str) -> Network | None:
    """The network that is written; None for a name."""
    try:
        return ip_network(host if "/" in host else plain(host), strict=False)
    except ValueError:
        if "/" in host or host.replace(".", "").isdigit():
            raise ConfigError(f'"{host}" in <egress> of {config.path} is neither a name nor a network') from None
        return None


def _ports(config: Config, text: str) -> range:
    first, _, last = (text or "1-65535").partition("-")
    last = last or first
    if not (first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last) <= 65535):
        raise ConfigError(f'"{text}" in <egress> of {config.path} is not a port', "a port is 443 or 8000-8099")
    return range(int(first), int(last) + 1)
