"""Jobs on their way to a MID Server: their headers' sealed values are opened here, and lie opened nowhere."""

from __future__ import annotations

import msgspec

from openmid.instance.records import header_secrets
from openmid.instance.records.encryption import SecretError
from openmid.wire.messages import Job
from openmid.wire.probes import Failure

_MARK = header_secrets.IN_JSON.encode()


def opened(jobs: list[Job]) -> tuple[list[Job], dict[str, Failure]]:
    """The jobs as they are sent, and why others, by sys_id, cannot be."""
    if not any(_is_sealed(job) for job in jobs):
        return jobs, {}
    found, lost = [], {}
    for job in jobs:
        try:
            found.append(_opened(job) if _is_sealed(job) else job)
        except SecretError as error:
            lost[job.sys_id] = Failure("header_does_not_open", str(error), error.hint)
    return found, lost


def _is_sealed(job: Job) -> bool:
    """Whether its headers have such values; they come before the query, and a quotation mark in a text is escaped."""
    raw = bytes(job.probe)
    return raw.find(_MARK, 0, raw.find(b'"query":')) >= 0


def _opened(job: Job) -> Job:
    probe = job.decoded()
    probe = msgspec.structs.replace(probe, headers=header_secrets.opened(probe.headers))
    return msgspec.structs.replace(job, probe=msgspec.Raw(msgspec.json.encode(probe)))
