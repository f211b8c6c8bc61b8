"""What systemd is told of a service of Type=notify: one datagram to the socket that it names (sd_notify(3))."""

from __future__ import annotations

import contextlib
import os
import socket

SOCKET = "NOTIFY_SOCKET"


def notify(*states: str) -> None:
    """Send `READY=1`, `STATUS=…` and the like; nothing where nobody listens."""
    address = os.environ.get(SOCKET, "")
    if not address.startswith(("/", "@")):
        return
    if address[0] == "@":
        address = f"\0{address[1:]}"  # Linux's abstract name space (unix(7))
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as plain:
        plain.connect(address)
        plain.send("\n".join(states).encode())
