"""Runs jobs: each to a result, whatever happens."""

from __future__ import annotations

import time

import structlog

from openmid.midserver.http import RestRunner
from openmid.wire.codec import WireError, encode
from openmid.wire.messages import Job, JobResult
from openmid.wire.probes import Failure, Probe, ProbeResult

log = structlog.get_logger()

UNKNOWN = Failure(
    "probe_unknown",
    "the MID Server does not know this kind of probe: it is older than its instance",
    "update openmid on the MID Server's host",
)


class Worker:
    """Knows the kinds of probes."""

    def __init__(self, rest: RestRunner) -> None:
        self._rest = rest
        self._log = log.bind()  # made once: not for each call

    async def run(self, job: Job) -> JobResult:
        """The job's result. A defect of ours becomes a failure, with its place in the log."""
        started = time.time_ns() // 1000
        try:
            probe = job.decoded()
        except WireError as error:
            log.warning(f"a job cannot be understood: {error}", job=job.sys_id)
            return JobResult(job.sys_id, job.lease, ProbeResult(started, failure=UNKNOWN))
        try:
            result = await self._rest.run(probe, job)
            encode(result)  # what cannot be written down must not get as far as the delivery
        except Exception:
            log.exception("a probe failed unexpectedly", job=job.sys_id)
            message = "the MID Server failed unexpectedly; its agent/logs/agent0.log says where"
            result = ProbeResult(
                started, failure=Failure("internal_error", message, f"look there for job {job.sys_id}")
            )
        self._tell(job.sys_id, probe, result)
        return JobResult(job.sys_id, job.lease, result)

    def _tell(self, job: str, probe: Probe, result: ProbeResult) -> None:
        # Without the query: people put keys there.
        url = probe.url.partition("?")[0]
        trace = probe.traceparent[3:35] if probe.traceparent[3:35].isalnum() else ""
        if result.failure is not None:
            said = f"{probe.method} {url} failed: {result.failure.message}"
            self._log.warning(said, code=result.failure.code, job=job, trace=trace)
            return
        self._log.info(
            f"{probe.method} {url} was answered {result.status_code}",
            tls=result.tls.version,
            client=result.tls.client_subject,
            us=result.timing.total,
            job=job,
            trace=trace,
        )
