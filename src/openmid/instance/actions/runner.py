"""Executions: what starts one, what a result does to it, what a lost job does to it.

The functions that take a connection are parts of units of work of the queue's writer: a job's completion, its step's
result and the next step's job are one commit.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from openmid.fips import keys
from openmid.instance.actions import failures, prepared, progress, values
from openmid.instance.actions import inputs as declarations
from openmid.instance.actions.ad_hoc import AdHocRequest
from openmid.instance.actions.planner import Plan
from openmid.instance.actions.prepared import Step
from openmid.instance.actions.progress import SQL
from openmid.instance.actions.reselection import choose_anew
from openmid.instance.actions.stranded import why
from openmid.instance.actions.values import OfStep
from openmid.instance.connections import candidates
from openmid.instance.ecc import queue
from openmid.instance.ecc.writer import writer
from openmid.instance.errors import InstanceError
from openmid.instance.records import clock, header_secrets
from openmid.instance.records.database import Connection, Row, new_id, reader
from openmid.instance.records.statements import listed
from openmid.wire.messages import JobResult, Released, ResultsAnswer
from openmid.wire.probes import Failure

AD_HOC = {"action": "", "version": 0, "inputs": "{}", "output_plan": "[]", "priority": queue.INTERACTIVE}
"""What an execution without an action has in an action's columns."""


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
    sys_id: str = "",
) -> str:
    """Plan every step of the action, and begin the first. With a `key` seen before: that execution. `sys_id` is the new
    execution's, where somebody waits for it already.

    The action is the published version; the draft where it was never published, or is asked for.

    Raises:
        NoSuchActionError, InputError, KeyReusedError, QueueFullError.
    """
    action, steps = _action(connection, action_name, draft)
    before = _before(connection, user, key, action["sys_id"], action["name"])
    if before:
        return before
    given = declarations.read(_declared(action["inputs"]), inputs or {})
    what = {
        "action": action["sys_id"],
        "action_name": action["name"],
        "version": action["number"],
        "inputs": json.dumps(given) if given else "{}",
        "output_plan": action["outputs"],
        "priority": priority,
    }
    return _insert(connection, steps, user, key, what, sys_id)


class Wanted(NamedTuple):
    """One execution among many: its sys_id if it is a new one, and what it is begun with."""

    sys_id: str
    key: str | None
    inputs: dict[str, Any]


def begin_batch(
    connection: Connection, action_name: str, user: str, priority: int, wanted: Sequence[Wanted]
) -> list[str | InstanceError]:
    """`begin`, many times: the sys_id of each, or why it was not accepted, which takes no other with it.

    Raises:
        NoSuchActionError.
    """
    _action(connection, action_name, draft=False)
    begun: list[str | InstanceError] = []
    for each in wanted:
        try:
            begun.append(begin(connection, action_name, user, each.key, priority, each.inputs, sys_id=each.sys_id))
        except InstanceError as error:  # raised before anything was written
            begun.append(error)
    return begun


@lru_cache(prepared.MOST)
def _declared(text: str) -> list[declarations.Input]:
    return declarations.declared(json.loads(text))


def _action(connection: Connection, name: str, draft: bool) -> tuple[Row, tuple[Step, ...]]:
    """The row of an action, and its steps; read once for all calls of a transaction.

    Raises:
        NoSuchActionError.
    """
    found: tuple[Row, tuple[Step, ...]] | None = connection.known.get(("action", name, draft))
    if found is None:
        action = connection.first(SQL["action"], name=name, draft=int(draft))
        if action is None:
            raise NoSuchActionError(
                f"there is no action named {name}", "look at the list of actions in Workflow Studio"
            )
        rows = connection.run(SQL["steps"], action=action["sys_id"], version=action["version"])
        found = action, prepared.steps([candidates.complete(connection, row) for row in rows])
        connection.known["action", name, draft] = found
    return found


def begin_request(
    connection: Connection, alias: str, request: AdHocRequest, user: str, key: str | None, sys_id: str = ""
) -> str:
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
    step = Step.of("Request", request.planned(candidates.complete(connection, row)))
    return _insert(connection, (step,), user, key, AD_HOC | {"action_name": name}, sys_id)


def begin_again(connection: Connection, execution: str, user: str, key: str | None, sys_id: str = "") -> str:
    """Run what an execution ran: its action as it stands now, or the same ad hoc request word for word.

    Raises:
        NoSuchExecutionError, NoSuchActionError, KeyReusedError, QueueFullError.
    """
    before = connection.first(SQL["execution"], sys_id=execution)
    if before is None:
        raise NoSuchExecutionError(f"there is no execution {execution}", "look at the list of executions")
    if before["action"]:
        given, draft = json.loads(before["inputs"]), before["version"] == 0
        action = connection.first(SQL["name_of_action"], sys_id=before["action"])
        if action is None:
            raise NoSuchActionError(f"the action {before['action_name']} was deleted", "start the one that replaced it")
        return begin(connection, action["name"], user, key, queue.INTERACTIVE, given, draft, sys_id)
    rows = connection.run(SQL["step_details"], executions=listed([execution]))
    steps = tuple(Step.of(row["name"], msgspec.json.decode(row["plan"], type=Plan)) for row in rows)
    name = before["action_name"]
    return _before(connection, user, key, "", name) or _insert(
        connection, steps, user, key, AD_HOC | {"action_name": name}, sys_id
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
    connection: Connection, steps: tuple[Step, ...], user: str, key: str | None, what: dict[str, Any], sys_id: str
) -> str:
    new = {"sys_id": sys_id or new_id(), "now": clock.now(), "user": user, "key": key, **what}
    trace_id = keys.identifier()
    progress.start(connection, new, tuple(each.traced(trace_id) for each in steps))
    return str(new["sys_id"])


def cancel(connection: Connection, execution: str) -> bool:
    """Cancel an execution: a job that waits ends now, one that runs when its MID Server has stopped it.

    Returns whether it has ended.
    """
    before = ""
    while (row := connection.first(SQL["running_step"], execution=execution)) is not None:
        became = queue.cancel(connection, row["item"])
        if became in ("unsent", "lost"):
            _end_lost(connection, row["item"], failures.cancelled(sent=became == "lost"))
            return True
        if became == "asked" or row["item"] == before:
            return False
        before = row["item"]  # another node has just ended it: perhaps the next step runs by now
    return True


LARGE = 64 * 1024
"""Characters of an answer whose outputs are read before its unit of work, and not on the loop: it may take seconds."""
Read = dict[tuple[str, str], OfStep]
"""By job and lease, what its step makes of its answer; the plan of a step that runs does not change."""


def large(results: Sequence[JobResult]) -> list[JobResult]:
    """Those to `read_ahead`."""
    return [each for each in results if len(each.result.body) > LARGE]


def read_ahead(results: Sequence[JobResult]) -> Read:
    """What their steps make of large results; for a thread, which may take its time."""
    steps = progress.running(reader(), *(each.sys_id for each in results))
    return {
        (each.sys_id, each.lease): values.of_step(steps[each.sys_id].plan, _kept(each).result)
        for each in results
        if each.sys_id in steps
    }


def take(
    connection: Connection, mid: str, results: list[JobResult], released: list[Released], read: Read | None = None
) -> ResultsAnswer:
    """Record the results that the MID Server `mid` delivers and the jobs that it gives back; move their executions on.
    `read`: what has been read of them already."""
    answer = ResultsAnswer([], [])
    if results:
        _take_results(connection, mid, [_kept(each) for each in results], answer, read or {})
    for given in released:
        lost = queue.release(connection, mid, given)
        if lost is not None:
            unsent = lost.error == failures.CANCELLED and not given.sent and lost.attempts <= 1
            _end_lost(connection, lost.sys_id, failures.cancelled(sent=False) if unsent else failures.LOST[lost.error])
    return answer


def _take_results(
    connection: Connection, mid: str, results: list[JobResult], answer: ResultsAnswer, read: Read
) -> None:
    proof = _proof(connection, mid)
    accepted = []
    for each, (outcome, response) in zip(results, queue.complete(connection, mid, results), strict=True):
        (answer.late if outcome == "late" else answer.accepted).append(each.sys_id)
        if outcome == "accepted":
            accepted.append((each, response))
    steps = progress.running(connection, *(each.sys_id for each, _ in accepted))
    for each, response in accepted:
        if each.sys_id in steps:
            step = steps[each.sys_id]
            found = read.get((each.sys_id, each.lease)) or values.of_step(step.plan, each.result)
            progress.end_step(connection, progress.Ended(step, found.failure, response, proof, found.outputs))


def _kept(answered: JobResult) -> JobResult:
    """A result as it is kept: secrets in its headers are sealed."""
    headers = header_secrets.sealed_answer(answered.result.headers)
    if headers is answered.result.headers:
        return answered
    return msgspec.structs.replace(answered, result=msgspec.structs.replace(answered.result, headers=headers))


def unreadable(connection: Connection, jobs: dict[str, Failure]) -> None:
    """End jobs, by sys_id, whose secrets nobody can open."""
    for sys_id, failure in jobs.items():
        queue.fail(connection, sys_id, failure.code)
        _end_lost(connection, sys_id, failure)


def lapse(connection: Connection) -> int:
    """Take back the jobs whose lease ran out; end the steps whose outcome nobody knows, and those that nobody will run.

    Returns how many jobs ended.
    """
    ended = [(job.sys_id, failures.LOST[job.error]) for job in queue.lapse(connection)]
    choose_anew(connection)
    for job in queue.stranded(connection):
        failure = why(job, clock.now())
        queue.fail(connection, job.sys_id, failure.code)
        ended.append((job.sys_id, failure))
    for sys_id, failure in ended:
        _end_lost(connection, sys_id, failure)
    return len(ended)


def _end_lost(connection: Connection, item: str, failure: Failure) -> None:
    for step in progress.running(connection, item).values():
        progress.end_step(connection, progress.Ended(step, failure))


def _proof(connection: Connection, mid: str) -> str:
    """The sys_id of the MID Server's proof, as its last heartbeat had it; empty: none."""
    found: str | None = connection.known.get(("proof", mid))
    if found is None:
        row = connection.first(SQL["proof_of_mid"], sys_id=mid)
        found = connection.known["proof", mid] = row["fips_proof_id"] or "" if row else ""
    return found
