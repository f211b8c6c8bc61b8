"""Executions: what starts one, what a result does to it, what a lost job does to it.

The functions that take a connection are parts of units of work of the queue's writer: a job's completion, its step's
result and the next step's job are one commit.
"""

from __future__ import annotations

import http
import json
from typing import Any

import msgspec

from openmid.diagnosis import diagnose_answer
from openmid.instance.actions import inputs as declarations
from openmid.instance.actions import values
from openmid.instance.actions.ad_hoc import AdHocRequest
from openmid.instance.actions.planner import Plan, plan
from openmid.instance.actions.reselection import choose_anew
from openmid.instance.actions.stranded import why
from openmid.instance.connections import candidates
from openmid.instance.ecc import back_pressure, queue
from openmid.instance.ecc.writer import writer
from openmid.instance.errors import InstanceError
from openmid.instance.records import clock
from openmid.instance.records.database import Connection, Row, new_id
from openmid.instance.records.statements import statements
from openmid.wire.messages import JobResult, Released, ResultsAnswer
from openmid.wire.probes import Failure, ProbeResult, SoapFault

SQL = statements("openmid.instance.actions", "execution.sql")
OUTCOME_UNKNOWN = Failure(
    "outcome_unknown",
    "the MID Server took this call and did not answer in time: whether the partner got the request is not known",
    "look at the partner, then run the action again",
)


AD_HOC = {"action": "", "version": 0, "inputs": "{}", "output_plan": "[]", "priority": queue.INTERACTIVE}
"""What an execution without an action has in an action's columns."""
CANCELLED = "cancelled"
NEVER_SENT = Failure(CANCELLED, "the call was cancelled before a MID Server took it: nothing was sent to the partner")
LOST = {
    "outcome_unknown": OUTCOME_UNKNOWN,
    CANCELLED: Failure(
        CANCELLED,
        "the call was cancelled, and its MID Server did not answer: whether the partner got the request is not known",
        "look at the partner before you make the call again",
    ),
}


class NoSuchActionError(InstanceError):
    """Raised when there is no action of this name."""


class NoSuchExecutionError(InstanceError):
    """Raised when there is no execution of this sys_id."""


class NoSuchAliasError(InstanceError):
    """Raised when there is no connection alias of this name."""


class KeyReusedError(InstanceError):
    """Raised when an Idempotency-Key is used for another action than the first time."""


def test(action_name: str, user: str, inputs: dict[str, Any]) -> str:
    """Run Test: the action as it is being edited. Waits until the execution is on the disk; returns its sys_id.

    Raises:
        NoSuchActionError, InputError, QueueFullError.
    """
    return writer().run(
        lambda connection: begin(connection, action_name, user, None, queue.INTERACTIVE, inputs, draft=True)
    )


def begin(
    connection: Connection,
    action_name: str,
    user: str,
    key: str | None,
    priority: int = queue.STANDARD,
    inputs: dict[str, Any] | None = None,
    draft: bool = False,
) -> str:
    """Plan every step of the action, and begin the first. With a `key` seen before: that execution.

    The action is the published version; the draft where it was never published, or is asked for.

    Raises:
        NoSuchActionError, InputError, KeyReusedError, QueueFullError.
    """
    action = connection.first(SQL["action"], name=action_name, draft=int(draft))
    if action is None:
        raise NoSuchActionError(
            f"there is no action named {action_name}", "look at the list of actions in Workflow Studio"
        )
    before = _before(connection, user, key, action["sys_id"], action["name"])
    if before:
        return before
    given = declarations.read(declarations.declared(json.loads(action["inputs"])), inputs or {})
    rows = connection.run(SQL["steps"], action=action["sys_id"], version=action["version"])
    plans = [(row["name"], plan(candidates.complete(connection, row))) for row in rows]
    what = {
        "action": action["sys_id"],
        "action_name": action["name"],
        "version": action["number"],
        "inputs": json.dumps(given),
        "output_plan": action["outputs"],
        "priority": priority,
    }
    return _insert(connection, plans, user, key, what)


def begin_request(connection: Connection, alias: str, request: AdHocRequest, user: str, key: str | None) -> str:
    """Make one call through the active connection of an alias, without an action. With a `key` seen before: that one.

    Raises:
        NoSuchAliasError, KeyReusedError, QueueFullError.
    """
    row = connection.first(SQL["alias"], name=alias)
    if row is None:
        raise NoSuchAliasError(
            f"there is no connection alias named {alias}", "look at the list of Connection & Credential Aliases"
        )
    name = f"{request.method} {request.path or '/'} ({alias})"[:160]
    before = _before(connection, user, key, "", name)
    if before:
        return before
    plans = [("Request", request.planned(candidates.complete(connection, row)))]
    return _insert(connection, plans, user, key, AD_HOC | {"action_name": name})


def begin_again(connection: Connection, execution: str, user: str, key: str | None) -> str:
    """Run what an execution ran: its action as it stands now, or the same ad hoc request word for word.

    Raises:
        NoSuchExecutionError, NoSuchActionError, KeyReusedError, QueueFullError.
    """
    before = connection.first(SQL["execution"], sys_id=execution)
    if before is None:
        raise NoSuchExecutionError(f"there is no execution {execution}", "look at the list of executions")
    if before["action"]:
        given, draft = json.loads(before["inputs"]), before["version"] == 0
        return begin(connection, before["action_name"], user, key, queue.INTERACTIVE, given, draft)
    rows = connection.run(SQL["step_details"], execution=execution)
    plans = [(row["name"], msgspec.json.decode(row["plan"], type=Plan)) for row in rows]
    name = before["action_name"]
    return _before(connection, user, key, "", name) or _insert(
        connection, plans, user, key, AD_HOC | {"action_name": name}
    )


def _before(connection: Connection, user: str, key: str | None, action: str, name: str) -> str:
    """The execution that `user` started with this `key`, if any."""
    before = connection.first(SQL["by_key"], user=user, key=key) if key else None
    if before is None:
        return ""
    if (before["action"], before["action_name"]) != (action, name):
        raise KeyReusedError(f"the Idempotency-Key {key} was used for another call", "use a new key for each call")
    return str(before["sys_id"])


def _insert(
    connection: Connection, plans: list[tuple[str, Plan]], user: str, key: str | None, what: dict[str, Any]
) -> str:
    execution = new_id()
    connection.change(SQL["insert_execution"], sys_id=execution, now=clock.now(), user=user, key=key, **what)
    for position, (step, planned) in enumerate(plans):
        text = msgspec.json.encode(planned).decode()
        values = {"execution": execution, "position": position, "name": step, "plan": text}
        connection.change(SQL["insert_step"], sys_id=new_id(), **values)
    _continue(connection, execution, first=True)
    return execution


def cancel(connection: Connection, execution: str) -> bool:
    """Cancel an execution: a job that waits ends now, one that runs when its MID Server has stopped it.

    Returns whether it has ended.
    """
    step = connection.first(SQL["running_step"], execution=execution)
    if step is None:
        return True
    if not queue.cancel(connection, step["item"]):
        return False
    _end_step(connection, step, NEVER_SENT)
    return True


def take(connection: Connection, mid: str, results: list[JobResult], released: list[Released]) -> ResultsAnswer:
    """Record the results that the MID Server `mid` delivers and the jobs that it gives back; move their executions on."""
    answer = ResultsAnswer([], [])
    for each in results:
        outcome, response = queue.complete(connection, mid, each)
        (answer.late if outcome == "late" else answer.accepted).append(each.sys_id)
        step = connection.first(SQL["step_of_item"], item=each.sys_id) if outcome == "accepted" else None
        if step is not None:
            _end_answered(connection, step, each.result, response, _proof(connection, mid))
    for given in released:
        lost = queue.release(connection, mid, given)
        if lost is not None:
            _end_lost(connection, lost.sys_id, LOST[lost.error])
    return answer


def lapse(connection: Connection) -> int:
    """Take back the jobs whose lease ran out; end the steps whose outcome nobody knows, and those that nobody will run.

    Returns how many jobs ended.
    """
    ended = [(job.sys_id, LOST[job.error]) for job in queue.lapse(connection)]
    choose_anew(connection)
    for job in queue.stranded(connection):
        failure = why(job, clock.now())
        queue.fail(connection, job.sys_id, failure.code)
        ended.append((job.sys_id, failure))
    for sys_id, failure in ended:
        _end_lost(connection, sys_id, failure)
    return len(ended)


def _end_lost(connection: Connection, item: str, failure: Failure) -> None:
    step = connection.first(SQL["step_of_item"], item=item)
    if step is not None:
        _end_step(connection, step, failure)


def _continue(connection: Connection, execution: str, *, first: bool = False) -> None:
    """Begin the next step; where it cannot begin it ends at once; where there is none the execution is complete.

    Raises:
        QueueFullError: the `first` step of an execution; what was accepted goes on.
    """
    step = connection.first(SQL["next_step"], execution=execution)
    if step is None:
        _end_execution(connection, execution, "Completed")
        return
    planned = msgspec.json.decode(step["plan"], type=Plan)
    if planned.template is not None:
        planned = values.filled(connection, planned, execution)
        connection.change(SQL["fill_step"], sys_id=step["sys_id"], plan=msgspec.json.encode(planned).decode())
    if planned.probe is None or planned.failure is not None:
        assert planned.failure is not None
        _end_step(connection, step, planned.failure)
        return
    chosen = candidates.chosen(connection, planned.requirement)
    if isinstance(chosen, Failure):
        _end_step(connection, step, chosen)
        return
    priority = step["priority"]
    if first:
        back_pressure.admit(connection, chosen.sys_id, chosen.name, priority)
    item = queue.put(connection, planned.probe, chosen.sys_id, chosen.name, execution, step["name"], priority)
    connection.change(SQL["begin_step"], sys_id=step["sys_id"], now=clock.now(), item=item, mid_server=chosen.name)


def _end_answered(connection: Connection, step: Row, result: ProbeResult, response: str, proof: str) -> None:
    failure = _failure(result, step)
    found, unread = (
        values.of_step(msgspec.json.decode(step["plan"], type=Plan), result) if failure is None else ({}, None)
    )
    _end_step(connection, step, failure or unread, response, proof, found)


def _end_step(
    connection: Connection,
    step: Row,
    failure: Failure | None,
    response: str = "",
    proof: str = "",
    outputs: dict[str, Any] | None = None,
) -> None:
    connection.change(
        SQL["end_step"],
        sys_id=step["sys_id"],
        state=_state(failure),
        now=clock.now(),
        response=response,
        fips_proof=proof,
        error=msgspec.json.encode(failure).decode() if failure else "",
        outputs=json.dumps(outputs or {}),
    )
    if failure is None or (failure.code != CANCELLED and msgspec.json.decode(step["plan"], type=Plan).goes_on):
        _continue(connection, step["execution"])
        return
    connection.change(SQL["cancel_steps"], execution=step["execution"])
    _end_execution(connection, step["execution"], _state(failure))


def _state(failure: Failure | None) -> str:
    if failure is None:
        return "Completed"
    return "Cancelled" if failure.code == CANCELLED else "Error"


def _end_execution(connection: Connection, execution: str, state: str) -> None:
    outputs = json.dumps(values.of_action(connection, execution)) if state == "Completed" else "{}"
    connection.change(SQL["end_execution"], execution=execution, state=state, now=clock.now(), outputs=outputs)
    connection.wakes.append(f"execution:{execution}")


def _failure(result: ProbeResult, step: Row) -> Failure | None:
    """Why the step failed: the call's failure, or a status of 400 and more."""
    if result.failure is not None or result.status_code is None:
        return result.failure or Failure("no_answer", "the MID Server reported neither an answer nor a failure")
    if result.status_code < 400 and result.fault is None:
        return None
    host = msgspec.json.decode(step["plan"], type=Plan).target_host
    if result.fault is not None:
        return _fault(host, result.fault)
    cause = diagnose_answer(result.status_code, result.body, host, result.tls.client_subject)
    if cause:
        return Failure(cause.code, cause.message, cause.remedy)
    try:
        phrase = f" {http.HTTPStatus(result.status_code).phrase}"
    except ValueError:
        phrase = ""
    return Failure(
        "http_status",
        f"{host} answered {result.status_code}{phrase}",
        "the connection works; the partner's answer in the step's output says what it did not like",
    )


def _fault(host: str, fault: SoapFault) -> Failure:
    code = f"{fault.code}/{fault.subcode}" if fault.subcode else fault.code
    return Failure(
        "soap_fault",
        f"{host} answered a SOAP fault, {code}: {fault.reason}"[:1000],
        "the connection works; the fault in the step's output says what the partner did not like",
    )


def _proof(connection: Connection, mid: str) -> str:
    """The sys_id of the MID Server's proof, as its last heartbeat had it; empty: none."""
    row = connection.first(SQL["proof_of_mid"], sys_id=mid)
    return row["fips_proof_id"] or "" if row else ""
