"""Many executions of one action in one request: accepted in one commit, answered in the order in which they were asked.

    POST /api/v1/actions/{name}/execute-batch    {"executions": [{"inputs": {name: value}, "idempotency_key": "…"}, …]}

The answer is `{"executions": [EXECUTION DETAILS, …]}`; in the place of one that was not accepted stands its error, in the
Table API's shape; so in the place of one that was deleted before it could be told of. Where none was accepted the whole
is answered as the first one's error.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from openmid.instance.actions import runner
from openmid.instance.actions.details import ENDED, NoSuchExecutionError, Told
from openmid.instance.actions.runner import Wanted
from openmid.instance.channel.execute import MAX_KEY, followed, operator, told_at_least
from openmid.instance.channel.following import Answer, following
from openmid.instance.channel.http import Json, Refused, body, failure
from openmid.instance.channel.preferences import Preferences
from openmid.instance.ecc.writer import writer
from openmid.instance.errors import InstanceError
from openmid.instance.records.database import new_id
from openmid.wire.codec import NO_MESSAGE

MOST = 100
"""So many executions: they begin in one unit of work, and others wait for it."""
SHAPE = f'send {{"executions": [{{"inputs": {{"name": "value"}}, "idempotency_key": "…"}}]}}, of 1 to {MOST}'


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of them."""

    inputs: dict[str, Any] = {}
    idempotency_key: Annotated[str, msgspec.Meta(max_length=MAX_KEY, pattern=r"\A[^\x00]+\Z")] | None = None


class Batch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a request."""

    executions: Annotated[list[Asked], msgspec.Meta(min_length=1, max_length=MOST)]


async def execute_batch(request: Request) -> Response:
    """202 once all that was accepted is on the disk; 200 with the details when all has ended within `Prefer: wait=N`."""
    user = await operator(request)
    if "idempotency-key" in request.headers:
        raise Refused(
            400, "bad_key", "a batch as a whole has no Idempotency-Key", f"each execution has its own: {SHAPE}"
        )
    wanted = _wanted(await body(request))
    name, prefers = request.path_params["name"], Preferences.of(request)
    with ExitStack() as stack:
        answers = {each.sys_id: stack.enter_context(following().of(each.sys_id, prefers.read)) for each in wanted}
        begun = await writer().done(
            lambda connection: runner.begin_batch(connection, name, user.username, prefers.priority, wanted)
        )
        if all(isinstance(each, InstanceError) for each in begun):
            raise next(each for each in begun if isinstance(each, InstanceError))
        found = await _ended(begun, answers, prefers)
    ended = prefers.wait and all(each.state in ENDED for each in found if isinstance(each, Told))
    shown = {"executions": [_shown(each) for each in found]}
    return Json(shown, 200 if ended else 202, prefers.applied)


def _wanted(raw: bytes) -> list[Wanted]:
    try:
        asked = msgspec.json.decode(raw, type=Batch).executions
    except NO_MESSAGE as error:
        raise Refused(400, "bad_body", f"the body is not understood: {error}", SHAPE) from None
    return [Wanted(new_id(), each.idempotency_key, each.inputs) for each in asked]


async def _ended(
    begun: list[str | InstanceError], answers: dict[str, Answer], prefers: Preferences
) -> list[Told | InstanceError]:
    loop = asyncio.get_running_loop()
    until = loop.time() + prefers.wait
    found: list[Told | InstanceError] = []
    for each in begun:
        if isinstance(each, InstanceError):
            found.append(each)
            continue
        left = max(0.0, until - loop.time())
        new = answers.get(each)  # none: begun earlier, under the same key
        reading = following().ended(each, new, left) if new else followed(each, prefers, left)
        try:
            found.append(await told_at_least(each, reading))
        except NoSuchExecutionError as error:  # deleted meanwhile: the others were accepted, and are told of
            found.append(error)
    return found


def _shown(found: Told | InstanceError) -> object:
    return failure(str(found), found.hint) if isinstance(found, InstanceError) else msgspec.Raw(found.text)


ROUTES = [Route("/api/v1/actions/{name}/execute-batch", execute_batch, methods=["POST"])]
