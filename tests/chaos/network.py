"""A network namespace for the MID Server: one link to the instance, one to the partner, each cut by itself.

The addresses are of 198.18.0.0/15, which is for such tests (RFC 2544, appendix C.2.2). Needs root and iproute2.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

BASE = int(IPv4Address("198.18.0.0"))
NOBODY = "02:00:00:00:00:01"
"""A hardware address that nothing on a link has: what is sent to it is gone, and nobody is told."""
BY_NAME = 'mount --bind "$0" /etc/hosts && exec "$@"'
"""`ip netns exec` gives the command a mount namespace of its own: this machine's /etc/hosts stays as it is."""


@dataclass(frozen=True)
class Link:
    """A pair of interfaces, `here` and `there`, with the two addresses between them."""

    here: str
    there: str
    address: str
    far: str


class Network:
    """A namespace and its two links."""

    def __init__(self, folder: Path) -> None:
        """Raises OSError, subprocess.CalledProcessError: it may not be made here."""
        self.name, number = f"omc{os.getpid()}", os.getpid() % 16_384
        self.instance = _link(f"{self.name}i", BASE + number * 8)
        self.partner = _link(f"{self.name}p", BASE + number * 8 + 4)
        self._hosts = folder / "hosts"
        self._hosts.write_text(f"{self.instance.address} instance.chaos\n{self.partner.address} localhost\n")
        _ip("netns", "add", self.name)
        try:
            for link in (self.instance, self.partner):
                self._lay(link)
        except subprocess.CalledProcessError:
            self.close()
            raise

    def _lay(self, link: Link) -> None:
        _ip("link", "add", link.here, "type", "veth", "peer", "name", link.there, "netns", self.name)
        _ip("addr", "add", f"{link.address}/30", "dev", link.here)
        _ip("link", "set", link.here, "up")
        self._inside("addr", "add", f"{link.far}/30", "dev", link.there)
        self._inside("link", "set", link.there, "up")

    def command(self, words: list[str]) -> list[str]:
        """The same command, inside."""
        return ["ip", "netns", "exec", self.name, "sh", "-c", BY_NAME, str(self._hosts), *words]

    def down(self, link: Link) -> None:
        """The cable is out: the MID Server has no route any more, and hears so."""
        self._inside("link", "set", link.there, "down")

    def swallow(self, link: Link) -> None:
        """Whatever is sent in either direction is gone, and nobody is told."""
        _ip("neigh", "replace", link.far, "lladdr", NOBODY, "nud", "permanent", "dev", link.here)
        self._inside("neigh", "replace", link.address, "lladdr", NOBODY, "nud", "permanent", "dev", link.there)

    def heal(self) -> None:
        """Both links carry again."""
        for link in (self.instance, self.partner):
            self._inside("link", "set", link.there, "up")
            _ip("neigh", "del", link.far, "dev", link.here, check=False)
            self._inside("neigh", "del", link.address, "dev", link.there, check=False)

    def close(self) -> None:
        """The links end with the namespace."""
        _ip("netns", "del", self.name, check=False)
        for link in (self.instance, self.partner):
            _ip("link", "del", link.here, check=False)

    def _inside(self, *words: str, check: bool = True) -> None:
        _ip("-n", self.name, *words, check=check)


def _link(name: str, base: int) -> Link:
    return Link(name, f"{name}x", str(IPv4Address(base + 1)), str(IPv4Address(base + 2)))


def _ip(*words: str, check: bool = True) -> None:
    subprocess.run(["ip", *words], check=check, capture_output=True, text=True)
