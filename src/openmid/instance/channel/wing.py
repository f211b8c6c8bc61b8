"""The wing's routes, and how its errors are answered: `Refusal` to MID Servers, the Table API's shape to scripts."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from openmid.instance.access.authentication import TokenNeededError
from openmid.instance.access.throttle import TooManyAttempts
from openmid.instance.actions.ad_hoc import BadRequestError
from openmid.instance.actions.details import NoSuchExecutionError
from openmid.instance.actions.inputs import InputError
from openmid.instance.actions.runner import KeyReusedError, NoSuchActionError, NoSuchAliasError
from openmid.instance.attachments.files import StorageError, TooLargeError
from openmid.instance.channel import attachments, batch, execute, metrics, mid
from openmid.instance.channel.http import Json, Refused, failure
from openmid.instance.ecc.back_pressure import QueueFullError
from openmid.instance.errors import InstanceError, OutcomeUnknownError
from openmid.instance.mid.enrolment import EnrolmentRefused
from openmid.instance.records.database import DATABASE_ERRORS
from openmid.instance.records.trouble import of_the_database
from openmid.wire.codec import WireError
from openmid.wire.messages import Refusal
from openmid.wire.version import CHANNEL

STATUS: list[tuple[type[InstanceError], int]] = [
    (NoSuchActionError, 404),
    (NoSuchExecutionError, 404),
    (NoSuchAliasError, 404),
    (BadRequestError, 400),
    (InputError, 400),
    (KeyReusedError, 422),
    (TooManyAttempts, 429),
    (TokenNeededError, 401),
    (QueueFullError, 429),
    (TooLargeError, 413),
    (StorageError, 507),
    (OutcomeUnknownError, 503),
]


async def health(request: Request) -> Response:
    """The instance answers."""
    return Json({"status": "up"})


ROUTES: list[BaseRoute] = [
    Mount(CHANNEL, routes=[*mid.ROUTES, *attachments.CHANNEL_ROUTES]),
    *execute.ROUTES,
    *batch.ROUTES,
    *attachments.ROUTES,
    Route("/health", health, methods=["GET"]),
    *metrics.ROUTES,
]


def refused(request: Request, error: Exception) -> Response:
    """`error` as an answer."""
    status, refusal = _refusal(error)
    if request.url.path.startswith(CHANNEL):
        return Json(refusal, status_code=status)
    headers = {"WWW-Authenticate": 'Basic realm="openmid"'} if status == 401 else {}
    if isinstance(error, TooManyAttempts | QueueFullError):
        headers["Retry-After"] = str(error.seconds)
    if isinstance(error, HTTPException):
        headers |= error.headers or {}
    return Json(failure(refusal.message, refusal.hint), status_code=status, headers=headers)


def _refusal(error: Exception) -> tuple[int, Refusal]:
    if isinstance(error, Refused):
        return error.status, error.refusal
    if isinstance(error, EnrolmentRefused):
        return 403, Refusal(error.code, str(error), error.hint)
    if isinstance(error, WireError):
        return 400, Refusal("bad_message", str(error), "use the same version of openmid on both sides")
    if isinstance(error, HTTPException):
        return error.status_code, Refusal("not_here", error.detail)
    if isinstance(error, InstanceError):
        status = next((status for kind, status in STATUS if isinstance(error, kind)), 500)
        return status, Refusal("instance_error", str(error), error.hint)
    told = of_the_database(error) if isinstance(error, DATABASE_ERRORS) else None
    if told is not None:
        return 503, Refusal("out_of_order", *told)
    return 500, Refusal("internal_error", "the instance failed unexpectedly; its log says where", "look into its log")


async def answered(request: Request, error: Exception) -> Response:
    """The same, as Starlette wants it for what comes before Django."""
    return refused(request, error)


HANDLERS = dict.fromkeys((Refused, InstanceError, HTTPException, Exception), answered)
