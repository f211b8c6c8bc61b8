"""work/status.json and work/metrics.prom: what `mid.sh status` and a Prometheus collector show of a running MID Server."""

from __future__ import annotations

import contextlib
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from openmid import system
from openmid.midserver.agent_key import ANNOUNCING, AgentKey
from openmid.midserver.config import Config, write_atomic
from openmid.midserver.journal import Journal
from openmid.midserver.link import CREDENTIAL, Link
from openmid.midserver.process import PID, STATUS, write_status
from openmid.midserver.protocol_registry import ProtocolRegistry
from openmid.midserver.standing import metrics
from openmid.wire.messages import ProfileStatus

METRICS = "work/metrics.prom"


class Status:
    """Written at every heartbeat and whenever something changes. Holds no secret."""

    def __init__(self, config: Config, key: AgentKey, link: Link, registry: ProtocolRegistry, journal: Journal) -> None:
        self._config = config
        self._key = key
        self._link = link
        self._registry = registry
        self._journal = journal
        self._metrics = config.agent / config.parameter("mid.metrics.path", METRICS)
        system.sweep(self._metrics, *(config.agent / each for each in (STATUS, PID, CREDENTIAL, ANNOUNCING)))

    def write(self) -> None:
        """Both files; a disk that is full costs nothing but these."""
        with contextlib.suppress(OSError):
            write_status(self._config.agent, self.now())
            write_atomic(Path(self._metrics), self._prometheus().encode(), 0o644, lasting=False)

    def now(self) -> dict[str, Any]:
        """As JSON takes it."""
        link, proof, load = self._link, self._link.guard.proof, self._link.load()
        return {
            "name": self._config.parameter("name"),
            "instance": link.client.url,
            "fingerprint": self._key.fingerprint,
            "validated": link.validated.is_set() if link.told else None,
            "paused": link.paused,
            "started": _iso(link.started / 1e6),
            "last_contact": _iso(link.contact.last) if link.contact.last else None,
            "clock_difference_s": link.contact.clock_difference,
            "fips_enforced": link.guard.enforced,
            "provider": f"{proof.provider_name} {proof.provider_version}" if proof else "",
            "proof": asdict(proof) if proof else None,
            "protocols": {one.protocol: _standing(one) for one in self._registry.statuses()},
            "calls_running": load.running,
            "calls_limit": load.threads,
            "calls_answered": load.done,
            "calls_failed": load.failed,
            "undelivered": load.undelivered,
            "undelivered_bytes": self._journal.undelivered_bytes,
            "journal_bytes": self._journal.size_bytes,
            "memory_bytes": system.HERE.most_memory(),
            "last_trouble": link.trouble.last if link.trouble else "",
        }

    def _prometheus(self) -> str:
        link = self._link
        days = {one.protocol: left for one in self._registry.statuses() if (left := _days(one)) is not None}
        return metrics(link.load(), link.contact, self._journal.size_bytes, self._journal.undelivered_bytes, days)


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _days(one: ProfileStatus) -> float | None:
    if not one.not_after:
        return None
    return (datetime.fromisoformat(one.not_after) - datetime.now(UTC)).total_seconds() / 86_400


def _standing(one: ProfileStatus) -> str:
    """A protocol in a few words."""
    days = _days(one)
    until = "" if days is None else f", {days:.0f} days left" if days >= 0 else f", expired {-days:.0f} days ago"
    said = one.error or f"loaded, {one.subject}{until}"
    return f"{said} ({one.note})" if one.note else said
