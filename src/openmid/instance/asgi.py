"""The instance as one ASGI application: the wing for machines, static files, and Django for everything else.

Django is set up before this module is imported.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import cast

from django.conf import settings
from django.core.asgi import get_asgi_application
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from openmid.instance import fips
from openmid.instance.actions import runner
from openmid.instance.channel.http import KnownHost, limited
from openmid.instance.channel.router import Wing
from openmid.instance.channel.wing import HANDLERS, ROUTES, refused
from openmid.instance.ecc import clock_jump, queue
from openmid.instance.ecc.writer import close_writer, drive, release, writer
from openmid.instance.folder import Folder
from openmid.instance.operations.retention import keep_tidy
from openmid.instance.records.database import DATABASE_ERRORS, shared
from openmid.instance.records.failures import DatabaseAway
from openmid.instance.records.listening import listen
from openmid.instance.records.trouble import of_the_database
from openmid.instance.records.wakeups import wakeups

LAPSE_S = 5.0
log = logging.getLogger("openmid.instance")


async def _end_lost_jobs() -> None:
    """Every few seconds, and when a MID Server loses its trust or its record: jobs that will have no result."""
    begun = False
    following: clock_jump.Following | None = None
    with wakeups.waiting("lost jobs") as woken:
        while True:
            woken.clear()
            lost = 0
            try:
                if not begun:
                    await writer().done(clock_jump.at_start)
                    begun = True
                elif following or clock_jump.moved():
                    following = following or clock_jump.Following()
                    await writer().done(following)
                    following = None
                lost = await writer().done(runner.lapse)
            except DatabaseAway as error:
                begun = False  # nobody can deliver now: when it is back, as at a start
                log.warning("lost jobs could not be looked for: %s", error)
            except DATABASE_ERRORS as error:
                log.warning("lost jobs could not be looked for: %s", (of_the_database(error) or (error,))[0])
            except Exception:
                log.exception("lost jobs could not be looked for")
            if lost:
                log.warning("%d jobs ended without a result; their executions say why", lost)
            if lost < queue.AT_ONCE:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(woken.wait(), LAPSE_S)


@contextlib.asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """The writer is this loop's as long as the application runs."""
    driven = drive()
    tasks = [asyncio.create_task(_end_lost_jobs())]
    if fips.wanted() and settings.OPENMID_FOLDER:
        tasks.append(asyncio.create_task(fips.watch(Folder(settings.OPENMID_FOLDER))))
    if settings.OPENMID_FOLDER:
        tasks.append(asyncio.create_task(keep_tidy(Folder(settings.OPENMID_FOLDER))))
    if shared():
        tasks.append(asyncio.create_task(listen()))
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await release(driven)
        await asyncio.to_thread(close_writer)


def application() -> ASGIApp:
    """The application. Django comes last: it answers whatever no route before it has taken."""
    routes = []
    if settings.STATIC_ROOT:
        routes.append(Mount("/static", StaticFiles(directory=settings.STATIC_ROOT, check_dir=False)))
    pages = limited(cast("ASGIApp", get_asgi_application()), settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
    routes.append(Mount("/", pages))
    others = Starlette(routes=routes, lifespan=lifespan, exception_handlers=HANDLERS)
    return KnownHost(Wing(ROUTES, refused, others), settings.ALLOWED_HOSTS, settings.OPENMID_BEHIND_PROXY)
