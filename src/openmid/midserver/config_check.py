"""What an administrator may have got wrong without being told otherwise: a parameter that nobody reads, a folder that is
open to others. Said in the log at each start; nothing stops for it."""

from __future__ import annotations

import difflib
import re

import structlog

from openmid import system
from openmid.midserver.config import Config

log = structlog.get_logger()

KNOWN = frozenset(
    {
        "url",
        "name",
        "mid_sys_id",
        "threads.max",
        "threads.expedited.max",
        "threads.interactive.max",
        "mid.https.truststore.path",
        "mid.https.truststore.password",
        "mid.httpclient.truststore.path",
        "mid.httpclient.truststore.password",
        "mid.external_credential_store",
        "mid.results.limit_mb",
        "mid.metrics.path",
        "mid.log.level",
        "mid.proxy.use_proxy",
        "mid.proxy.host",
        "mid.proxy.port",
        "mid.proxy.username",
        "mid.proxy.password",
        "mid.proxy.bypass_list",
        "mid.fips.enforced",
    }
)
FAMILIES = re.compile(
    r"mid\.external_credential_store\..+|mid\.httpclient\.protocol\.[^.]+\.(path|port|password|truststore\.(path|password))"
)
"""Parameters whose names hold a name of the administrator's."""
PRIVATE = ("security", "security/secret.key", "security/agent_keystore", "work")


def look(config: Config) -> None:
    """Say what is found."""
    for name in unread(config):
        close = difflib.get_close_matches(name, KNOWN, 1, 0.8)
        log.warning(
            f'the parameter "{name}" in {config.path} has no meaning',
            remedy=f"{close[0]} is meant?" if close else "take it out",
        )
    for path in (config.agent / name for name in PRIVATE):
        if system.HERE.exposed(path):
            log.warning(f"other users may look into {path}", remedy=f"chmod go= {path}")


def unread(config: Config) -> list[str]:
    """The names that nobody reads."""
    return sorted(name for name in config.parameters() if name not in KNOWN and not FAMILIES.fullmatch(name))
