"""Executions for scripts: start an action, make one call through an alias, follow, cancel, run again.

    POST /api/v1/actions/{name}/execute              an action
    POST /api/v1/connections/{alias}/request         one call, without an action (`actions.ad_hoc`)
    GET  /api/v1/executions/{sys_id}                 EXECUTION DETAILS
    POST /api/v1/executions/{sys_id}/cancel
    POST /api/v1/executions/{sys_id}/run-again

`Prefer: wait=N` and `return=minimal` are honoured (`channel.preferences`). Errors have the Table API's shape:
`{"error": {"message", "detail"}, "status": "failure"}`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from openmid.instance.access import origin
from openmid.instance.access.authentication import Caller, identify, is_token
from openmid.instance.access.roles import FOLLOWERS, RUNNERS
from openmid.instance.actions import runner
from openmid.instance.actions.ad_hoc import AdHocRequest
from openmid.instance.actions.details import ENDED, Told, one, state
from openmid.instance.channel.following import following
from openmid.instance.channel.http import Json, Refused, address, body, in_thread
from openmid.instance.channel.preferences import Preferences
from openmid.instance.ecc.writer import writer
from openmid.instance.records.database import DATABASE_ERRORS, Connection, new_id
from openmid.wire.codec import NO_MESSAGE, encode

log = logging.getLogger("openmid.channel")
MAX_KEY = 255
MAX_REQUEST = 8 * 1024 * 1024
"""Bytes of an ad hoc request: a body of 5 MB in base64, and some headers."""


class Inputs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an action is started with."""

    inputs: dict[str, Any] = {}


async def caller(request: Request) -> Caller:
    """The user whose credentials the request carries.

    Raises:
        Refused: 401, or 403 where a browser sends them for another site.
        TooManyAttempts.
    """
    header = request.headers.get("authorization", "")
    found = _just.identify(header) if is_token(header) else await in_thread(identify, header, address(request))
    if found is None:
        raise Refused(401, "User Not Authenticated", "User Not Authenticated", "Required to provide Auth information")
    if origin.is_foreign(request.headers.get("sec-fetch-site")):
        raise Refused(403, "foreign_origin", origin.SENTENCE, origin.DETAIL)
    return found


class _Just:
    """Whose tokens were just looked up: a client's many requests come in one piece, and one look is enough for them."""

    SECONDS = 0.005

    def __init__(self) -> None:
        self._until = 0.0
        self._found: dict[str, Caller | None] = {}

    def identify(self, header: str) -> Caller | None:
        now = time.monotonic()
        if now > self._until:
            self._found, self._until = {}, now + self.SECONDS
        if header not in self._found:
            self._found[header] = identify(header)
        return self._found[header]


_just = _Just()


async def operator(request: Request) -> Caller:
    """A user who may start and cancel executions.

    Raises:
        Refused: as `caller`, and 403 for others.
    """
    found = await caller(request)
    return _allowed(found, found.may_run, "run actions", RUNNERS)


async def follower(request: Request) -> Caller:
    """A user who may see executions.

    Raises:
        Refused: as `caller`, and 403 for others.
    """
    found = await caller(request)
    return _allowed(found, found.may_follow, "see executions", FOLLOWERS)


def _allowed(found: Caller, may: bool, what: str, roles: frozenset[str]) -> Caller:
    if may:
        return found
    needs = f"one of the roles {', '.join(sorted(roles))}"
    if found.roles & roles:
        needs = f"a token whose scope is not {found.scope}"
    raise Refused(403, "Insufficient rights", f"Insufficient rights to {what}", f"{found.username} needs {needs}")


async def execute(request: Request) -> Response:
    """202 with `Location` once the execution is on the disk; 200 with its details when it ends within `Prefer: wait=N`."""
    user = await operator(request)
    inputs = _inputs(await body(request))
    name, key, prefers = request.path_params["name"], _key(request), Preferences.of(request)
    return await _started(
        prefers,
        lambda connection, new: runner.begin(
            connection, name, user.username, key, prefers.priority, inputs, sys_id=new
        ),
    )


async def ad_hoc(request: Request) -> Response:
    """As `execute`, for one call through the alias's active connection."""
    user = await operator(request)
    asked = AdHocRequest.read(await body(request, MAX_REQUEST))
    alias, key = request.path_params["alias"], _key(request)
    return await _started(
        Preferences.of(request),
        lambda connection, new: runner.begin_request(connection, alias, asked, user.username, key, new),
    )


async def run_again(request: Request) -> Response:
    """As `execute`, for what an execution did."""
    user = await operator(request)
    again, key = request.path_params["sys_id"], _key(request)
    return await _started(
        Preferences.of(request),
        lambda connection, new: runner.begin_again(connection, again, user.username, key, new),
    )


async def cancel(request: Request) -> Response:
    """200 with the details when it has ended, 202 while its MID Server still has to stop the call."""
    await operator(request)
    sys_id = request.path_params["sys_id"]
    state(sys_id)  # 404 where there is none
    await writer().done(lambda connection: runner.cancel(connection, sys_id))
    prefers = Preferences.of(request)
    found = await followed(sys_id, prefers, prefers.wait)
    return _answer(found, prefers, ended=found.state in ENDED)


async def _started(prefers: Preferences, begin: Callable[[Connection, str], str]) -> Response:
    new, wait = new_id(), prefers.wait
    with following().of(new, prefers.read) as answer:  # before it begins, so that its end cannot be missed
        sys_id = await writer().done(lambda connection: begin(connection, new))
        reading = following().ended(new, answer, wait) if sys_id == new else followed(sys_id, prefers, wait)
        found = await told_at_least(sys_id, reading)
    location = {"Location": f"/api/v1/executions/{sys_id}"}
    return _answer(found, prefers, location, ended=bool(wait) and found.state in ENDED)


def _answer(
    found: Told, prefers: Preferences, headers: dict[str, str] | None = None, *, ended: bool = True
) -> Response:
    return Response(found.text, 200 if ended else 202, (headers or {}) | prefers.applied, media_type=Json.media_type)


async def execution(request: Request) -> Response:
    await follower(request)
    prefers = Preferences.of(request)
    return _answer(one(prefers.read, request.path_params["sys_id"]), prefers._replace(wait=0))


async def followed(sys_id: str, prefers: Preferences, seconds: float) -> Told:
    """What is told of an execution when it has ended, or after `seconds`."""
    with following().of(sys_id, prefers.read) as answer:
        if state(sys_id) in ENDED:
            seconds = 0
        return await following().ended(sys_id, answer, seconds)


async def told_at_least(sys_id: str, reading: Awaitable[Told]) -> Told:
    """What is told of an execution that was accepted; where the database cannot be read just now, its sys_id: whoever
    was answered with an error would take it for not accepted, and begin another one."""
    try:
        return await reading
    except DATABASE_ERRORS as error:
        log.warning("execution %s was accepted, and cannot be read: %s", sys_id, error)
        return Told("", encode({"sys_id": sys_id}))


def _key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not 0 < len(key) <= MAX_KEY:
        raise Refused(400, "bad_key", "Idempotency-Key", f"an Idempotency-Key has 1 to {MAX_KEY} characters")
    return key


def _inputs(raw: bytes) -> dict[str, Any]:
    """The inputs in a body: `{"inputs": {name: value}}`; an empty body has none."""
    try:
        sent = msgspec.json.decode(raw, type=Inputs) if raw.strip() else Inputs()
    except NO_MESSAGE as error:
        raise Refused(
            400, "bad_body", f"the body is not understood: {error}", 'send {"inputs": {"name": "value"}}, or nothing'
        ) from None
    return sent.inputs


ROUTES = [
    Route("/api/v1/actions/{name}/execute", execute, methods=["POST"]),
    Route("/api/v1/connections/{alias}/request", ad_hoc, methods=["POST"]),
    Route("/api/v1/executions/{sys_id}", execution, methods=["GET"]),
    Route("/api/v1/executions/{sys_id}/cancel", cancel, methods=["POST"]),
    Route("/api/v1/executions/{sys_id}/run-again", run_again, methods=["POST"]),
]
