"""Attachments over HTTP: the MID Servers' channel, and ServiceNow's Attachment API for scripts.

GET    {CHANNEL}/attachments/{sys_id}                 of a job that the MID Server has
POST   {CHANNEL}/attachments?job=&lease=&file_name=&content_type=
POST   /api/now/attachment/file?table_name=&table_sys_id=&file_name=     201, the body as it is
GET    /api/now/attachment                            ?sysparm_query is not supported: table_name, table_sys_id
GET    /api/now/attachment/{sys_id}
GET    /api/now/attachment/{sys_id}/file              a download, never shown by a browser
DELETE /api/now/attachment/{sys_id}                   204
"""

from __future__ import annotations

import asyncio
import urllib.parse
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from openmid.instance.access.roles import ADMIN
from openmid.instance.attachments import files
from openmid.instance.attachments.models import Attachment
from openmid.instance.channel import mid
from openmid.instance.channel.execute import follower, operator
from openmid.instance.channel.http import Json, Refused, address, in_thread
from openmid.instance.ecc import queue
from openmid.instance.records.actor import acting_as
from openmid.instance.records.database import reader

SILENCE_S = 60
MOST_LISTED = 1000
MOST_OF_A_JOB = queue.MAX_RESULTS
"""Attempts that were made anew leave what they have stored, until the execution goes."""
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cache-Control": "no-store",
}


async def fetch(request: Request) -> Response:
    """An attachment that one of the MID Server's jobs names."""
    caller, sys_id = mid.validated_caller(request), request.path_params["sys_id"]
    if reader().first(queue.SQL["names"], mid_server=caller.sys_id, text=f'%"{sys_id}"%') is None:
        raise Refused(404, "no_attachment", f"no job of {caller.name} asks for attachment {sys_id}")
    return await _sent(sys_id)


async def store(request: Request) -> Response:
    """What a partner answered, under the lease of its job."""
    caller, asked = mid.validated_caller(request), request.query_params
    job, lease = asked.get("job", ""), asked.get("lease", "")
    if reader().first(queue.SQL["holds"], sys_id=job, lease=lease, mid_server=caller.sys_id) is None:
        raise Refused(409, "lease_lost", "the lease of this job is not in force any more", "give the job up")
    if await in_thread(Attachment.objects.filter(table_name="ecc_queue", table_sys_id=job).count) >= MOST_OF_A_JOB:
        raise Refused(409, "too_many", f"job {job} has {MOST_OF_A_JOB} attachments already", "give the job up")
    made = await _received(request, asked.get("content_type", ""), "ecc_queue", job, f"mid.server.{caller.name}")
    return Json({"sys_id": made.sys_id, "size_bytes": made.size_bytes}, status_code=201)


async def upload(request: Request) -> Response:
    """A file for a step to send."""
    user, asked = await operator(request), request.query_params
    if not asked.get("file_name"):
        raise Refused(400, "bad_request", "file_name is missing", "send ?file_name=report.pdf")
    table, of = asked.get("table_name", "sys_attachment")[:80], asked.get("table_sys_id", "")[:32]
    made = await _received(request, request.headers.get("content-type", ""), table, of, user.username)
    headers = {"Location": f"/api/now/attachment/{made.sys_id}"}
    return Json({"result": shown(made)}, status_code=201, headers=headers)


async def listed(request: Request) -> Response:
    """The newest thousand, of a record if it is named."""
    await follower(request)
    wanted = {
        name: request.query_params[name] for name in ("table_name", "table_sys_id") if name in request.query_params
    }
    rows = await in_thread(lambda: list(Attachment.objects.filter(**wanted)[:MOST_LISTED]))
    return Json({"result": [shown(each) for each in rows]})


async def one(request: Request) -> Response:
    """Its record; DELETE removes it."""
    if request.method == "DELETE":
        user = await operator(request)
        found = await _found(request.path_params["sys_id"])
        if user.username != found.sys_created_by and not user.is_admin:
            raise Refused(
                403, "Insufficient rights", f"Insufficient rights to delete {found}", f"{ADMIN} or who made it may"
            )
        await in_thread(_deleted, found, user.username, address(request))
        return Response(status_code=204)
    await follower(request)
    return Json({"result": shown(await _found(request.path_params["sys_id"]))})


async def download(request: Request) -> Response:
    """Its bytes."""
    await follower(request)
    return await _sent(request.path_params["sys_id"])


def shown(found: Attachment) -> dict[str, Any]:
    """A record as the API has it: every value is a string."""
    return {
        "sys_id": found.sys_id,
        "file_name": found.file_name,
        "content_type": found.content_type,
        "size_bytes": str(found.size_bytes),
        "hash": found.hash,
        "table_name": found.table_name,
        "table_sys_id": found.table_sys_id,
        "sys_created_on": f"{found.sys_created_on:%Y-%m-%d %H:%M:%S}",
        "sys_created_by": found.sys_created_by,
        "download_link": f"/api/now/attachment/{found.sys_id}/file",
    }


async def _received(request: Request, content_type: str, table: str, of: str, who: str) -> Attachment:
    name = request.query_params.get("file_name", "")
    with acting_as(who, address(request)):
        return await files.receive(_patient(request.stream()), name, content_type, table, of)


async def _patient(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """As long as bytes come."""
    while True:
        try:
            yield await asyncio.wait_for(anext(chunks), SILENCE_S)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise Refused(408, "silence", f"nothing came for {SILENCE_S} seconds", "send it again") from None


async def _sent(sys_id: str) -> Response:
    found = await _found(sys_id)
    name = urllib.parse.quote(found.file_name, safe="")
    headers = {
        **HEADERS,
        "Content-Length": str(found.size_bytes),
        "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
    }
    chunks = await in_thread(files.read, found)
    return StreamingResponse(chunks, media_type="application/octet-stream", headers=headers)


async def _found(sys_id: str) -> Attachment:
    found = await in_thread(lambda: Attachment.objects.filter(pk=sys_id).first())
    if found is None:
        raise Refused(404, "No Record found", "No Record found", f"there is no attachment {sys_id}")
    return found


def _deleted(found: Attachment, who: str, where: str) -> None:
    with acting_as(who, where):
        files.delete(found)


CHANNEL_ROUTES = [
    Route("/attachments/{sys_id}", fetch, methods=["GET"]),
    Route("/attachments", store, methods=["POST"]),
]
ROUTES = [
    Route("/api/now/attachment", listed, methods=["GET"]),
    Route("/api/now/attachment/file", upload, methods=["POST"]),
    Route("/api/now/attachment/{sys_id}", one, methods=["GET", "DELETE"]),
    Route("/api/now/attachment/{sys_id}/file", download, methods=["GET"]),
]
