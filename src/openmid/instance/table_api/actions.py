"""`/api/v1/actions`: actions as documents.

GET, POST              /api/v1/actions                    {"name", "description", "inputs", "outputs", "steps"}
GET, PUT, DELETE       /api/v1/actions/{name}             PUT replaces the draft; the name may change
POST                   /api/v1/actions/{name}/publish     the draft becomes what `execute` runs
POST                   /api/v1/actions/{name}/copy        {"name": the copy's}
POST                   /api/v1/actions/{name}/restore     {"version": N}: the draft is version N again
GET                    /api/v1/actions/{name}/versions    who published what, and when
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse

from openmid.instance.actions import references, versions
from openmid.instance.actions.forms import ActionForm
from openmid.instance.actions.models import Action
from openmid.instance.errors import InstanceError
from openmid.instance.table_api import action_steps
from openmid.instance.table_api.problems import BadInputError, NoRecordError, invalid
from openmid.instance.table_api.tables import read
from openmid.instance.table_api.views import api, demand, method_not_allowed

MEMBERS = ("name", "description", "inputs", "outputs", "steps")


@api
def actions(request: HttpRequest) -> HttpResponseBase:
    """GET lists the actions; POST makes one."""
    if request.method == "GET":
        demand(request, "actions.view_action", "read actions")
        return JsonResponse({"result": [shown(each) for each in Action.objects.select_related("published")]})
    if request.method != "POST":
        return method_not_allowed(request, "GET", "POST")
    demand(request, "actions.add_action", "make actions")
    return _made(request, _kept(read(request.body), Action()))


@api
def action(request: HttpRequest, name: str) -> HttpResponseBase:
    """One action: GET, PUT, DELETE."""
    verbs = {"GET": "view", "PUT": "change", "DELETE": "delete"}
    if request.method not in verbs:
        return method_not_allowed(request, *verbs)
    demand(request, f"actions.{verbs[request.method]}_action", "use actions")
    found = _found(name)
    if request.method == "DELETE":
        found.delete()
        return HttpResponse(status=204)
    if request.method == "PUT":
        found = _kept(read(request.body), found)
    return JsonResponse({"result": shown(found)})


@api
def verb(request: HttpRequest, name: str, verb: str) -> HttpResponseBase:
    """POST: `publish`, `copy`, `restore`."""
    if request.method != "POST":
        return method_not_allowed(request, "POST")
    demand(request, f"actions.{'add' if verb == 'copy' else 'change'}_action", "change actions")
    found, sent = _found(name), read(request.body) if request.body else {}
    try:
        if verb == "copy":
            return _made(request, versions.copy(found, str(sent.get("name", ""))))
        if verb == "publish":
            versions.publish(found)
        else:
            versions.restore(found, _number(sent))
    except InstanceError as error:
        raise BadInputError(str(error), error.hint) from None
    except ValidationError as error:
        raise invalid(error) from None
    return JsonResponse({"result": shown(_found(found.name))})


@api
def all_versions(request: HttpRequest, name: str) -> HttpResponseBase:
    """GET: `[{"version", "published_by", "published_on", "current"}]`, the newest first."""
    if request.method != "GET":
        return method_not_allowed(request, "GET")
    demand(request, "actions.view_action", "read actions")
    found = _found(name)
    rows = [
        {
            "version": each.number,
            "published_by": each.sys_created_by,
            "published_on": each.sys_created_on.isoformat(),
            "current": each.pk == found.published_id,
        }
        for each in found.versions.all()
    ]
    return JsonResponse({"result": rows})


def shown(found: Action) -> dict[str, Any]:
    """An action's draft as a document."""
    return {
        "sys_id": found.sys_id,
        "name": found.name,
        "description": found.description,
        "inputs": found.inputs,
        "outputs": found.outputs,
        "published": found.published.number if found.published else None,
        "steps": [action_steps.shown(step) for step in found.draft.select_related("connection_alias")],
    }


def _found(name: str) -> Action:
    found = Action.objects.select_related("published").filter(name=name).first()
    if found is None:
        raise NoRecordError
    return found


def _made(request: HttpRequest, made: Action) -> JsonResponse:
    response = JsonResponse({"result": shown(made)}, status=201)
    response["Location"] = request.build_absolute_uri(f"/api/v1/actions/{made.name}")
    return response


def _number(sent: dict[str, Any]) -> int:
    value = sent.get("version")
    if type(value) is not int:
        raise BadInputError("Invalid value of version", "version: the number of one of its versions")
    return value


def _kept(sent: dict[str, Any], target: Action) -> Action:
    """The document as the draft of `target`, whole or not at all."""
    unknown = set(sent) - set(MEMBERS)
    if unknown:
        raise BadInputError(
            f"Invalid value of {', '.join(sorted(unknown))}", f"an action has {', '.join(MEMBERS[:-1])} and steps"
        )
    steps = sent.get("steps")
    if not isinstance(steps, list) or not steps or not all(isinstance(step, dict) for step in steps):
        raise BadInputError("Invalid value of steps", "steps: an action has a list of one or more steps")
    given = {name: action_steps.as_json(sent.get(name, [])) for name in ("inputs", "outputs")}
    form = ActionForm({"name": sent.get("name"), "description": sent.get("description", ""), **given}, instance=target)
    if not form.is_valid():
        raise invalid(ValidationError({name: error.as_data() for name, error in form.errors.items()}))
    with transaction.atomic():
        made: Action = form.save()
        before = {step.name: step for step in made.draft.select_related("connection_alias")}
        made.draft.delete()
        for number, step in enumerate(steps, start=1):
            action_steps.add(made, number, step, before.get(str(step.get("name", ""))))
        problems = references.of_outputs(made)
        if problems:
            raise BadInputError("Invalid value of outputs", problems[0])
    return made
