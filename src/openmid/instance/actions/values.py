"""What an execution's data pills stand for: its inputs, and what its steps have brought so far."""

from __future__ import annotations

import base64
import json
import logging
import traceback
from typing import Any, NamedTuple

import msgspec

from openmid.instance.actions import failures, fill, inputs, outputs, pills
from openmid.instance.actions.planner import Ending, Plan
from openmid.instance.errors import InstanceError
from openmid.instance.records import header_secrets
from openmid.instance.records.database import Connection
from openmid.instance.records.statements import statements
from openmid.wire.probes import Attachment, Failure, ProbeResult

SQL = statements("openmid.instance.actions", "execution.sql")
LOOK = "look at the body in the step's output, and into the instance's log"
log = logging.getLogger("openmid.instance")


def read(connection: Connection, execution: str) -> dict[str, Any]:
    """`{"inputs": {name: value}, "steps": {name: {status_code, headers, body, attachment, outputs}}}`; of steps with one
    name the last counts."""
    row = connection.first(SQL["inputs"], execution=execution)
    steps = connection.run(SQL["brought"], execution=execution)
    return {
        "inputs": json.loads(row["inputs"]) if row else {},
        "steps": {step["name"]: _brought(step["outputs"], step["result"]) for step in steps},
    }


def _brought(found: str, result: str | None) -> dict[str, Any]:
    answer = msgspec.json.decode(result, type=ProbeResult) if result else ProbeResult(started=0)
    return {
        "status_code": answer.status_code,
        "headers": {name.lower(): value for name, value in reversed(header_secrets.readable(answer.headers))},
        "body": body(answer),
        "attachment": answer.attachment.sys_id if answer.attachment else None,
        "outputs": json.loads(found),
    }


def body(answer: ProbeResult) -> str:
    """An answer's body as text; a binary one's bytes as UTF-8, as far as they are."""
    if not answer.body_is_base64:
        return answer.body
    return base64.b64decode(answer.body).decode(errors="replace")


def filled(connection: Connection, planned: Plan, execution: str) -> Plan:
    """The plan with its pills filled in; with a `failure` where that cannot be done."""
    if planned.template is None or planned.probe is None:
        return planned
    try:
        probe = fill.filled(
            planned.template, planned.probe, read(connection, execution), lambda sys_id: _attachment(connection, sys_id)
        )
    except InstanceError as error:
        return msgspec.structs.replace(planned, failure=Failure("bad_input", str(error), error.hint))
    return msgspec.structs.replace(planned, probe=probe, template=None)


def _attachment(connection: Connection, sys_id: str) -> Attachment:
    row = connection.first(SQL["attachment"], sys_id=sys_id) if inputs.is_sys_id(sys_id) else None
    if row is None:
        raise fill.FillError(
            f"there is no attachment {sys_id[:40] or 'where the step asks for one'}", "upload it first"
        )
    return Attachment(row["sys_id"], row["size_bytes"], row["content_type"], row["file_name"])


class OfStep(NamedTuple):
    """A step's outputs by name, as JSON; and why it failed, if it did."""

    outputs: str
    failure: Failure | None


def of_step(planned: Plan | Ending, answer: ProbeResult) -> OfStep:
    """What is made of an answer."""
    failure = failures.of_result(answer, planned)
    if failure is not None or not planned.outputs or answer.status_code is None:
        return OfStep("{}", failure)
    try:
        found = outputs.evaluate(planned.outputs, answer.status_code, answer.headers, body(answer))
        return OfStep(json.dumps(found), None)
    except InstanceError as error:
        return OfStep("{}", Failure("output_not_read", str(error), error.hint))
    except Exception as error:  # a partner's text: whatever it does to us, its MID Server's other results are taken
        where = "".join(traceback.format_tb(error.__traceback__))  # not its words: they may be the partner's
        log.error("an answer could not be read: %s\n%s", type(error).__name__, where)  # noqa: TRY400
        return OfStep("{}", Failure("output_not_read", f"the answer cannot be read: {type(error).__name__}", LOOK))


def of_action(connection: Connection, execution: str) -> dict[str, Any]:
    """The action's outputs when it has ended."""
    row = connection.first(SQL["inputs"], execution=execution)
    declared = inputs.declared_outputs(json.loads(row["output_plan"])) if row else []
    known = read(connection, execution) if declared else {}
    return {each.name: pills.whole(each.value, known) for each in declared}
