"""The MID Server's standing with its instance: enrolled, known by its key, validated, configured."""

from __future__ import annotations

import asyncio
import platform
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import structlog

from openmid import __version__, system
from openmid.midserver import heartbeats, profiles
from openmid.midserver.agent_key import ANNOUNCING, AgentKey
from openmid.midserver.config import Config, write_atomic
from openmid.midserver.credentials import Credentials, OpenedCredential
from openmid.midserver.errors import SealedSecretRefused, StartError
from openmid.midserver.fips_guard import FipsGuard
from openmid.midserver.instance_client import InstanceClient
from openmid.midserver.protocol_registry import ProtocolRegistry
from openmid.midserver.redact import learn
from openmid.midserver.standing import Contact
from openmid.midserver.trouble import Trouble
from openmid.wire.messages import (
    CREDENTIAL_SECRETS,
    ConfigurationAnswer,
    Credential,
    EnrolAnswer,
    EnrolRequest,
    Heartbeat,
    HeartbeatAnswer,
    Load,
    SignedProof,
)
from openmid.wire.sealing import SealedFor

log = structlog.get_logger()

CLOCK_SECONDS = 30.0
COPIED = ("sys_id", "kind", "user_name", "place", "name", "token_url", "scope", "ca_certificates")
CREDENTIAL, TOKEN = "security/credential", "security/enrolment.token"


class Link:
    """What both loops share. `validated` is set while the instance gives work, `told` once it has said anything;
    `configuration` is the one at hand; `paused` and `restart` are what an administrator wants."""

    def __init__(
        self,
        config: Config,
        key: AgentKey,
        client: InstanceClient,
        registry: ProtocolRegistry,
        guard: FipsGuard | None = None,
        credentials: Credentials | None = None,
    ) -> None:
        self.client = client
        self.validated = asyncio.Event()
        self.configuration = ""
        self.wanted_configuration = ""
        self.changed: Callable[[], None] = lambda: None
        self._config = config
        self._key = key
        self._registry = registry
        self.guard = guard or FipsGuard(None, None)
        self._signed: SignedProof | None = None
        self._asked: int | None = None
        self._name = config.required("name")
        self.started = time.time_ns() // 1000
        self._egress: list[str] = []
        self._credentials = credentials or Credentials()
        self.paused = False
        self.restart = asyncio.Event()
        self.news = asyncio.Event()
        """Something that the next heartbeat should not wait for."""
        registry.changed = self.news.set
        self.load: Callable[[], Load] = Load
        self.contact = Contact()
        self.trouble: Trouble | None = None
        self.told = False

    def report_egress(self, sentences: list[str]) -> None:
        """The rules that every heartbeat carries."""
        self._egress = sentences

    async def establish(self) -> None:
        """First contact, or contact again: enrol if there is no credential, announce a new key if there is one.

        Raises:
            InstanceUnreachable: try again.
            InstanceRefused, StartError: trying again changes nothing.
        """
        if not self._path(CREDENTIAL).exists():
            await self._enrol()
        await self.introduce()
        await self.beat()

    async def introduce(self) -> None:
        """Take up the credential; and announce a new key, if there is one.

        Raises:
            InstanceUnreachable, InstanceRefused, StartError: as `establish`.
        """
        mid_sys_id = self._config.required("mid_sys_id")
        sealed = self._path(CREDENTIAL).read_text()
        self.client.authorise(mid_sys_id, self._open_credential(mid_sys_id, sealed))
        if self._key.has_previous:
            await self._rekey(mid_sys_id)

    async def _enrol(self) -> None:
        token_path = self._path(TOKEN)
        if not token_path.exists():
            raise StartError(
                f"this MID Server is not enrolled, and there is no token in {token_path}",
                f"on the instance: openmid instance mid token {self._name} --output {token_path}",
            )
        request = EnrolRequest(
            token=learn(token_path.read_text().strip()),
            name=self._name,
            public_key=self._key.public_key,
            host_name=platform.node(),
            version=__version__,
            host_os_distribution=_distribution(),
        )
        answer = await self.client.call("/enrol", request, EnrolAnswer)
        self._keep(answer)
        token_path.unlink()
        if self._key.has_previous:  # switched before the first contact: the instance has only ever seen this one
            self._drop_previous()
        log.info(f"enrolled as {self._name}", fingerprint=self._key.fingerprint, mid_sys_id=answer.mid_sys_id)

    def _keep(self, answer: EnrolAnswer) -> None:
        """Only a credential that opens replaces the one at hand."""
        self._open_credential(answer.mid_sys_id, answer.credential)
        self._config.set_parameter("mid_sys_id", answer.mid_sys_id)
        self._config.save()
        write_atomic(self._path(CREDENTIAL), answer.credential.encode())

    def _open_credential(self, mid_sys_id: str, sealed: str) -> str:
        bound = SealedFor(mid=mid_sys_id, table="ecc_agent", record=mid_sys_id, column="credential")
        try:
            return self._key.open(sealed, bound)
        except SealedSecretRefused as error:
            hint = f"enrol again: remove {self._path(CREDENTIAL)} and put a new token into {self._path(TOKEN)}"
            raise StartError(str(error), hint) from error

    async def _rekey(self, mid_sys_id: str) -> None:
        # From now on the instance may know the new key, also when its answer is lost: nobody may take the key back.
        write_atomic(self._path(ANNOUNCING), f"{self._key.fingerprint}\n".encode())
        answer = await self.client.call("/rekey", self._key.rekey_request(mid_sys_id), EnrolAnswer)
        self._keep(answer)
        self.client.authorise(mid_sys_id, self._open_credential(mid_sys_id, answer.credential))
        self._drop_previous()
        log.info("the instance knows the new key", fingerprint=self._key.fingerprint)

    def _drop_previous(self) -> None:
        self._key.drop_previous()
        self._path(ANNOUNCING).unlink(missing_ok=True)

    async def beat(self, status: str = "Up") -> int:
        """One heartbeat. Returns the milliseconds until the next.

        Raises:
            InstanceError: as `InstanceClient.call`.
        """
        message = Heartbeat(
            version=__version__,
            host_name=platform.node(),
            started=self.started,
            host_os_distribution=_distribution(),
            status=self._status(status),
            fips_enforced=self.guard.enforced,
            proof=self._signed_proof(),
            profiles=self._registry.statuses(),
            egress=self._egress,
            load=msgspec.structs.replace(self.load(), memory_bytes=system.HERE.most_memory()),
            log_tail=self.contact.log_tail(),
            configuration=self.configuration,
            now=time.time_ns() // 1000,
        )
        answer = await self.client.call("/heartbeat", heartbeats.fitting(message), HeartbeatAnswer)
        self._heard(answer)
        self.wanted_configuration = answer.configuration
        self.note_validated(answer.validated)
        asked, self._asked = self._asked, answer.prove
        if asked is not None and answer.prove != asked:  # what was asked before the start, the start has answered
            await self.guard.prove()
            self.changed()
            return 0
        return max(100, answer.interval_ms)

    def _status(self, wanted: str) -> str:
        if not self.guard.in_force.is_set():
            return "Degraded"
        return "Paused" if self.paused and wanted == "Up" else wanted

    def _heard(self, answer: HeartbeatAnswer) -> None:
        """What an administrator wants, and what time it is there."""
        was_off = abs(self.contact.clock_difference) > CLOCK_SECONDS
        self.contact.heard(answer.now)
        if abs(self.contact.clock_difference) > CLOCK_SECONDS and not was_off:
            log.warning(
                f"this host's clock and the instance's differ by {self.contact.clock_difference:.0f} s",
                remedy="let both hosts have their time from NTP; certificates are judged by this host's clock",
            )
        if answer.paused != self.paused:
            self.paused = answer.paused
            log.info("paused: no new work is taken" if self.paused else "resumed")
        if answer.restart > self.started and not self.restart.is_set():
            log.info("a restart was asked for")
            self.restart.set()

    async def look(self) -> None:
        """Look whether FIPS Enforced Mode is still in force."""
        before = self.guard.enforced
        await self.guard.look()
        if self.guard.enforced != before:
            self.changed()

    def _signed_proof(self) -> SignedProof | None:
        """Signed once, under the key that the instance knows."""
        text = self.guard.text()
        if not text:
            return None
        if self._signed is None or self._signed.text != text:
            self._signed = self._key.sign_proof(self._config.required("mid_sys_id"), text)
        return self._signed

    def note_validated(self, validated: bool) -> None:
        """What the instance says of this MID Server's key; logged when it changes."""
        if validated == self.validated.is_set() and self.told:
            return
        self.told = True
        if validated:
            self.validated.set()
            log.info("validated: this MID Server takes work")
        else:
            self.validated.clear()
            command = f"openmid instance mid validate {self._name} --fingerprint {self._key.fingerprint}"
            log.warning(
                "not validated: no work and no secrets until an administrator confirms the key's fingerprint",
                fingerprint=self._key.fingerprint,
                on_the_instance=command,
            )
        self.changed()

    async def configure(self) -> None:
        """Fetch the configuration and bring the protocols to it.

        Raises:
            InstanceError: as `InstanceClient.call`.
        """
        answer = await self.client.call("/configuration", {}, ConfigurationAnswer)
        mid_sys_id = self._config.required("mid_sys_id")
        self._credentials.replace([self._opened(mid_sys_id, one) for one in answer.credentials])
        await self._registry.apply([profiles.opened(self._key, mid_sys_id, profile) for profile in answer.profiles])
        self.configuration = self.wanted_configuration = answer.configuration
        self.news.set()
        self.changed()

    def _opened(self, mid_sys_id: str, one: Credential) -> OpenedCredential:
        table, column = CREDENTIAL_SECRETS[one.kind]
        values = {name: getattr(one, name) for name in COPIED}
        try:
            secret = self._key.open(one.secret, SealedFor(mid_sys_id, table, one.sys_id, column)) if one.secret else ""
        except SealedSecretRefused as error:
            return OpenedCredential(secret="", problem=str(error), **values)
        return OpenedCredential(secret=learn(secret), **values)

    def _path(self, name: str) -> Path:
        return self._config.agent / name


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        return platform.system()
