"""How an execution moves on: a step begins, ends, and the next one begins; all of it on a connection of the writer."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import msgspec

from openmid.instance.actions import values
from openmid.instance.actions.failures import CANCELLED
from openmid.instance.actions.planner import Ending, Plan
from openmid.instance.actions.prepared import Step
from openmid.instance.connections import candidates
from openmid.instance.ecc import back_pressure, queue
from openmid.instance.mid.selection import Candidate
from openmid.instance.records import clock
from openmid.instance.records.database import Connection, new_id
from openmid.instance.records.statements import listed, statements
from openmid.wire.probes import Failure

SQL = statements("openmid.instance.actions", "execution.sql")
New = dict[str, Any]
"""The columns of a new execution, as the statement `insert_execution` has them."""


class Begun(NamedTuple):
    """A step that has begun: how it reads by now, and its job on the queue or why there is none."""

    plan: str
    item: str = ""
    mid_server: str = ""
    failure: Failure | None = None


class Running(NamedTuple):
    """A step that has begun, as its end needs it. `last`: no other waits."""

    sys_id: str
    execution: str
    plan: Plan | Ending
    last: bool
    output_plan: str


def start(connection: Connection, new: New, steps: tuple[Step, ...]) -> None:
    """Write a new execution and its steps, and begin the first.

    Raises:
        QueueFullError: nothing of the execution was written.
    """
    execution, priority = new["sys_id"], new["priority"]
    chosen = _admitted(connection, steps[0].plan, priority) if steps else None
    connection.later(SQL["insert_execution"], **new)
    if not steps:
        _end_execution(connection, execution, "Completed")
        return
    begun = _begin(connection, execution, steps[0], priority, chosen)
    for position, step in enumerate(steps[1:], 1):
        _write(connection, execution, position, step.name, "Waiting", None, Begun(step.text))
    sys_id = _write(connection, execution, 0, steps[0].name, "In Progress", new["now"], begun)
    if begun.failure is not None:
        unable = Running(sys_id, execution, steps[0].plan, last=False, output_plan="")
        end_step(connection, Ended(unable, begun.failure))


def _write(
    connection: Connection, execution: str, position: int, name: str, state: str, started: int | None, begun: Begun
) -> str:
    sys_id = new_id()
    connection.later(
        SQL["insert_step"],
        sys_id=sys_id,
        execution=execution,
        position=position,
        name=name,
        state=state,
        started=started,
        plan=begun.plan,
        item=begun.item,
        mid_server=begun.mid_server,
    )
    return sys_id


def _admitted(connection: Connection, planned: Plan, priority: int) -> Candidate | Failure | None:
    """Who makes the first call of an execution, if it makes one.

    Raises:
        QueueFullError: there is no place for it; what was accepted before goes on.
    """
    if planned.probe is None or planned.failure is not None:
        return None
    chosen = candidates.chosen(connection, planned.requirement)
    if isinstance(chosen, Candidate):
        back_pressure.admit(connection, chosen.sys_id, chosen.name, priority)
    return chosen


def _begin(
    connection: Connection, execution: str, step: Step, priority: int, chosen: Candidate | Failure | None = None
) -> Begun:
    """Put the step's job on the queue of the MID Server that was `chosen` or is chosen now, if it can be run."""
    planned, text, payload = step.plan, step.text, step.payload
    if planned.template is not None:
        planned = values.filled(connection, planned, execution)
        text, payload = msgspec.json.encode(planned).decode(), ""
    if planned.probe is None or planned.failure is not None:
        return Begun(text, failure=planned.failure)
    chosen = chosen or candidates.chosen(connection, planned.requirement)
    if isinstance(chosen, Failure):
        return Begun(text, failure=chosen)
    item = queue.put(connection, planned.probe, chosen.sys_id, chosen.name, execution, step.name, priority, payload)
    return Begun(text, item, chosen.name)


class Ended(NamedTuple):
    """How a step ended. `response`: the sys_id of its answer's item; `proof`: of the MID Server's; `outputs`: JSON."""

    step: Running
    failure: Failure | None
    response: str = ""
    proof: str = ""
    outputs: str = "{}"


def _continue(connection: Connection, execution: str) -> Ended | None:
    """Begin the next step, and say where that cannot be done; where there is none the execution is complete. Where the
    step that ended was to be cancelled, and its answer was quicker, no other begins."""
    row = connection.first(SQL["next_step"], execution=execution)
    if row is None:
        _end_execution(connection, execution, "Completed")
        return None
    if row["cancelled"]:
        connection.change(SQL["cancel_steps"], execution=execution)
        _end_execution(connection, execution, "Cancelled")
        return None
    step = Step(row["name"], msgspec.json.decode(row["plan"], type=Plan), row["plan"], "")
    begun = _begin(connection, execution, step, row["priority"])
    what = {"item": begun.item, "mid_server": begun.mid_server, "plan": begun.plan}
    connection.change(SQL["begin_step"], sys_id=row["sys_id"], now=clock.now(), **what)
    if begun.failure is None:
        return None
    return Ended(Running(row["sys_id"], execution, step.plan, last=False, output_plan=""), begun.failure)


def running(connection: Connection, *items: str) -> dict[str, Running]:
    """By job, the steps in progress of these jobs."""
    rows = connection.run(SQL["steps_of_items"], items=listed(items)) if items else []
    return {
        row["item"]: Running(
            row["sys_id"],
            row["execution"],
            msgspec.json.decode(row["plan"], type=Ending),
            not row["waiting"],
            row["output_plan"],
        )
        for row in rows
    }


def end_step(connection: Connection, ended: Ended) -> None:
    """The step has ended; so has the execution, or its next step begins. One that cannot begin ends at once."""
    found: Ended | None = ended
    while found is not None:
        connection.later(
            SQL["end_step"],
            sys_id=found.step.sys_id,
            state=_state(found.failure),
            now=clock.now(),
            response=found.response,
            fips_proof=found.proof,
            error=msgspec.json.encode(found.failure).decode() if found.failure else "",
            outputs=found.outputs,
        )
        found = _after(connection, found.step, found.failure)


def _after(connection: Connection, step: Running, failure: Failure | None) -> Ended | None:
    if failure is not None and (failure.code == CANCELLED or not step.plan.goes_on):
        connection.change(SQL["cancel_steps"], execution=step.execution)
        _end_execution(connection, step.execution, _state(failure))
    elif step.last and step.output_plan == "[]":
        _end_execution(connection, step.execution, "Completed", "{}")
    else:
        return _continue(connection, step.execution)
    return None


def _state(failure: Failure | None) -> str:
    if failure is None:
        return "Completed"
    return "Cancelled" if failure.code == CANCELLED else "Error"


def _end_execution(connection: Connection, execution: str, state: str, outputs: str = "") -> None:
    if not outputs:
        outputs = json.dumps(values.of_action(connection, execution)) if state == "Completed" else "{}"
    connection.later(SQL["end_execution"], execution=execution, state=state, now=clock.now(), outputs=outputs)
    connection.wakes.append(f"execution:{execution}")
