"""The proxy between this host and everything else: HTTP CONNECT (RFC 9110, 9.3.6), with Basic authentication.

config.xml names it with the product's parameters `mid.proxy.use_proxy`, `host`, `port`, `username` and `password`. It is
used for partners and for the instance, but not for what `mid.proxy.bypass_list` names (that name is ours): host names,
`.example.com` or `*.example.com` for a domain and what is below it, addresses and networks, separated by commas. TLS goes
through the tunnel from end to end: the proxy sees the partner's name and port, and nothing else.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any, Self

from yarl import URL

from openmid.midserver import redact
from openmid.midserver.config import Config
from openmid.midserver.egress import canonical
from openmid.midserver.errors import ConfigError

PREFIX = "mid.proxy."
BYPASS = f"{PREFIX}bypass_list"

Bypass = Callable[[str], bool]


@dataclass(frozen=True)
class Proxy:
    """One proxy, or none: then `url` is None."""

    url: URL | None = None
    user: str = ""
    _headers: dict[str, str] = field(default_factory=dict, repr=False)
    _bypass: tuple[Bypass, ...] = ()

    @classmethod
    def of(cls, config: Config) -> Self:
        """The proxy that a config.xml names.

        Raises:
            ConfigError: a parameter is missing or wrong.
        """
        if not _wanted(config):
            return cls()
        host, port = config.required(f"{PREFIX}host"), config.number(f"{PREFIX}port", 3128, 1, 65535)
        try:
            url = URL.build(scheme="http", host=host.strip("[]"), port=port)
        except ValueError as error:
            raise ConfigError(f'the parameter "{PREFIX}host" in {config.path} is "{host}"', "a host name") from error
        user = config.parameter(f"{PREFIX}username")
        return cls(url, user, _authorization(user, config.parameter(f"{PREFIX}password")), _bypasses(config))

    def towards(self, host: str) -> dict[str, Any]:
        """What an `exchange.Destination` at `host` takes besides; nothing where no proxy is used."""
        if self.url is None or any(matches(canonical(host)) for matches in self._bypass):
            return {}
        return {"proxy": self.url, "proxy_headers": self._headers}


NONE = Proxy()


def _wanted(config: Config) -> bool:
    value = config.parameter(f"{PREFIX}use_proxy", "false")
    if value not in ("true", "false"):
        raise ConfigError(
            f'the parameter "{PREFIX}use_proxy" in {config.path} is "{value}"', "true or false belongs there"
        )
    return value == "true"


def _authorization(user: str, password: str) -> dict[str, str]:
    """RFC 7617, in UTF-8."""
    if not user:
        return {}
    redact.learn(password)
    encoded = redact.learn(base64.b64encode(f"{user}:{password}".encode()).decode())
    return {"Proxy-Authorization": f"Basic {encoded}"}


def _bypasses(config: Config) -> tuple[Bypass, ...]:
    words = re.split(r"[\s,;|]+", config.parameter(BYPASS).lower())
    try:
        return tuple(_bypass(word) for word in words if word)
    except ValueError as error:
        raise ConfigError(
            f'the parameter "{BYPASS}" in {config.path} is not a list of hosts and networks: {error}',
            "it looks like localhost, .intranet.example, 10.0.0.0/8",
        ) from error


def _bypass(word: str) -> Bypass:
    if word == "*":
        return lambda _: True
    if word.startswith(("*.", ".")):
        domain = canonical(word.lstrip("*."))
        return lambda host: host == domain or host.endswith(f".{domain}")
    if "/" in word:
        network = ip_network(word, strict=False)
        return lambda host: (address := _address(host)) is not None and address in network
    if "*" in word:
        raise ValueError(f'"{word}" has its asterisk elsewhere than at the begin')
    exact, name = _address(word.strip("[]")), canonical(word)
    return lambda host: host == name or (exact is not None and _address(host) == exact)


def _address(host: str) -> Any:
    try:
        return ip_address(host)
    except ValueError:
        return None
