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

from openmid.instance.actions import runner
from openmid.instance.channel.wing import HANDLERS, ROUTES
from openmid.instance.ecc.writer import close_writer, writer

LAPSE_S = 5.0
log = logging.getLogger("openmid.instance")


async def _take_back_leases() -> None:
    """Every few seconds: jobs whose lease ran out."""
    while True:
        try:
            lost = await asyncio.wrap_future(writer().submit(runner.lapse))
        except Exception:
            log.exception("leases could not be looked through")
        else:
            if lost:
                log.warning("%d jobs were lost: their MID Server took them and did not answer", lost)
        await asyncio.sleep(LAPSE_S)


@contextlib.asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """The writer runs as long as the application does."""
    leases = asyncio.create_task(_take_back_leases())
    try:
        yield
    finally:
        leases.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await leases
        await asyncio.to_thread(close_writer)


def application() -> Starlette:
    """The application. Django comes last: it answers whatever no route before it has taken."""
    routes = list(ROUTES)
    if settings.STATIC_ROOT:
        routes.append(Mount("/static", StaticFiles(directory=settings.STATIC_ROOT, check_dir=False)))
    routes.append(Mount("/", cast("ASGIApp", get_asgi_application())))
    return Starlette(routes=routes, lifespan=lifespan, exception_handlers=HANDLERS)
