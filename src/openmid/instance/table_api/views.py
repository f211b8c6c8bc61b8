"""`/api/now/table/…`: records as existing automation clients read and write them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

from django.contrib.auth.models import User
from django.db import DatabaseError, IntegrityError, transaction
from django.db.models import ProtectedError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from openmid.instance.access import origin
from openmid.instance.access.authentication import TokenNeededError, identify
from openmid.instance.access.models import ApiToken
from openmid.instance.access.throttle import TooManyAttempts
from openmid.instance.records.actor import acting_as
from openmid.instance.records.base import Record
from openmid.instance.records.trouble import of_the_database
from openmid.instance.table_api.encoded_query import select
from openmid.instance.table_api.problems import (
    ApiError,
    BadInputError,
    InTheWayError,
    NoRecordError,
    NotAllowedError,
    NotSignedInError,
    OutOfOrderError,
    TooManyError,
)
from openmid.instance.table_api.tables import TABLES, Table, read

log = logging.getLogger("openmid.instance")
MAX_LIMIT = 10_000
KNOWN = frozenset(
    {"sysparm_query", "sysparm_fields", "sysparm_limit", "sysparm_offset", "sysparm_exclude_reference_link"}
)
HARMLESS = frozenset(
    {"sysparm_no_count", "sysparm_suppress_pagination_header", "sysparm_view", "sysparm_input_display_value"}
)


def api(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """A view for scripts: signed in by the Authorization header only (so no CSRF), errors in the API's shape."""

    @csrf_exempt
    @wraps(view)
    def answer(request: HttpRequest, **path: str) -> HttpResponseBase:
        try:
            caller = identify(request.headers.get("Authorization", ""), request.META.get("REMOTE_ADDR", ""))
            if caller is None:
                raise NotSignedInError
            if origin.is_foreign(request.headers.get("Sec-Fetch-Site")):
                raise NotAllowedError(origin.SENTENCE, origin.DETAIL)
            request.user = User.objects.get(username=caller.username)
            request.openmid_scope = caller.scope  # type: ignore[attr-defined]
            with acting_as(caller.username, request.META.get("REMOTE_ADDR", "")):
                return view(request, **path)
        except ApiError as error:
            return error.answer()
        except TokenNeededError as error:
            return NotSignedInError(f"{error}: {error.hint}").answer()
        except TooManyAttempts as error:
            return TooManyError(error.seconds).answer()
        except IntegrityError as error:
            log.warning("%s %s: %s", request.method, request.path, str(error).splitlines()[0])
            return InTheWayError().answer()
        except DatabaseError as error:
            told = of_the_database(error)
            if told is None:
                raise
            return OutOfOrderError(*told).answer()

    return answer


def demand(request: HttpRequest, permission: str, what: str) -> None:
    """Raises NotAllowedError unless the user has `permission`."""
    assert isinstance(request.user, User)
    scope = getattr(request, "openmid_scope", ApiToken.Scope.FULL)
    if scope != ApiToken.Scope.FULL and ".view_" not in permission:
        raise NotAllowedError(
            f"Insufficient rights to {what}", f"the token's scope is {scope}: it does not change records"
        )
    if not request.user.has_perm(permission):
        raise NotAllowedError(
            f"Insufficient rights to {what}", f"{request.user.username} needs the permission {permission}"
        )


def method_not_allowed(request: HttpRequest, *allowed: str) -> HttpResponse:
    """405 with what is allowed."""
    failure = {"error": {"message": "Method Not Allowed", "detail": f"use {', '.join(allowed)}"}, "status": "failure"}
    return JsonResponse(failure, status=405, headers={"Allow": ", ".join(allowed)})


@api
def records(request: HttpRequest, table: str) -> HttpResponseBase:
    """The table: GET lists, POST makes a record (201, `Location`)."""
    found = _table(table)
    if request.method == "GET":
        return _list(request, found)
    if request.method != "POST":
        return method_not_allowed(request, "GET", "POST")
    _may_write(request, found, "add")
    with transaction.atomic():
        record = found.save(found.model(), read(request.body))
        record.refresh_from_db()
    response = JsonResponse({"result": _row(request, found, record)}, status=201)
    response["Location"] = f"{_link(request)}/{found.name}/{record.pk}"
    return response


@api
def record(request: HttpRequest, table: str, sys_id: str) -> HttpResponseBase:
    """One record: GET, PATCH and PUT (both change the columns that are sent), DELETE (204)."""
    found = _table(table)
    verbs = {"GET": "view", "PATCH": "change", "PUT": "change", "DELETE": "delete"}
    verb = verbs.get(request.method or "")
    if verb is None:
        return method_not_allowed(request, *verbs)
    if verb == "view":
        demand(request, found.permission("view"), f"read table {found.name}")
        return JsonResponse({"result": _row(request, found, _record(found, sys_id))})
    if verb == "delete":
        demand(request, found.permission("delete"), f"delete records of table {found.name}")
        _delete(_record(found, sys_id))
        return HttpResponse(status=204)
    _may_write(request, found, "change")
    with transaction.atomic():
        changed = found.save(_record(found, sys_id, locked=True), read(request.body))
        changed.refresh_from_db()
    return JsonResponse({"result": _row(request, found, changed)})


def _list(request: HttpRequest, table: Table) -> JsonResponse:
    demand(request, table.permission("view"), f"read table {table.name}")
    for name, value in request.GET.items():
        if name.startswith("sysparm_") and name not in KNOWN | HARMLESS:
            if name == "sysparm_display_value" and value == "false":
                continue
            raise BadInputError(f"Invalid parameter {name}", f"{name}={value} is not known here yet")
    limit, offset = _number(request, "sysparm_limit", MAX_LIMIT), _number(request, "sysparm_offset", 0)
    found = select(table, request.GET.get("sysparm_query", "")).order_by("sys_created_on", "pk")
    page = found.prefetch_related(*table.lists)[offset : offset + min(limit, MAX_LIMIT)]
    response = JsonResponse({"result": _rows(request, table, page)})
    response["X-Total-Count"] = str(found.count())
    return response


def _number(request: HttpRequest, name: str, default: int) -> int:
    value = request.GET.get(name, "")
    if value and not (value.isascii() and value.isdigit() and len(value) < 10):
        raise BadInputError(f"Invalid parameter {name}", "write a number that is not negative")
    return int(value) if value else default


def _may_write(request: HttpRequest, table: Table, verb: str) -> None:
    demand(request, table.permission(verb), f"write table {table.name}")
    if table.form is None:
        raise NotAllowedError(
            f"Insufficient rights to write table {table.name}",
            "MID Servers make their own records when they enrol: openmid instance mid token NAME",
        )


def _table(name: str) -> Table:
    if name not in TABLES:
        raise BadInputError(f"Invalid table {name}", f"the tables are {', '.join(TABLES)}")
    return TABLES[name]


def _record(table: Table, sys_id: str, *, locked: bool = False) -> Record:
    """A record; `locked`: until the end of the transaction nobody changes it, at another node either."""
    records = table.model._default_manager.all()
    found = (records.select_for_update(of=("self",)) if locked else records).filter(pk=sys_id).first()
    if found is None:
        raise NoRecordError
    return found


def _delete(found: Record) -> None:
    try:
        with transaction.atomic():
            found.delete()
    except ProtectedError as error:
        users = ", ".join(f"{each._meta.verbose_name} {each}" for each in list(error.protected_objects)[:3])
        raise BadInputError(f"{found} is in use", f"used by {users}: change those first") from None


def _row(request: HttpRequest, table: Table, found: Record) -> dict[str, Any]:
    return _rows(request, table, [found])[0]


def _rows(request: HttpRequest, table: Table, found: Iterable[Record]) -> list[dict[str, Any]]:
    fields = frozenset(filter(None, request.GET.get("sysparm_fields", "").split(",")))
    with_links = request.GET.get("sysparm_exclude_reference_link", "false") != "true"
    link = _link(request)
    return [table.row(each, link, with_links, fields) for each in found]


def _link(request: HttpRequest) -> str:
    return request.build_absolute_uri("/api/now/table")
