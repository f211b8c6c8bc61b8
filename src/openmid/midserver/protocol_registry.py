"""MID Protocol Profiles become URL schemes: `mauth` is HTTPS with that profile's client certificate.

A profile that does not load touches no other. When only the file of a loaded profile changes and does not load, the old
identity is kept and the reason is reported; a changed profile never falls back to what it was before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from openmid.midserver import client_identity
from openmid.midserver.client_identity import ADVISED_PASSWORD_LENGTH, ClientIdentity, ProfileError
from openmid.midserver.egress import Egress
from openmid.midserver.tls_client import TlsClient
from openmid.wire.messages import ProfileStatus

log = structlog.get_logger()

PLAIN = "https"
"""The one scheme that is always there: the same path without a client certificate."""

Signature = tuple[int, int, int]


@dataclass(frozen=True)
class OpenedProfile:
    """A MID Protocol Profile with its password in clear. Two that are equal need no reload."""

    sys_id: str
    protocol: str
    keystore_path: str
    default_port: int
    password: str = field(repr=False)
    problem: str = ""
    """Why the sealed password did not open, if it did not."""


class NotRegistered(Exception):
    """Raised for a scheme that no profile has given to this MID Server."""


@dataclass
class _Registered:
    profile: OpenedProfile
    path: Path
    client: TlsClient | None = None
    error: ProfileError | None = None
    signature: Signature | None = None


class ProtocolRegistry:
    """The schemes that calls may use, by name."""

    def __init__(self, agent: Path, egress: Egress, *, enforced: bool) -> None:
        self._agent = agent
        self._egress = egress
        self._enforced = enforced
        self._plain = TlsClient(None, egress, enforced=enforced)
        self._by_protocol: dict[str, _Registered] = {}
        self._changing = asyncio.Lock()

    def names(self) -> tuple[str, ...]:
        """Every protocol that a profile has registered, loaded or not."""
        return tuple(sorted(self._by_protocol))

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
            assert entry.error
            raise entry.error
        return entry.client, entry.profile.default_port

    async def apply(self, profiles: Iterable[OpenedProfile]) -> None:
        """Bring the registry to this configuration; only what changed is loaded."""
        wanted = {profile.protocol: profile for profile in profiles}
        async with self._changing:
            for protocol in [name for name in self._by_protocol if name not in wanted]:
                log.info(f"protocol {protocol} is no longer registered")
                await self._drop(self._by_protocol.pop(protocol))
            for protocol, profile in wanted.items():
                before = self._by_protocol.get(protocol)
                if before is None or before.profile != profile:
                    await self._replace(protocol, profile, before)

    async def _replace(self, protocol: str, profile: OpenedProfile, before: _Registered | None) -> None:
        entry = _Registered(profile, self._agent / profile.keystore_path)
        await self._load(entry)
        self._by_protocol[protocol] = entry
        if before is not None:
            await self._drop(before)

    async def refresh(self) -> None:
        """Load again whatever lies changed on disk: a renewed certificate, a keystore that was missing."""
        async with self._changing:
            for entry in self._by_protocol.values():
                if _signature(entry.path) != entry.signature:
                    old = entry.client
                    await self._load(entry)
                    if old is not None and entry.client is not old:
                        await old.retire()

    async def _load(self, entry: _Registered) -> None:
        """Load a profile's keystore in a thread: deriving its key takes a while, on purpose."""
        protocol = entry.profile.protocol
        entry.signature = _signature(entry.path)
        try:
            identity = await asyncio.to_thread(self._identity, entry)
            client = TlsClient(identity, self._egress, enforced=self._enforced)
            client.context("")  # OpenSSL's own opinion of the key and its certificate
        except ProfileError as error:
            entry.error = error
        except ValueError as error:
            entry.error = ProfileError("key_mismatch", f"the keystore {entry.path}: {error}", f"check {entry.path}")
        else:
            entry.client, entry.error = client, None
        self._report(protocol, entry)

    def _identity(self, entry: _Registered) -> ClientIdentity:
        if entry.profile.problem:
            remedy = "set the password in the MID Protocol Profile again"
            raise ProfileError("sealed_password", entry.profile.problem, remedy)
        return client_identity.load(entry.path, entry.profile.password, agent=self._agent, enforced=self._enforced)

    def _report(self, protocol: str, entry: _Registered) -> None:
        if entry.error is not None:
            kept = "; the certificate loaded before is still used" if entry.client else ""
            log.warning(f"protocol {protocol} did not load: {entry.error}{kept}", remedy=entry.error.remedy)
            return
        assert entry.client
        facts = entry.client.facts
        log.info(f"protocol {protocol} is registered", subject=facts.subject, not_after=facts.not_after)
        if facts.expired:
            log.warning(f"the client certificate of protocol {protocol} has expired", keystore=str(entry.path))
        if self._enforced and len(entry.profile.password) < ADVISED_PASSWORD_LENGTH:
            log.warning(f"the store password of protocol {protocol} is shorter than 14 characters")

    @staticmethod
    async def _drop(entry: _Registered) -> None:
        if entry.client is not None:
            await entry.client.retire()

    def statuses(self) -> list[ProfileStatus]:
        """What the heartbeat says of each profile. An expired certificate is loaded, and flagged."""
        return [_status(entry) for _, entry in sorted(self._by_protocol.items())]

    async def close(self) -> None:
        """Close every pool."""
        for entry in self._by_protocol.values():
            await self._drop(entry)
        await self._plain.retire()


def _signature(path: Path) -> Signature | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _status(entry: _Registered) -> ProfileStatus:
    profile, identity = entry.profile, entry.client.identity if entry.client else None
    code, error, remedy = "", "", ""
    if entry.error is not None:
        code, error, remedy = entry.error.code, str(entry.error), entry.error.remedy
    elif identity and identity.facts.expired:
        code, error = "certificate_expired", f"the client certificate has expired ({identity.facts.not_after})"
        remedy = f"have it renewed and put the new one into {entry.path}"
    return ProfileStatus(
        sys_id=profile.sys_id,
        protocol=profile.protocol,
        loaded=identity is not None,
        keystore_type=identity.keystore_type if identity else "",
        subject=identity.facts.subject if identity else "",
        serial=identity.facts.serial if identity else "",
        not_after=identity.facts.not_after if identity else "",
        error_code=code,
        error=error,
        remedy=remedy,
    )
