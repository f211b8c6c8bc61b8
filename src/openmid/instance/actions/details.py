"""EXECUTION DETAILS: one dict, used by the API, the pages and the demo.

    sys_id, action (its name), action_sys_id, version (0: the draft), state, started_by, start, end, duration_ms
    inputs, outputs  {name: value}, those of the action
    fips             the MID Server's proof (fips.proof.Proof) when the last result came, or null
    steps[]
      name, type, state, start, duration_ms
      outputs        {name: value}, those that the step reads from the answer
      configuration  {method, base_url, resource_path, url, headers, query, body, body_is_base64, attachment, parts,
                      connection_alias, timeout_ms, max_redirects, retry (RetryPolicy; null: none),
                      on_failure (stop, continue); of a SOAP step soap_version, soap_action}
      output         {status_code, headers, body, body_is_base64, attachment, fault (null: none)}, or {} where the partner
                     did not answer
      error          {code, message, remedy} or null
      log            [{time, text}], in order
      integration_metadata
                     {connection, mid_protocol_profile, mid_server, target_host, peer, tls_version, cipher,
                      client_certificate {subject, serial}, server_certificate {subject, issuer, not_after},
                      fips_enforced, require_fips, payload_bytes, timing_us {queued, claimed, dns, connect, tls, first_byte,
                      transfer, total; -1: not known or not done; claimed: with the MID Server, beside the call},
                      attempts[] (those before the last) {start, status_code, error, waited_ms}, redirects (URLs), trace_id};
                     what is not known yet is empty

Times are ISO 8601 UTC with milliseconds; durations milliseconds unless the name says otherwise. Headers that carry
secrets are shown as asterisks.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from openmid.instance.actions import step_log
from openmid.instance.actions.planner import Plan
from openmid.instance.actions.progress import SQL
from openmid.instance.actions.runner import NoSuchExecutionError as NoSuchExecutionError
from openmid.instance.records import clock, header_secrets
from openmid.instance.records.database import Row, reader
from openmid.instance.records.statements import listed
from openmid.wire.codec import encode
from openmid.wire.probes import EarlierAttempt, ProbeResult, SoapProbe

ENDED = frozenset({"Completed", "Error", "Cancelled"})


class Told(NamedTuple):
    """An execution's state, and what is told of it, as JSON."""

    state: str
    text: bytes


Read = Callable[[Iterable[str]], dict[str, Told]]
"""How executions are read: `told`, or less."""


def state(sys_id: str) -> str:
    """The state of an execution.

    Raises:
        NoSuchExecutionError.
    """
    row = reader().first(SQL["execution"], sys_id=sys_id)
    if row is None:
        raise _unknown(sys_id)
    return str(row["state"])


def details(sys_id: str) -> dict[str, Any]:
    """The details of an execution, as this module's docstring has them.

    Raises:
        NoSuchExecutionError.
    """
    found = _of([sys_id], _read)
    if not found:
        raise _unknown(sys_id)
    return found[sys_id]


def one(read: Read, sys_id: str) -> Told:
    """What `read` tells of one execution.

    Raises:
        NoSuchExecutionError.
    """
    found = read([sys_id])
    if not found:
        raise _unknown(sys_id)
    return found[sys_id]


def told(sys_ids: Iterable[str]) -> dict[str, Told]:
    """The same of several executions, as the API tells it; of those that there are."""
    found = _of(sys_ids, _as_it_stands)
    return {sys_id: Told(each["state"], encode(each)) for sys_id, each in found.items()}


def _of(sys_ids: Iterable[str], proof: Callable[[str], Any]) -> dict[str, dict[str, Any]]:
    which = listed(sys_ids)
    steps: defaultdict[str, list[Row]] = defaultdict(list)
    rows = reader().run(SQL["executions"], executions=which)
    for step in reader().run(SQL["step_details"], executions=which):
        steps[step["execution"]].append(step)
    return {row["sys_id"]: _execution(row, steps[row["sys_id"]], proof) for row in rows}


def _execution(row: Row, steps: list[Row], proof: Callable[[str], Any]) -> dict[str, Any]:
    proofs = [step["fips_proof"] for step in steps if step["fips_proof"]]
    return {
        "sys_id": row["sys_id"],
        "action": row["action_name"],
        "action_sys_id": row["action"],
        "version": row["version"],
        "inputs": named(row["inputs"]),
        "outputs": named(row["outputs"]),
        "state": row["state"],
        "started_by": row["sys_created_by"],
        "start": clock.iso(row["sys_created_on"]),
        "end": clock.iso(row["finished"]),
        "duration_ms": _duration(row["sys_created_on"], row["finished"]),
        "fips": proof(proofs[-1]) if proofs else None,
        "steps": [_step(step) for step in steps],
    }


@lru_cache(64)
def _read(proof: str) -> dict[str, Any]:
    """A MID Server's proof: one for thousands of executions, and only ever read."""
    found: dict[str, Any] = json.loads(proof)
    return found


def _as_it_stands(proof: str) -> msgspec.Raw:
    return msgspec.Raw(proof.encode())


def named(text: str) -> dict[str, Any]:
    """Values by name."""
    return {} if text == "{}" else json.loads(text)


def _unknown(sys_id: str) -> NoSuchExecutionError:
    return NoSuchExecutionError(f"there is no execution {sys_id}", "look at the list of executions in Workflow Studio")


def _step(row: Row) -> dict[str, Any]:
    planned = msgspec.json.decode(row["plan"], type=Plan)
    result = msgspec.json.decode(row["result"], type=ProbeResult) if row["result"] else None
    return {
        "name": row["name"],
        "type": "SOAP" if planned.soap or isinstance(planned.probe, SoapProbe) else "REST",
        "state": row["state"],
        "start": clock.iso(row["started"]),
        "duration_ms": _duration(row["started"], row["finished"]),
        "configuration": _configuration(planned),
        "output": output(result),
        "outputs": named(row["outputs"]),
        "error": json.loads(row["error"]) if row["error"] else None,
        "log": [{"time": clock.iso(at), "text": said} for at, said in step_log.lines(row, planned, result)],
        "integration_metadata": _integration(planned, row, result),
    }


def _configuration(planned: Plan) -> dict[str, Any]:
    probe = planned.probe
    return {
        "connection_alias": planned.alias,
        "base_url": planned.base_url,
        "resource_path": planned.resource_path,
        "method": probe.method if probe else "",
        "url": probe.url if probe else "",
        "headers": header_secrets.masked(probe.headers) if probe else [],
        "query": probe.query if probe else [],
        "body": probe.body if probe else "",
        "body_is_base64": bool(probe and probe.body_is_base64),
        "attachment": msgspec.to_builtins(probe.attachment) if probe and probe.attachment else None,
        "parts": msgspec.to_builtins(probe.parts) if probe else [],
        **({"soap_version": probe.version, "soap_action": probe.action} if isinstance(probe, SoapProbe) else {}),
        "timeout_ms": probe.timeout_ms if probe else None,
        "max_redirects": probe.max_redirects if probe else 0,
        "retry": msgspec.to_builtins(probe.retry) if probe and probe.retry.count else None,
        "on_failure": "continue" if planned.goes_on else "stop",
    }


def output(result: ProbeResult | None) -> dict[str, Any]:
    """A step's output."""
    if result is None or result.status_code is None:
        return {}
    return {
        "status_code": result.status_code,
        "headers": header_secrets.masked(result.headers),
        "body": result.body,
        "body_is_base64": result.body_is_base64,
        "attachment": msgspec.to_builtins(result.attachment) if result.attachment else None,
        "fault": msgspec.to_builtins(result.fault) if result.fault else None,
    }


def _integration(planned: Plan, row: Row, result: ProbeResult | None) -> dict[str, Any]:
    found = result or ProbeResult(started=0)
    tls = found.tls
    return {
        "connection": planned.connection,
        "mid_protocol_profile": planned.requirement.protocol,
        "mid_server": row["mid_server"],
        "target_host": planned.target_host,
        "peer": tls.peer,
        "tls_version": tls.version,
        "cipher": tls.cipher,
        "client_certificate": {"subject": tls.client_subject, "serial": tls.client_serial},
        "server_certificate": {
            "subject": tls.server_subject,
            "issuer": tls.server_issuer,
            "not_after": tls.server_not_after,
        },
        "fips_enforced": found.fips_enforced,
        "require_fips": planned.requirement.require_fips,
        "payload_bytes": step_log.payload_bytes(found),
        "timing_us": {**_way(row, found), **msgspec.structs.asdict(found.timing)},
        "attempts": [_attempt(each) for each in found.attempts],
        "redirects": found.redirects,
        "trace_id": planned.probe.traceparent[3:35] if planned.probe else "",
    }


def _way(row: Row, result: ProbeResult) -> dict[str, int]:
    """How long the job waited on the queue, and was with the MID Server beside the call itself."""
    claimed = step_log.claimed_at(row)
    if claimed is None or row["finished"] is None:
        return {"queued": -1, "claimed": -1}
    return {
        "queued": claimed - row["started"],
        "claimed": max(0, row["finished"] - claimed - max(0, result.timing.total)),
    }


def _attempt(earlier: EarlierAttempt) -> dict[str, Any]:
    failure = earlier.failure
    return {
        "start": clock.iso(earlier.started),
        "status_code": earlier.status_code,
        "error": msgspec.to_builtins(failure) if failure else None,
        "waited_ms": earlier.waited_ms,
    }


def _duration(start: int | None, end: int | None) -> float | None:
    return round((end - start) / 1000, 3) if start is not None and end is not None else None
