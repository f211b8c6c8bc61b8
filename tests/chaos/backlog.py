"""`python -m tests.chaos.backlog DIR COUNT`: that many accepted executions at once, while the instance is stopped.

By the function that the API calls, in the queue's writer, a thousand a commit. Prints a name and an execution a line.
The MID Server's heartbeats do not come through meanwhile: without them it would be Down after fifteen seconds, and no call
queued for it.
"""

from __future__ import annotations

import sys
from pathlib import Path

METHODS = ("POST", "GET")
HEARTBEAT = "UPDATE ecc_agent SET last_refreshed = :now"


def main(folder: Path, count: int) -> None:
    from openmid.instance import setup

    setup.use(folder)
    from openmid.instance.actions import runner
    from openmid.instance.actions.ad_hoc import AdHocRequest
    from openmid.instance.ecc.writer import close_writer, writer
    from openmid.instance.records import clock
    from openmid.instance.records.database import Connection

    def unit(connection: Connection, first: int) -> list[str]:
        found = []
        connection.change(HEARTBEAT, now=clock.now())
        for number in range(first, min(first + 1000, count)):
            method, name = METHODS[number % 2], f"q{number:06d}"
            request = AdHocRequest(method, f"/count/{name}", timeout_ms=3000)
            execution = runner.begin_request(connection, "partner", request, "admin", name)
            found.append(f"{method} {name} /api/v1/executions/{execution}")
        return found

    for first in range(0, count, 1000):
        print("\n".join(writer().run(lambda connection, first=first: unit(connection, first))))  # type: ignore[misc]
    close_writer()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
