"""One protocol: its profile, the client that calls use, and why the last load failed, if it did."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from openmid.midserver.client_identity import ADVISED_PASSWORD_LENGTH, ProfileError
from openmid.midserver.file_watch import FileWatch
from openmid.midserver.profile_loader import ProfileLoader
from openmid.midserver.profiles import OpenedProfile, Place
from openmid.midserver.retry import Backoff
from openmid.midserver.tls_client import TlsClient
from openmid.wire.messages import ProfileStatus

log = structlog.get_logger()

LOOK_SECONDS, SETTLE_SECONDS, MOST_SETTLING = 1.0, 0.1, 20
RETRY_SECONDS = 60.0


class Registered:
    """A client that was loaded stays in use until the next one has loaded: calls in flight keep theirs to the end."""

    def __init__(
        self, profile: OpenedProfile, loader: ProfileLoader, changed: Callable[[], None] = lambda: None
    ) -> None:
        """`changed` is called when there is something new to say of it."""
        self.profile = profile
        self.client: TlsClient | None = None
        self.error: ProfileError | None = None
        self.place: Place | None = None
        self.settled = asyncio.Event()
        """The first load has come to an end, good or bad."""
        self._loader = loader
        self._changed = changed
        self._watch = FileWatch([])
        self._backoff = Backoff(longest=RETRY_SECONDS)
        self._retry_at = 0.0
        self._said = ""
        self._loading = asyncio.Lock()

    @property
    def port(self) -> int:
        """The port of a URL that names none."""
        return self.place.port if self.place else self.profile.default_port

    async def change(self, profile: OpenedProfile) -> None:
        """The profile is another now. Another record's certificate is no stand-in: only the same one's goes on."""
        if profile.sys_id != self.profile.sys_id:
            await self.retire()
            self.settled.clear()
        self.profile = profile
        await self.load()

    async def load(self) -> None:
        """Load the profile's keystore; what was loaded before stays in use when that fails."""
        async with self._loading:
            await self._load()

    async def look(self, *, settle: bool = False) -> None:
        """Load again when a file has changed, or when it is time to try again what failed.

        With `settle`, a file that is being written is left alone until it looks the same twice.
        """
        async with self._loading:
            changed = await self._loader.in_thread(self._watch.changed)
            if changed and settle:
                await self._settle()
            if changed or (self.error is not None and time.monotonic() >= self._retry_at):
                await self._load()

    async def watch(self) -> None:
        """Look for ever."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self.look(settle=True)

    async def _settle(self) -> None:
        for _ in range(MOST_SETTLING):
            await self._loader.in_thread(self._watch.take)
            await asyncio.sleep(SETTLE_SECONDS)
            if not await self._loader.in_thread(self._watch.changed):
                return

    async def _load(self) -> None:
        profile, old = self.profile, self.client
        try:
            self.place = self._loader.place(profile)
            await self._look_at(self._loader.files(profile.protocol, self.place))
            client = await self._loader.client(profile, self.place)
            if self._superseded(profile):
                await client.retire()
                return
        except ProfileError as error:
            if self._superseded(profile):
                return
            self.error = error
            self._retry_at = time.monotonic() + self._backoff.next()
        except Exception:
            log.exception(f"protocol {profile.protocol}: loading failed unexpectedly")
            sentence = "the MID Server failed unexpectedly while it loaded the keystore"
            self.error = ProfileError("internal_error", sentence, "its agent/logs/agent0.log says where")
            self._retry_at = time.monotonic() + RETRY_SECONDS
        else:
            self.client, self.error = client, None
            self._backoff.reset()
            if old is not None:
                await old.retire()
        self._report()
        self.settled.set()

    def _superseded(self, profile: OpenedProfile) -> bool:
        """Whether the protocol was given to another record while this one loaded: that one's load comes next."""
        return profile.sys_id != self.profile.sys_id

    async def _look_at(self, paths: list[Path]) -> None:
        if self._watch.paths != tuple(paths):
            self._watch = FileWatch(paths)
        await self._loader.in_thread(self._watch.take)

    async def retire(self) -> None:
        """No new call will use the client."""
        client, self.client = self.client, None
        if client is not None:
            await client.retire()

    def _report(self) -> None:
        """Log what is new: a store that stays away is asked for ever, and told of once."""
        protocol, status = self.profile.protocol, self.status()
        said = status.error if self.error else f"{status.serial} {time.monotonic()}"
        if said == self._said:
            return
        self._said = said
        self._changed()
        if self.error is not None:
            log.warning(f"protocol {protocol} did not load: {status.error}", remedy=status.remedy)
            return
        log.info(f"protocol {protocol} is registered", subject=status.subject, not_after=status.not_after)
        if status.error:
            log.warning(f"protocol {protocol}: {status.error}", remedy=status.remedy)
        if status.note:
            log.warning(f"protocol {protocol}: {status.note}")
        place = self.place
        if self._loader.enforced and place and not place.external and len(place.password) < ADVISED_PASSWORD_LENGTH:
            log.warning(f"the store password of protocol {protocol} is shorter than 14 characters")

    def status(self) -> ProfileStatus:
        """What the heartbeat says of it. An expired certificate is loaded, and flagged."""
        identity = self.client.identity if self.client else None
        code, error, remedy = self._trouble()
        return ProfileStatus(
            sys_id=self.profile.sys_id,
            protocol=self.profile.protocol,
            loaded=identity is not None,
            keystore_type=identity.keystore_type if identity else "",
            subject=identity.facts.subject if identity else "",
            serial=identity.facts.serial if identity else "",
            not_after=identity.facts.not_after if identity else "",
            error_code=code,
            error=error,
            remedy=remedy,
            note=self.place.note if self.place else "",
        )

    def _trouble(self) -> tuple[str, str, str]:
        facts = self.client.facts if self.client else None
        if self.error is not None:
            kept = (
                f"; the certificate loaded before stays in use ({facts.subject}, serial {facts.serial}, "
                f"valid until {facts.not_after})"
                if facts
                else ""
            )
            return self.error.code, f"{self.error}{kept}", self.error.remedy
        if facts and facts.expired and self.place:
            sentence = f"the client certificate has expired ({facts.not_after})"
            return "certificate_expired", sentence, f"have it renewed and put the new one into {self.place.path}"
        return "", "", ""
