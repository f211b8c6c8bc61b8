"""Steps that are ready to be run: their plans, made once for as long as the records that they are made of say the same.

A plan depends on nothing but the rows that the statements `steps` and `alias` give (`candidates.complete`), so those rows
are its key: whoever changes an action, a connection or a profile, in whatever process, gets a new plan with the next call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, Self

import msgspec

from openmid.fips import keys
from openmid.instance.actions.planner import Plan, plan, traceparent

MOST = 512
TRACE = traceparent(keys.identifier())
"""Stands where each execution has a trace of its own; nobody can guess it, so nobody's body contains it."""


class Step(NamedTuple):
    """A step of an execution that begins: `text` and `payload` are its plan and that plan's probe as JSON, which is what is
    stored and sent; `plan` is for its other members."""

    name: str
    plan: Plan
    text: str
    payload: str

    @classmethod
    def of(cls, name: str, planned: Plan) -> Self:
        """The step of a plan, in whose place of a trace is TRACE."""
        if planned.probe is not None:
            planned = msgspec.structs.replace(planned, probe=msgspec.structs.replace(planned.probe, traceparent=TRACE))
        payload = msgspec.json.encode(planned.probe).decode() if planned.probe else ""
        return cls(name, planned, msgspec.json.encode(planned).decode(), payload)

    def traced(self, trace_id: str) -> Self:
        """The same as a span of a trace."""
        trace = traceparent(trace_id)
        text, payload = self.text.replace(TRACE, trace), self.payload.replace(TRACE, trace)
        filled_later = self.plan.template is not None
        return self._replace(
            plan=msgspec.json.decode(text, type=Plan) if filled_later else self.plan, text=text, payload=payload
        )


def steps(rows: Sequence[Mapping[str, Any]]) -> tuple[Step, ...]:
    """The steps of an action, of its rows."""
    return _steps(msgspec.json.encode(rows))


@lru_cache(MOST)
def _steps(rows: bytes) -> tuple[Step, ...]:
    return tuple(Step.of(row["name"], plan(row)) for row in msgspec.json.decode(rows))
