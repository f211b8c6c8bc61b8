"""`/api/v1/actions` and `/api/v1/mid-servers`: what scripts need beside the tables."""

from __future__ import annotations

import json
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse

from openmid.instance.actions.forms import ActionForm, RestStepForm
from openmid.instance.actions.models import Action, RestStep
from openmid.instance.connections.models import ConnectionAlias
from openmid.instance.mid import enrolment
from openmid.instance.mid.models import MidServer
from openmid.instance.table_api.problems import BadInputError, NoRecordError, invalid
from openmid.instance.table_api.tables import read
from openmid.instance.table_api.views import api, demand, method_not_allowed

STEP = frozenset(
    {
        "type",
        "name",
        "connection_alias",
        "base_url",
        "method",
        "resource_path",
        "headers",
        "query",
        "body",
        "follow_redirects",
        "retry",
        "on_failure",
    }
)
RETRY = {
    "kind": "retry_kind",
    "count": "retry_count",
    "interval_ms": "retry_interval",
    "max_elapsed_ms": "retry_max_elapsed",
    "statuses": "retry_statuses",
    "any_method": "retry_any_method",
}
"""A retry policy's members, and the step's columns."""


@api
def actions(request: HttpRequest) -> HttpResponseBase:
    """GET lists the actions; POST makes one: `{"name", "description", "steps": [{"type": "REST", …}]}`."""
    if request.method == "GET":
        demand(request, "actions.view_action", "read actions")
        return JsonResponse({"result": [_shown(each) for each in Action.objects.all()]})
    if request.method != "POST":
        return method_not_allowed(request, "GET", "POST")
    demand(request, "actions.add_action", "make actions")
    sent = read(request.body)
    with transaction.atomic():
        made = _made(sent)
    response = JsonResponse({"result": _shown(made)}, status=201)
    response["Location"] = request.build_absolute_uri(f"/api/v1/actions/{made.name}")
    return response


@api
def action(request: HttpRequest, name: str) -> HttpResponseBase:
    """One action: GET, DELETE."""
    if request.method not in ("GET", "DELETE"):
        return method_not_allowed(request, "GET", "DELETE")
    demand(request, f"actions.{'view' if request.method == 'GET' else 'delete'}_action", "use actions")
    found = Action.objects.filter(name=name).first()
    if found is None:
        raise NoRecordError
    if request.method == "GET":
        return JsonResponse({"result": _shown(found)})
    found.delete()
    return HttpResponse(status=204)


@api
def mid_server(request: HttpRequest, name: str, verb: str) -> HttpResponseBase:
    """POST: `validate` (`{"fingerprint"}`), `invalidate`, `rekey`, `prove`, `pause`, `resume`, `restart`."""
    if request.method != "POST":
        return method_not_allowed(request, "POST")
    demand(request, "mid.change_midserver", "validate MID Servers")
    found = MidServer.objects.filter(name=name).first()
    if found is None:
        raise NoRecordError
    try:
        if verb == "validate":
            enrolment.validate(found, str(read(request.body).get("fingerprint", "")))
        elif verb == "invalidate":
            enrolment.invalidate(found)
        elif verb == "prove":
            found.ask_for_proof()
        elif verb in ("pause", "resume"):
            found.pause(verb == "pause")
        elif verb == "restart":
            found.ask_for_restart()
        else:
            enrolment.request_rekey(found)
    except enrolment.EnrolmentRefused as error:
        raise BadInputError(str(error), error.hint) from None
    return JsonResponse(
        {"result": {"name": found.name, "validated": found.validated, "fingerprint": found.fingerprint}}
    )


def _made(sent: dict[str, Any]) -> Action:
    steps = sent.get("steps")
    unknown = set(sent) - {"name", "description", "steps"}
    if unknown:
        raise BadInputError(
            f"Invalid value of {', '.join(sorted(unknown))}", "an action has name, description and steps"
        )
    if not isinstance(steps, list) or not steps or not all(isinstance(step, dict) for step in steps):
        raise BadInputError("Invalid value of steps", "steps: an action has a list of one or more steps")
    form = ActionForm({"name": sent.get("name"), "description": sent.get("description", "")})
    if not form.is_valid():
        raise invalid(ValidationError({name: error.as_data() for name, error in form.errors.items()}))
    made: Action = form.save()
    for number, step in enumerate(steps, start=1):
        _add_step(made, number, step)
    return made


def _add_step(made: Action, number: int, sent: dict[str, Any]) -> None:
    where = f"steps[{number - 1}]"
    unknown = set(sent) - STEP
    if unknown or str(sent.get("type", "REST")).upper() != "REST":
        wrong = ", ".join(sorted(unknown)) or "type"
        raise BadInputError(f"Invalid value of {where}.{wrong}", f"a step of type REST has {', '.join(sorted(STEP))}")
    alias = _alias(where, sent)
    data = {
        "name": sent.get("name", "REST"),
        "connection": RestStep.Connection.INLINE if "base_url" in sent else RestStep.Connection.ALIAS,
        "connection_alias": alias.pk if alias else None,
        "inline_url": sent.get("base_url", ""),
        "method": sent.get("method", "GET"),
        "resource_path": sent.get("resource_path", ""),
        "body": sent.get("body", ""),
        "follow_redirects": _truth(f"{where}.follow_redirects", sent.get("follow_redirects", True)),
        "on_failure": sent.get("on_failure", ""),
        **_retry(f"{where}.retry", sent.get("retry") or {}),
    }
    form = RestStepForm(
        data | {name: _json(sent.get(name, [])) for name in ("headers", "query")},
        instance=RestStep(action=made, order=number),
    )
    if not form.is_valid():
        names = {"inline_url": "base_url"} | {column: f"retry.{name}" for name, column in RETRY.items()}
        raise invalid(
            ValidationError(
                {f"{where}.{names.get(name, name)}": error.as_data() for name, error in form.errors.items()}
            )
        )
    form.save()


def _retry(where: str, sent: Any) -> dict[str, Any]:
    """The columns of a retry policy."""
    if not isinstance(sent, dict) or set(sent) - set(RETRY):
        raise BadInputError(f"Invalid value of {where}", f"a retry policy is an object with {', '.join(RETRY)}")
    found = {RETRY[name]: value for name, value in sent.items()}
    if "retry_statuses" in found:
        found["retry_statuses"] = json.dumps(found["retry_statuses"])
    found["retry_any_method"] = _truth(f"{where}.any_method", sent.get("any_method", False))
    return found


def _truth(where: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise BadInputError(f"Invalid value of {where}", f"{where}: true or false")
    return value


def _alias(where: str, sent: dict[str, Any]) -> ConnectionAlias | None:
    value = sent.get("connection_alias")
    if value is None:
        return None
    found = ConnectionAlias.objects.filter(pk=value).first() or ConnectionAlias.objects.filter(name=value).first()
    if found is None:
        raise BadInputError(
            f"Invalid value of {where}.connection_alias", f"there is no Connection & Credential Alias {value}"
        )
    return found


def _json(value: Any) -> str:
    """Pairs, or an object of names and values, as the form's JSON field takes them."""
    return json.dumps(list(value.items()) if isinstance(value, dict) else value)


def _shown(found: Action) -> dict[str, Any]:
    return {
        "sys_id": found.sys_id,
        "name": found.name,
        "description": found.description,
        "steps": [
            {
                "type": "REST",
                "name": step.name,
                "connection_alias": step.connection_alias.name if step.connection_alias else None,
                "base_url": step.base_url,
                "method": step.method,
                "resource_path": step.resource_path,
                "headers": step.headers,
                "query": step.query,
                "body": step.body,
                "follow_redirects": step.follow_redirects,
                "retry": {name: getattr(step, column) for name, column in RETRY.items()},
                "on_failure": step.on_failure,
            }
            for step in found.steps.all()
        ],
    }
