"""The running MID Server: its parts put together, from first contact to the last result."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import structlog

from openmid import system
from openmid.fips.proof import Proof
from openmid.midserver import agent_key, secret_key, secure_values
from openmid.midserver.attachments import InstanceAttachments
from openmid.midserver.claim_loop import ClaimLoop
from openmid.midserver.config import Config
from openmid.midserver.credentials import Credentials
from openmid.midserver.egress import Egress
from openmid.midserver.errors import InstanceUnreachable, StartError, remedy
from openmid.midserver.fips_guard import FipsGuard
from openmid.midserver.http import Host, RestRunner
from openmid.midserver.instance_client import InstanceClient
from openmid.midserver.journal import FILE, Journal
from openmid.midserver.link import Link
from openmid.midserver.process import STOP
from openmid.midserver.protocol_registry import ProtocolRegistry
from openmid.midserver.proxy import Proxy
from openmid.midserver.retry import Backoff
from openmid.midserver.running import Limits
from openmid.midserver.start import STAGED, not_enforced, report_ready
from openmid.midserver.status import Status
from openmid.midserver.worker import Worker

log = structlog.get_logger()

WAITING = 256
"""Threads at most, made when they are needed: each name that a name server does not answer for holds one for half a
minute, however soon its call has given up. asyncio's own six would be gone at once, and with them every other partner's
names, the look at FIPS Enforced Mode before each heartbeat, and the journal's fsync."""
THREADS = ("threads.interactive.max", "threads.expedited.max", "threads.max")


async def serve(config: Config, proof: Proof | None) -> bool:
    """Serve until SIGTERM or SIGINT, or until the instance asks for a restart: then True.

    Raises:
        MidError: it cannot start, or the instance refuses it at first contact.
    """
    asyncio.get_running_loop().set_default_executor(waiting_threads())
    stop = asyncio.Event()
    system.HERE.on_stop(config.agent / STOP, stop.set)
    name, enforced = config.required("name"), proof is not None
    guard = await _guard(config, proof)
    limits = Limits(*(config.number(name, 25, 1, 1000) for name in THREADS))
    most = config.number("mid.results.limit_mb", 256, 1, 1_000_000) * 1024 * 1024
    egress = Egress.of(config)
    key = agent_key.load_or_create(config.agent, name)
    secure_values.protect(config)
    client = InstanceClient.of(config)
    registry = ProtocolRegistry(config.agent, egress, enforced=enforced, config=config)
    credentials = Credentials()
    link = Link(config, key, client, registry, guard, credentials)
    link.report_egress(egress.sentences())
    journal = _journal(config, most)
    status = Status(config, key, link, registry, journal)
    link.changed = status.write
    link.changed()
    try:
        if await _establish(link, stop):
            runner = RestRunner(
                registry,
                Host(name, config.path, enforced),
                through=Proxy.of(config),
                credentials=credentials,
                attachments=InstanceAttachments(client.stream),
            )
            await ClaimLoop(link, Worker(runner), journal, limits).run(stop)
        else:
            journal.close()
        log.info("stopped")
        return link.restart.is_set() and not stop.is_set()
    finally:
        await registry.close()
        await client.close()


def waiting_threads() -> ThreadPoolExecutor:
    """For what blocks."""
    return ThreadPoolExecutor(WAITING, thread_name_prefix="waiting")


def _journal(config: Config, limit_bytes: int) -> Journal:
    """The journal, with what an earlier process left in it.

    Raises:
        StartError: it cannot be opened: without it nothing may be sent.
    """
    try:
        journal = Journal(config.agent, secret_key.read(config.agent) or secret_key.make(config.agent), limit_bytes)
    except OSError as error:
        sentence = f"{error.filename or config.agent / FILE} cannot be opened: {error.strerror or error}"
        raise StartError(sentence, remedy(error)) from error
    left = journal.left
    if left.results or left.released:
        log.info(
            f"an earlier process left {len(left.results)} results to deliver and {len(left.released)} jobs to give back"
        )
    return journal


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
