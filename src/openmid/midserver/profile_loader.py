"""From a profile to a client that presents its certificate. What blocks runs in threads of its own: reading a keystore
(deriving its key takes a while, on purpose), a file system that hangs, a store that is far away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from openmid.keystore import KeystoreError
from openmid.midserver import client_identity, profiles, truststore
from openmid.midserver.client_identity import ProfileError
from openmid.midserver.config import Config
from openmid.midserver.egress import Egress
from openmid.midserver.errors import SecretUnavailable
from openmid.midserver.external_store import ExternalSecrets
from openmid.midserver.profiles import OpenedProfile, Place
from openmid.midserver.tls_client import TlsClient

T = TypeVar("T")
THREADS = 8


class ProfileLoader:
    """What all protocols of one MID Server share. `config` None: only the profiles themselves count."""

    def __init__(self, agent: Path, egress: Egress, *, enforced: bool, config: Config | None) -> None:
        self.agent = agent
        self.enforced = enforced
        self.config = config
        self._egress = egress
        self._secrets = ExternalSecrets.of(config) if config else ExternalSecrets(None)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="keystore")

    def place(self, profile: OpenedProfile) -> Place:
        """Where its keystore is. Raises ProfileError."""
        return profiles.place(profile, self.agent, self.config)

    def files(self, protocol: str, place: Place | None) -> list[Path]:
        """The files that a client is made of."""
        trust = profiles.truststore(protocol, self.agent, self.config)
        return [*([place.path] if place else []), *([trust[0]] if trust else [])]

    async def client(self, profile: OpenedProfile, place: Place) -> TlsClient:
        """A client for the profile.

        Raises:
            ProfileError: why there is none.
        """
        if profile.problem:
            remedy = "set the password in the MID Protocol Profile again"
            raise ProfileError("sealed_password", profile.problem, remedy)
        password = place.password
        if place.external:
            try:
                password = await self._secrets.secret(place.password)
            except SecretUnavailable as error:
                raise ProfileError("external_store", str(error), error.hint) from error
        return await self.in_thread(lambda: self._client(profile, place.path, password))

    def _client(self, profile: OpenedProfile, path: Path, password: str) -> TlsClient:
        identity = client_identity.load(path, password, agent=self.agent, enforced=self.enforced, alias=profile.alias)
        trusted, trusted_by = self._trusted(profile.protocol)
        client = TlsClient(identity, self._egress, enforced=self.enforced, trusted=trusted, trusted_by=trusted_by)
        try:
            client.context("")  # OpenSSL's own opinion of the key and its certificate
        except ValueError as error:
            raise ProfileError("key_mismatch", f"the keystore {path}: {error}", f"check {path}") from error
        return client

    def plain(self, protocol: str) -> TlsClient:
        """A client without a certificate of its own. Raises ProfileError: its truststore does not open."""
        trusted, trusted_by = self._trusted(protocol)
        return TlsClient(None, self._egress, enforced=self.enforced, trusted=trusted, trusted_by=trusted_by)

    def _trusted(self, protocol: str) -> tuple[str | bytes, str]:
        """The certificates trusted by default, and the file that they come from; empty for the system's."""
        found = profiles.truststore(protocol, self.agent, self.config)
        if found is None:
            return "", ""
        path, password = found
        try:
            return truststore.trusted(path, password), str(path)
        except (KeystoreError, OSError, ValueError) as error:
            remedy = f"put the partners' CA certificates into {path}, as PEM or BCFKS"
            raise ProfileError("truststore", f"the truststore {path} cannot be used: {error}", remedy) from error

    async def in_thread(self, work: Callable[[], T]) -> T:
        """`work` in one of the loader's own threads: those that resolve names stay free."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def close(self) -> None:
        """Nothing will be loaded any more."""
        self._threads.shutdown(wait=False, cancel_futures=True)
