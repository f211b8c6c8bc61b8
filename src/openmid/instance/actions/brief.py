"""What executions brought, without how: `Prefer: return=minimal`.

sys_id, state, outputs
steps[]  {name, state, outputs, output, error}, each as in EXECUTION DETAILS (`actions.details`)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import msgspec

from openmid.instance.actions.details import Told, named, output
from openmid.instance.actions.progress import SQL
from openmid.instance.records.database import Row, reader
from openmid.instance.records.statements import listed
from openmid.wire.codec import encode
from openmid.wire.probes import ProbeResult


def brief(sys_ids: Iterable[str]) -> dict[str, Told]:
    """The executions that there are of these."""
    which = listed(sys_ids)
    steps: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    rows = reader().run(SQL["executions"], executions=which)
    for step in reader().run(SQL["step_answers"], executions=which):
        steps[step["execution"]].append(_step(step))
    return {row["sys_id"]: Told(row["state"], _execution(row, steps[row["sys_id"]])) for row in rows}


def _execution(row: Row, steps: list[dict[str, Any]]) -> bytes:
    return encode({"sys_id": row["sys_id"], "state": row["state"], "outputs": named(row["outputs"]), "steps": steps})


def _step(row: Row) -> dict[str, Any]:
    return {
        "name": row["name"],
        "state": row["state"],
        "outputs": named(row["outputs"]),
        "output": output(msgspec.json.decode(row["result"], type=ProbeResult) if row["result"] else None),
        "error": msgspec.Raw(row["error"].encode()) if row["error"] else None,
    }
