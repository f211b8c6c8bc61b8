"""`openmid instance run`: HTTPS by uvicorn, and a stop that does not wait for held requests."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
import sys
import time
from types import FrameType

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from openmid.instance import fips, guard, tls
from openmid.instance.errors import InstanceError, PortInUseError
from openmid.instance.folder import Folder, Listen
from openmid.instance.records.wakeups import wakeups

GRACE_S = 2
KEEP_ALIVE_S = 75  # longer than a MID Server is silent: a TLS handshake costs more than a socket


TICKS = round(guard.SWEEP_S * 10)
RENEW_TICKS = 2 * TICKS
"""Ten seconds."""


class Protocol(guard.Guard, HttpToolsProtocol):
    """HTTP/1.1 for clients that keep to their time."""


class Server(uvicorn.Server):
    """A server whose held claims and waits are answered at once when it is told to stop; a stop is exit status 0."""

    tls: tls.ServerContext | None = None

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second."""
        if counter % TICKS == 0:
            guard.sweep(self.server_state.connections, time.monotonic())
            if self.tls is not None and counter % RENEW_TICKS == 0:
                await asyncio.to_thread(self.tls.renew)
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        wakeups.stop()
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True


def serve(folder: Folder) -> None:
    """Run until SIGINT or SIGTERM.

    Raises:
        PortInUseError, InstanceError: it cannot listen.
    """
    from openmid.instance.asgi import application

    listen = folder.listen()
    secure = None
    if not listen.proxies:
        if not listen.certificate:
            tls.ensure(folder, listen.names)
        secure = tls.ServerContext(folder, listen)
    found = bind(listen)
    guard.door.most = guard.most_connections()
    config = uvicorn.Config(
        application(),
        http=Protocol,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(listen.proxies),
        forwarded_allow_ips=list(listen.proxies),
        lifespan="on",
        ws="none",
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
    )
    config.load()
    config.ssl = secure.context if secure else None
    print(f"openmid: the instance listens on {_where(listen)}", file=sys.stderr, flush=True)  # noqa: T201
    fips.say()
    server = Server(config)
    server.tls = secure
    server.run(sockets=[found])


def _where(listen: Listen) -> str:
    if listen.proxies:
        return f"http://{listen.host}:{listen.port} for the proxies {', '.join(listen.proxies)}, as {listen.url}"
    return listen.url


def bind(listen: Listen) -> socket.socket:
    """The listening socket.

    Raises:
        PortInUseError: another process has the port.
        InstanceError: the address is not this machine's, or the port is not for this user.
    """
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # named: else asyncio leaves TCP_NODELAY off
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((listen.host, listen.port))
        found.listen(2048)  # a port that is only bound could still be taken by two
    except OSError as error:
        found.close()
        where = f"{listen.host} port {listen.port}"
        if error.errno == errno.EADDRINUSE:
            raise PortInUseError(
                f"{where} is in use by another process",
                "stop it, or choose another port: openmid instance init DIR --port N",
            ) from None
        raise InstanceError(f"the instance cannot listen on {where}: {error.strerror}", "see instance.json") from None
    return found
