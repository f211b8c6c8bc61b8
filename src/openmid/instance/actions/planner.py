"""From a step, its alias and its connection to what a MID Server will be asked: a plan, kept with the execution."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Mapping
from typing import Any

import msgspec

from openmid.instance.connections import candidates
from openmid.instance.mid.selection import Requirement
from openmid.wire.probes import Failure, RestProbe, RetryPolicy

MAX_REDIRECTS = 5


class Plan(msgspec.Struct, frozen=True):
    """What one REST step will do, or why it cannot. The names are for people who read execution details."""

    alias: str
    connection: str
    base_url: str
    resource_path: str
    probe: RestProbe | None = None
    requirement: Requirement = Requirement()
    failure: Failure | None = None
    goes_on: bool = False
    """The steps after it run although it failed."""

    @property
    def target_host(self) -> str:
        """The host that the call goes to."""
        return urllib.parse.urlsplit(self.base_url).netloc


def plan(row: Mapping[str, Any]) -> Plan:
    """The plan of one row of the statement `steps`."""
    inline = row["connection"] == "inline"
    base_url = row["inline_url"] if inline else row["connection_url"] or ""
    names = (row["alias"] or "", row["connection_name"] or "", base_url, row["resource_path"])
    goes_on = row.get("on_failure") == "continue"
    if not base_url:
        return Plan(
            *names,
            goes_on=goes_on,
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
            failure=Failure(
                "unknown_protocol", f"there is no MID Protocol Profile {scheme}", "make one, or use https://"
            ),
        )
    probe = RestProbe(
        url=join(base_url, row["resource_path"]),
        method=row["method"],
        headers=candidates.headers(row, [(name, value) for name, value in json.loads(row["headers"])]),
        query=[(name, value) for name, value in json.loads(row["query"])],
        body=row["body"],
        timeout_ms=row["connection_timeout"] or 30_000,
        timeouts=candidates.timeouts(row),
        credential=row.get("credential_id") or "",
        ca_certificates=row["ca_certificates"] or "",
        require_fips=bool(row["require_fips"]),
        max_redirects=MAX_REDIRECTS if row.get("follow_redirects") else 0,
        retry=_retry(row),
    )
    return Plan(*names, probe=probe, requirement=candidates.requirement(row, base_url), goes_on=goes_on)


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
        any_method=bool(row["retry_any_method"]),
    )


def join(base_url: str, resource_path: str) -> str:
    """The base URL with the resource path after it, and one slash between them."""
    if not resource_path:
        return base_url
    return f"{base_url.rstrip('/')}/{resource_path.lstrip('/')}"
