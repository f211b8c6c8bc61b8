"""A step as a document: `{"type": "REST" or "SOAP", "name", "connection_alias" or "base_url", …}`."""

from __future__ import annotations

import json
from typing import Any

from django.core.exceptions import ValidationError

from openmid.instance.actions.forms import StepForm
from openmid.instance.actions.models import Action, Step
from openmid.instance.connections.models import ConnectionAlias
from openmid.instance.records.header_secrets import masked_where_sealed
from openmid.instance.table_api.problems import BadInputError, invalid

TEXTS = {"name": "", "resource_path": "", "body": "", "on_failure": "stop", "save_as": ""}
LISTS = ("headers", "query", "outputs", "parts")
REST = {"method": "GET", "body_kind": "text", "attachment": ""}
SOAP = {"soap_version": "1.1", "soap_action": ""}
PLAIN = (*TEXTS, *LISTS, *REST, "form", *SOAP, "follow_redirects")
STEP = {
    "REST": {*TEXTS, *LISTS, *REST, "form", "follow_redirects", "type", "connection_alias", "base_url", "retry"},
    "SOAP": {*TEXTS, *LISTS, *SOAP, "follow_redirects", "type", "connection_alias", "base_url", "retry"},
}
"""What a step of each type has."""

RETRY = {
    "kind": "retry_kind",
    "count": "retry_count",
    "interval_ms": "retry_interval",
    "max_elapsed_ms": "retry_max_elapsed",
    "statuses": "retry_statuses",
    "failures": "retry_failures",
    "any_method": "retry_any_method",
}
"""A retry policy's members, and the step's columns."""


KEPT = ("headers", "connection", "connection_alias", "inline_url")
"""What a step that comes again has from the one before it: secrets, and where they go."""


def add(made: Action, number: int, sent: dict[str, Any], before: Step | None) -> None:
    """A step of a draft, as a document has it; `before`: the one that it replaces.

    Raises:
        BadInputError: names the member.
    """
    where = f"steps[{number - 1}]"
    kept = {name: getattr(before, name) for name in KEPT} if before else {}
    form = StepForm(_columns(where, sent), instance=Step(action=made, order=number, **kept))
    if not form.is_valid():
        names = {"inline_url": "base_url"} | {column: f"retry.{name}" for name, column in RETRY.items()}
        raise invalid(
            ValidationError(
                {f"{where}.{names.get(name, name)}": error.as_data() for name, error in form.errors.items()}
            )
        )
    form.save()


def _columns(where: str, sent: dict[str, Any]) -> dict[str, Any]:
    kind = str(sent.get("type", "REST")).upper()
    unknown = set(sent) - STEP.get(kind, set())
    if kind not in STEP:
        raise BadInputError(f"Invalid value of {where}.type", f"{where}.type: REST or SOAP")
    if unknown:
        wrong = ", ".join(sorted(unknown))
        raise BadInputError(
            f"Invalid value of {where}.{wrong}", f"a step of type {kind} has {', '.join(sorted(STEP[kind]))}"
        )
    alias = _alias(where, sent)
    return {
        **{name: sent.get(name, usual) for name, usual in (TEXTS | REST | SOAP).items()},
        **{name: as_json(sent.get(name, [])) for name in (*LISTS, "form")},
        "type": kind,
        "name": sent.get("name", kind),
        "connection": Step.Connection.ALIAS if alias or "base_url" not in sent else Step.Connection.INLINE,
        "connection_alias": alias.pk if alias else None,
        "inline_url": "" if alias else sent.get("base_url", ""),
        "follow_redirects": _truth(f"{where}.follow_redirects", sent.get("follow_redirects", True)),
        **_retry(f"{where}.retry", sent.get("retry") or {}),
    }


def _retry(where: str, sent: Any) -> dict[str, Any]:
    """The columns of a retry policy."""
    if not isinstance(sent, dict) or set(sent) - set(RETRY):
        raise BadInputError(f"Invalid value of {where}", f"a retry policy is an object with {', '.join(RETRY)}")
    found = {RETRY[name]: value for name, value in sent.items()}
    for name in ("retry_statuses", "retry_failures"):
        if name in found:
            found[name] = json.dumps(found[name])
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


def as_json(value: Any) -> str:
    """Pairs, or an object of names and values, as the form's JSON field takes them."""
    return json.dumps(list(value.items()) if isinstance(value, dict) else value)


def shown(step: Step) -> dict[str, Any]:
    """A step as it can be sent back; members that mean nothing for its type are left out."""
    alias = step.connection_alias
    where = {"connection_alias": alias.name} if alias else {"connection_alias": None}
    return {
        "type": step.type,
        "name": step.name,
        **where,
        "base_url": step.base_url,
        **{name: getattr(step, name) for name in PLAIN if name in STEP[step.type]},
        "headers": masked_where_sealed(step.headers),
        "retry": {name: getattr(step, column) for name, column in RETRY.items()},
    }
