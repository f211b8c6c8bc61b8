"""MID Protocol Profiles become URL schemes: `mauth` is HTTPS with that profile's client certificate.

Each protocol is loaded, watched and tried again by itself: one that does not load touches no other. When a changed file or
a changed profile does not load, the certificate that was loaded before stays in use, and the reason is reported.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path

import structlog

from openmid.midserver import profiles
from openmid.midserver.client_identity import ProfileError
from openmid.midserver.config import Config
from openmid.midserver.egress import Egress
from openmid.midserver.errors import ConfigError
from openmid.midserver.profile_loader import ProfileLoader
from openmid.midserver.profiles import OpenedProfile
from openmid.midserver.registered import Registered
from openmid.midserver.tls_client import TlsClient
from openmid.wire.messages import ProfileStatus

__all__ = ["NotRegistered", "OpenedProfile", "ProtocolRegistry"]

log = structlog.get_logger()

PLAIN = "https"
"""The one scheme that is always there: the same path without a client certificate."""
PATIENCE_SECONDS = 5.0
"""So long a new configuration waits for its protocols: calls of one that takes longer wait for it, others do not."""

READY_SECONDS = 30.0
"""So long such a call waits: a lease holds for a minute more than the call itself may take."""


class NotRegistered(Exception):
    """Raised for a scheme that no profile has given to this MID Server."""


class ProtocolRegistry:
    """The schemes that calls may use, by name."""

    def __init__(self, agent: Path, egress: Egress, *, enforced: bool, config: Config | None = None) -> None:
        """`config` has the keystores of profiles that have none of their own, truststores, and the external store.

        Raises:
            ConfigError: the external credential store or the truststore of config.xml cannot be used.
        """
        self.changed: Callable[[], None] = lambda: None
        """Called when there is something new to say of a protocol."""
        self._loader = ProfileLoader(agent, egress, enforced=enforced, config=config)
        self._plain = self._plain_client()
        self._by_protocol: dict[str, Registered] = {}
        self._tasks: dict[str, set[asyncio.Task[None]]] = {}
        self._changing = asyncio.Lock()
        self._unknown: set[str] = set()

    def _plain_client(self) -> TlsClient:
        try:
            return self._loader.plain(PLAIN)
        except ProfileError as error:
            raise ConfigError(str(error), error.remedy) from error

    def names(self) -> tuple[str, ...]:
        """Every protocol that a profile has registered, loaded or not."""
        return tuple(sorted(self._by_protocol))

    async def ready(self, protocol: str, seconds: float) -> None:
        """Wait while a protocol is loaded for the first time, but not for ever: a store that is far away takes its time,
        and a call that began when its lease is lost would be made although its outcome is recorded."""
        entry = self._by_protocol.get(protocol)
        if entry is not None and not entry.settled.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(seconds, READY_SECONDS)):
                    await entry.settled.wait()

    def client(self, protocol: str) -> tuple[TlsClient, int]:
        """The client for a scheme, and its default port.

        Raises:
            NotRegistered: no profile of that name applies here.
            ProfileError: it did not load; says why.
        """
        if protocol == PLAIN:
            return self._plain, 443
        entry = self._by_protocol.get(protocol)
        if entry is None:
            raise NotRegistered(protocol)
        if entry.client is None:
            raise entry.error or ProfileError("keystore_loading", "its keystore is still being loaded", "try again")
        return entry.client, entry.port

    async def apply(self, wanted: Iterable[OpenedProfile]) -> None:
        """Bring the registry to this configuration; only what changed is loaded."""
        by_protocol = {profile.protocol: profile for profile in wanted}
        async with self._changing:
            for protocol in [name for name in self._by_protocol if name not in by_protocol]:
                log.info(f"protocol {protocol} is no longer registered")
                await self._drop(protocol)
            loads = [load for profile in by_protocol.values() if (load := self._changed(profile))]
            if loads:
                await asyncio.wait(loads, timeout=PATIENCE_SECONDS)
        self._look_for_unknown(set(by_protocol))

    def _changed(self, profile: OpenedProfile) -> asyncio.Task[None] | None:
        entry = self._by_protocol.get(profile.protocol)
        if entry is None:
            entry = self._by_protocol[profile.protocol] = Registered(profile, self._loader, lambda: self.changed())
            load = self._start(profile.protocol, entry.load())
            self._start(profile.protocol, entry.watch())
            return load
        return self._start(profile.protocol, entry.change(profile)) if entry.profile != profile else None

    def _start(self, protocol: str, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        tasks = self._tasks.setdefault(protocol, set())
        task = asyncio.create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        return task

    def _look_for_unknown(self, known: set[str]) -> None:
        """Told once: a name in config.xml that no profile has is most likely a typing mistake."""
        found = profiles.in_config(self._loader.config) - known if self._loader.config else set()
        for protocol in sorted(found - self._unknown - {PLAIN}):
            log.warning(
                f"config.xml speaks of the protocol {protocol}, and no MID Protocol Profile of that name applies here"
            )
        self._unknown = found

    async def refresh(self) -> None:
        """Look at once what each protocol looks at every second: whether its files have changed."""
        await asyncio.gather(*(entry.look() for entry in self._by_protocol.values()))

    async def _drop(self, protocol: str) -> None:
        entry, tasks = self._by_protocol.pop(protocol), self._tasks.pop(protocol, set())
        for task in list(tasks):
            task.cancel()
            await asyncio.wait([task])  # to await it would hide that somebody cancels this one
        entry.settled.set()
        await entry.retire()

    def statuses(self) -> list[ProfileStatus]:
        """What the heartbeat says of each profile."""
        return [entry.status() for _, entry in sorted(self._by_protocol.items())]

    async def close(self) -> None:
        """Stop watching, and close every pool."""
        for protocol in self.names():
            await self._drop(protocol)
        await self._plain.retire()
        self._loader.close()
