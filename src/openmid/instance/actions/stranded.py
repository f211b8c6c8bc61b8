"""Why a call was never made, though a MID Server had been chosen for it. Pure: a job in, a reason out."""

from __future__ import annotations

from openmid.instance.ecc.queue import MAX_READY_US, Stranded
from openmid.instance.mid.models import DOWN_AFTER, Validated
from openmid.instance.records import clock
from openmid.wire.probes import Failure

AGAIN = "run the action again"
MINUTES = MAX_READY_US // 60_000_000


def why(job: Stranded, now: int) -> Failure:
    """The reason why `job` will not be run. Its codes are those of a MID Server that cannot be chosen, and one more."""
    mid = f"MID Server {job.mid_server}"
    sent = "an earlier attempt may have reached the partner" if job.attempts else "nothing was sent to the partner"
    late = f"did not take this call within {MINUTES} minutes: {sent}"
    if job.validated is None:
        return Failure("no_mid_server", f"{mid} was deleted before it took this call: {sent}", AGAIN)
    if job.validated != Validated.TRUE:
        return Failure(
            "mid_server_not_validated",
            f"{mid} lost its validation before it took this call: {sent}",
            f"validate the MID Server or let the connection use another one, and {AGAIN}",
        )
    if job.last_refreshed is None or now - job.last_refreshed > DOWN_AFTER:
        return Failure(
            "mid_server_down",
            f"{mid} has been Down since {clock.iso(job.last_refreshed) or 'it enrolled'}, and {late}",
            f"start it (agent/bin/mid.sh start), look into agent/logs/agent0.log, and {AGAIN}",
        )
    if job.reported_status not in ("", "Up"):
        return Failure("mid_server_down", f"{mid} is {job.reported_status}, and {late}", f"let it work, and {AGAIN}")
    return Failure(
        "mid_server_busy",
        f"{mid} has other calls to make, and {late}",
        f"raise threads.max in its agent/config.xml, or let more MID Servers share the work, and {AGAIN}",
    )
