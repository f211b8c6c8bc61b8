"""The running MID Server: its parts put together, from first contact to the last result."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

import structlog

from openmid import system
from openmid.fips.proof import Proof
from openmid.midserver import agent_key, secure_values
from openmid.midserver.attachments import InstanceAttachments
from openmid.midserver.claim_loop import ClaimLoop
from openmid.midserver.config import Config
from openmid.midserver.egress import Egress
from openmid.midserver.errors import InstanceUnreachable
from openmid.midserver.fips_guard import FipsGuard
from openmid.midserver.http import Host, RestRunner
from openmid.midserver.instance_client import InstanceClient
from openmid.midserver.link import Link
from openmid.midserver.process import STOP, write_status
from openmid.midserver.protocol_registry import ProtocolRegistry
from openmid.midserver.proxy import Proxy
from openmid.midserver.retry import Backoff
from openmid.midserver.start import STAGED, not_enforced, report_ready
from openmid.midserver.worker import Worker

log = structlog.get_logger()


async def serve(config: Config, proof: Proof | None) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        MidError: it cannot start, or the instance refuses it at first contact.
    """
    stop = asyncio.Event()
    system.HERE.on_stop(config.agent / STOP, stop.set)
    name, enforced = config.required("name"), proof is not None
    guard = await _guard(config, proof)
    threads = config.number("threads.max", 25, 1, 1000)
    egress = Egress.of(config)
    key = agent_key.load_or_create(config.agent, name)
    secure_values.protect(config)
    client = InstanceClient.of(config)
    registry = ProtocolRegistry(config.agent, egress, enforced=enforced, config=config)
    link = Link(config, key, client, registry, guard)
    link.report_egress(egress.sentences())
    link.changed = lambda: _write_status(config, key, link, registry)
    link.changed()
    try:
        if await _establish(link, stop):
            runner = RestRunner(
                registry,
                Host(name, config.path, enforced),
                through=Proxy.of(config),
                attachments=InstanceAttachments(client.stream),
            )
            await ClaimLoop(link, registry, Worker(runner), threads).run(stop)
        log.info("stopped")
    finally:
        await registry.close()
        await client.close()


async def _guard(config: Config, proof: Proof | None) -> FipsGuard:
    """The proof was made before anything else; by now every import is done, and what they loaded is looked at.

    Raises:
        StartError: a library came with them that the proof does not know.
    """
    guard = FipsGuard(config.agent / STAGED if proof else None, proof)
    await guard.look()
    if not guard.in_force.is_set():
        raise not_enforced(config, guard.proof.reason if guard.proof else "")
    return guard


async def _establish(link: Link, stop: asyncio.Event) -> bool:
    """First contact, however long the instance takes to be there. False when told to stop meanwhile."""
    backoff, trouble = Backoff(), ""
    stopping = asyncio.create_task(stop.wait())
    while not stop.is_set():
        contact = asyncio.create_task(link.establish())
        await asyncio.wait([contact, stopping], return_when=asyncio.FIRST_COMPLETED)
        if not contact.done():
            contact.cancel()  # enrolling may be repeated: an answer that was lost does no harm
            break
        try:
            contact.result()
        except InstanceUnreachable as error:
            if str(error) != trouble:
                log.warning(f"{error}; trying again", remedy=error.hint)
            trouble = str(error)
            report_ready(f"up, but {error}; it keeps trying")
            await asyncio.wait([stopping], timeout=backoff.next())
        else:
            stopping.cancel()
            report_ready("up" if link.validated.is_set() else "up, and waits to be validated")
            return True
    return False


def _write_status(config: Config, key: agent_key.AgentKey, link: Link, registry: ProtocolRegistry) -> None:
    proof = link.guard.proof
    status = {
        "name": config.parameter("name"),
        "instance": link.client.url,
        "fingerprint": key.fingerprint,
        "validated": link.validated.is_set() if link.told else None,
        "fips_enforced": link.guard.enforced,
        "provider": f"{proof.provider_name} {proof.provider_version}" if proof else "",
        "proof": asdict(proof) if proof else None,
        "protocols": {one.protocol: one.error or f"loaded, {one.subject}" for one in registry.statuses()},
    }
    write_status(config.agent, status)
