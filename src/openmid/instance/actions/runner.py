"""Executions: what starts one, what a result does to it, what a lost job does to it.

The functions that take a connection are parts of units of work of the queue's writer: a job's completion, its step's
result and the next step's job are one commit.
"""

from __future__ import annotations

import http
import sqlite3

import msgspec

from openmid.diagnosis import diagnose_answer
from openmid.instance.actions.planner import Plan, plan
from openmid.instance.actions.stranded import why
from openmid.instance.ecc import queue
from openmid.instance.ecc.writer import writer
from openmid.instance.errors import InstanceError
from openmid.instance.mid.selection import Candidate, choose
from openmid.instance.records import clock
from openmid.instance.records.database import Connection, new_id
from openmid.instance.records.statements import statements
from openmid.wire.messages import JobResult, ResultsAnswer
from openmid.wire.probes import Failure, ProbeResult

SQL = statements("openmid.instance.actions", "execution.sql")
OUTCOME_UNKNOWN = Failure(
    "outcome_unknown",
    "the MID Server took this call and did not answer in time: whether the partner got the request is not known",
    "look at the partner, then run the action again",
)


class NoSuchActionError(InstanceError):
    """Raised when there is no action of this name."""


class KeyReusedError(InstanceError):
    """Raised when an Idempotency-Key is used for another action than the first time."""


def start(action_name: str, user: str, idempotency_key: str | None = None) -> str:
    """Start an execution, and wait until it is on the disk. Returns its sys_id.

    Raises:
        NoSuchActionError, KeyReusedError.
    """
    return writer().run(lambda connection: begin(connection, action_name, user, idempotency_key))


def begin(connection: Connection, action_name: str, user: str, key: str | None) -> str:
    """Plan every step of the action as it stands now, and begin the first. With a `key` seen before: that execution."""
    action = connection.first(SQL["action"], name=action_name)
    if action is None:
        raise NoSuchActionError(
            f"there is no action named {action_name}", "look at the list of actions in Workflow Studio"
        )
    before = connection.first(SQL["by_key"], user=user, key=key) if key else None
    if before is not None:
        if before["action"] != action["sys_id"]:
            raise KeyReusedError(
                f"the Idempotency-Key {key} was used for another action", "use a new key for each call"
            )
        return str(before["sys_id"])
    execution = new_id()
    names = {"action": action["sys_id"], "action_name": action["name"]}
    connection.change(SQL["insert_execution"], sys_id=execution, now=clock.now(), user=user, key=key, **names)
    for position, row in enumerate(connection.run(SQL["steps"], action=action["sys_id"])):
        planned = msgspec.json.encode(plan(row)).decode()
        connection.change(
            SQL["insert_step"], sys_id=new_id(), execution=execution, position=position, name=row["name"], plan=planned
        )
    _continue(connection, execution)
    return execution


def take(connection: Connection, mid: str, results: list[JobResult]) -> ResultsAnswer:
    """Record the results that the MID Server `mid` delivers, and move their executions on."""
    answer = ResultsAnswer([], [])
    for each in results:
        outcome, response = queue.complete(connection, mid, each)
        (answer.late if outcome == "late" else answer.accepted).append(each.sys_id)
        step = connection.first(SQL["step_of_item"], item=each.sys_id) if outcome == "accepted" else None
        if step is not None:
            _end_step(connection, step, _failure(each.result, step), response, _proof(connection, mid))
    return answer


def lapse(connection: Connection) -> int:
    """Take back the jobs whose lease ran out; end the steps whose outcome nobody knows, and those that nobody will run.

    Returns how many jobs ended.
    """
    ended = [(job.sys_id, OUTCOME_UNKNOWN) for job in queue.lapse(connection)]
    for job in queue.stranded(connection):
        failure = why(job, clock.now())
        queue.fail(connection, job.sys_id, failure.code)
        ended.append((job.sys_id, failure))
    for sys_id, failure in ended:
        step = connection.first(SQL["step_of_item"], item=sys_id)
        if step is not None:
            _end_step(connection, step, failure)
    return len(ended)


def _continue(connection: Connection, execution: str) -> None:
    """Begin the next step; where it cannot begin it ends at once; where there is none the execution is complete."""
    step = connection.first(SQL["next_step"], execution=execution)
    if step is None:
        _end_execution(connection, execution, "Completed")
        return
    planned = msgspec.json.decode(step["plan"], type=Plan)
    if planned.probe is None:
        assert planned.failure is not None
        _end_step(connection, step, planned.failure)
        return
    chosen = choose(_candidates(connection, planned.requirement.profile), planned.requirement, clock.now())
    if isinstance(chosen, Failure):
        _end_step(connection, step, chosen)
        return
    item = queue.put(connection, planned.probe, chosen.sys_id, chosen.name, execution, step["name"])
    connection.change(SQL["begin_step"], sys_id=step["sys_id"], now=clock.now(), item=item, mid_server=chosen.name)


def _candidates(connection: Connection, profile: str) -> list[Candidate]:
    return [Candidate(**dict(row)) for row in connection.run(SQL["candidates"], profile=profile)]


def _end_step(
    connection: Connection, step: sqlite3.Row, failure: Failure | None, response: str = "", proof: str = ""
) -> None:
    connection.change(
        SQL["end_step"],
        sys_id=step["sys_id"],
        state="Error" if failure else "Completed",
        now=clock.now(),
        response=response,
        fips_proof=proof,
        error=msgspec.json.encode(failure).decode() if failure else "",
    )
    if failure is None:
        _continue(connection, step["execution"])
        return
    connection.change(SQL["cancel_steps"], execution=step["execution"])
    _end_execution(connection, step["execution"], "Error")


def _end_execution(connection: Connection, execution: str, state: str) -> None:
    connection.change(SQL["end_execution"], execution=execution, state=state, now=clock.now())
    connection.wakes.append(f"execution:{execution}")


def _failure(result: ProbeResult, step: sqlite3.Row) -> Failure | None:
    """Why the step failed: the call's failure, or a status of 400 and more."""
    if result.failure is not None or result.status_code is None:
        return result.failure or Failure("no_answer", "the MID Server reported neither an answer nor a failure")
    if result.status_code < 400:
        return None
    host = msgspec.json.decode(step["plan"], type=Plan).target_host
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


def _proof(connection: Connection, mid: str) -> str:
    """The sys_id of the MID Server's proof, as its last heartbeat had it; empty: none."""
    row = connection.first(SQL["proof_of_mid"], sys_id=mid)
    return row["fips_proof_id"] or "" if row else ""
