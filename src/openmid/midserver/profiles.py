"""A MID Protocol Profile as this host sees it, and where its keystore and password come from.

Three places, and never two at once: the profile itself; config.xml, when the profile has neither path nor password
(`mid.httpclient.protocol.<protocol>.path`, `.port`, `.password`); an external credential store, when the profile says so:
then its password is the secret's name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from openmid.midserver.client_identity import ProfileError
from openmid.midserver.config import Config
from openmid.midserver.errors import ConfigError, SealedSecretRefused
from openmid.wire.messages import Profile
from openmid.wire.sealing import SealedFor

if TYPE_CHECKING:
    from openmid.midserver.agent_key import AgentKey

PREFIX = "mid.httpclient."
_OF_PROTOCOL = re.compile(
    r"mid\.httpclient\.protocol\.([^.]+)\.(?:path|port|password|truststore\.path|truststore\.password)"
)


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
    external: bool = False
    """`password` is the name of a secret in the external credential store."""
    alias: str = ""


@dataclass(frozen=True)
class Place:
    """Where a protocol's keystore is, and what opens it. `note` says what is there as well, and is not used."""

    path: Path
    port: int
    password: str = field(repr=False)
    external: bool = False
    note: str = ""


def opened(key: AgentKey, mid_sys_id: str, profile: Profile) -> OpenedProfile:
    """What the instance sent, with its password opened."""
    bound = SealedFor(mid=mid_sys_id, table="mid_protocol_profile", record=profile.sys_id, column="password")
    password = problem = ""
    try:
        password = key.open(profile.password, bound) if profile.password else ""
    except SealedSecretRefused as error:
        problem = str(error)
    return OpenedProfile(
        sys_id=profile.sys_id,
        protocol=profile.protocol,
        keystore_path=profile.keystore_path,
        default_port=profile.default_port,
        password=password,
        problem=problem,
        external=profile.external_credential_store,
        alias=profile.alias,
    )


def place(profile: OpenedProfile, agent: Path, config: Config | None) -> Place:
    """Where the keystore is.

    Raises:
        ProfileError: nowhere, or config.xml says something that cannot be.
    """
    prefix = f"{PREFIX}protocol.{profile.protocol}."
    of_config = _from_config(profile, agent, config, prefix) if config else None
    if not profile.keystore_path and not profile.password and of_config:
        return of_config
    if not profile.keystore_path:
        sentence = f"the MID Protocol Profile {profile.protocol} has no Keystore path"
        raise ProfileError(
            "keystore_path_missing",
            sentence if profile.password else f"{sentence}, and agent/config.xml no {prefix}path",
            "set its Keystore path; or leave path and password empty there and set both in config.xml",
        )
    note = f"{prefix}path in config.xml is not used: the profile has a keystore of its own" if of_config else ""
    return Place(agent / profile.keystore_path, profile.default_port, profile.password, profile.external, note)


def _from_config(profile: OpenedProfile, agent: Path, config: Config, prefix: str) -> Place | None:
    path = config.parameter(f"{prefix}path")
    if not path:
        return None
    try:
        port = config.number(f"{prefix}port", profile.default_port, 1, 65535)
        return Place(agent / path, port, config.parameter(f"{prefix}password"))
    except ConfigError as error:
        raise ProfileError("config_invalid", str(error), error.hint) from error


def truststore(protocol: str, agent: Path, config: Config | None) -> tuple[Path, str] | None:
    """The truststore for partners: the protocol's own, or the MID Server's, or None for the system's authorities."""
    for prefix in (f"{PREFIX}protocol.{protocol}.truststore.", f"{PREFIX}truststore."):
        path = config.parameter(f"{prefix}path") if config else ""
        if config and path:
            return agent / path, config.parameter(f"{prefix}password")
    return None


def in_config(config: Config) -> set[str]:
    """The protocols that config.xml speaks of."""
    found = (_OF_PROTOCOL.fullmatch(name) for name in config.parameters())
    return {match[1] for match in found if match}
