"""From a step, its alias and its connection to what a MID Server will be asked: a plan, kept with the execution."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Mapping
from typing import Any

import msgspec

from openmid.fips import keys
from openmid.instance.actions import fill, pills
from openmid.instance.actions.outputs import Output
from openmid.instance.connections import candidates
from openmid.instance.errors import InstanceError
from openmid.instance.mid.selection import Requirement
from openmid.instance.records import header_secrets
from openmid.wire.probes import Attachment, Failure, Probe, RestProbe, RetryPolicy, SoapProbe

MAX_REDIRECTS = 5


class Plan(msgspec.Struct, frozen=True):
    """What one step will do, or why it cannot. The names are for people who read execution details."""

    alias: str
    connection: str
    base_url: str
    resource_path: str
    probe: Probe | None = None
    requirement: Requirement = Requirement()
    failure: Failure | None = None
    goes_on: bool = False
    """The steps after it run although it failed."""
    template: fill.Template | None = None
    """What has to be filled in when the step begins."""
    outputs: list[Output] = []
    soap: bool = False

    @property
    def target_host(self) -> str:
        """The host that the call goes to."""
        return urllib.parse.urlsplit(self.base_url).netloc


class Ending(msgspec.Struct, frozen=True):
    """Of a stored plan what a step's end needs."""

    base_url: str
    goes_on: bool = False
    outputs: list[Output] = []

    @property
    def target_host(self) -> str:
        """The host that the call went to."""
        return urllib.parse.urlsplit(self.base_url).netloc


def plan(row: Mapping[str, Any], *, literal: bool = False) -> Plan:
    """The plan of one row of the statement `steps`. `literal`: what looks like a data pill is text."""
    inline = row["connection"] == "inline"
    base_url = row["inline_url"] if inline else row["connection_url"] or ""
    names = (row["alias"] or "", row["connection_name"] or "", base_url, row["resource_path"])
    goes_on, soap = row.get("on_failure") == "continue", row.get("type") == "SOAP"
    if not base_url:
        return Plan(
            *names,
            goes_on=goes_on,
            soap=soap,
            failure=Failure(
                "no_active_connection",
                f"connection alias {row['alias']} has no active connection",
                "open the alias, and make or activate a connection on its Connections tab",
            ),
        )
    scheme = base_url.partition("://")[0]
    if scheme != "https" and row["profile"] is None:
        return Plan(
            *names,
            goes_on=goes_on,
            soap=soap,
            failure=Failure(
                "unknown_protocol", f"there is no MID Protocol Profile {scheme}", "make one, or use https://"
            ),
        )
    planned = Plan(
        *names,
        requirement=candidates.requirement(row, base_url),
        goes_on=goes_on,
        soap=soap,
        outputs=msgspec.convert(_list(row, "outputs"), list[Output]),
    )
    template, probe = _template(row, base_url, literal), _probe(row)
    if literal:
        return msgspec.structs.replace(planned, probe=fill.shown(template, probe))
    return _with_request(planned, template, probe)


def _with_request(planned: Plan, template: fill.Template, probe: Probe) -> Plan:
    """What needs nothing is filled in now, the rest when the step begins."""
    if template.needs():
        return msgspec.structs.replace(planned, probe=fill.shown(template, probe), template=template)
    try:
        return msgspec.structs.replace(planned, probe=fill.filled(template, probe, {}, _none))
    except InstanceError as error:
        return msgspec.structs.replace(planned, failure=Failure("bad_input", str(error), error.hint))


def _none(sys_id: str) -> Attachment:
    raise fill.FillError(f"there is no attachment {sys_id}")


def _template(row: Mapping[str, Any], base_url: str, literal: bool) -> fill.Template:
    soap = row.get("type") == "SOAP"
    headers = candidates.headers(row, _pairs(row, "headers"))
    return fill.Template(
        base_url=base_url,
        path=row["resource_path"],
        headers=header_secrets.sealed(headers, None if literal else pills.has_pills),
        query=_pairs(row, "query"),
        body_kind=row.get("body_kind") or "text",
        content="xml" if soap else "text",
        body=row["body"],
        form=_pairs(row, "form") if row.get("body_kind") == "form" else [],
        parts=msgspec.convert(_list(row, "parts"), list[fill.PartTemplate])
        if soap or row.get("body_kind") == "multipart"
        else [],
        attachment=row.get("attachment") or "",
    )


def _probe(row: Mapping[str, Any]) -> Probe:
    """The request without what a template has."""
    values: dict[str, Any] = {
        "url": "",
        "method": row["method"],
        "timeout_ms": row["connection_timeout"] or 30_000,
        "timeouts": candidates.timeouts(row),
        "credential": row.get("credential_id") or "",
        "ca_certificates": row["ca_certificates"] or "",
        "require_fips": bool(row["require_fips"]),
        "max_redirects": MAX_REDIRECTS if row.get("follow_redirects") else 0,
        "retry": _retry(row),
        "save_as": row.get("save_as") or "",
    }
    if row.get("type") == "SOAP":
        return SoapProbe(**values, version=row["soap_version"], action=row["soap_action"])
    return RestProbe(**values)


def traceparent(trace_id: str) -> str:
    """A new span of a trace (W3C Trace Context, section 3.2); the sampled flag is unset."""
    return f"00-{trace_id}-{keys.identifier()[:16]}-00"


def _pairs(row: Mapping[str, Any], name: str) -> list[tuple[str, str]]:
    return [(key, value) for key, value in _list(row, name)]


def _list(row: Mapping[str, Any], name: str) -> list[Any]:
    found: list[Any] = json.loads(row.get(name) or "[]")
    return found


def _retry(row: Mapping[str, Any]) -> RetryPolicy:
    """The step's policy; an ad hoc request has none."""
    if not row.get("retry_count") and not row.get("retry_any_method"):
        return RetryPolicy()
    return RetryPolicy(
        kind=row["retry_kind"],
        count=row["retry_count"],
        interval_ms=row["retry_interval"],
        max_elapsed_ms=row["retry_max_elapsed"],
        statuses=tuple(json.loads(row["retry_statuses"])),
        failures=json.loads(row["retry_failures"]),
        any_method=bool(row["retry_any_method"]),
    )
