"""Why a step failed, as a cause and a remedy. Pure: a result in, a reason out."""

from __future__ import annotations

import http

from openmid.diagnosis import diagnose_answer
from openmid.instance.actions.planner import Ending, Plan
from openmid.wire.probes import Failure, ProbeResult, SoapFault

CANCELLED = "cancelled"
OUTCOME_UNKNOWN = Failure(
    "outcome_unknown",
    "the MID Server took this call and did not answer in time: whether the partner got the request is not known",
    "look at the partner, then run the action again",
)
NEVER_SENT = Failure(CANCELLED, "the call was cancelled before a MID Server made it: nothing was sent to the partner")
LOST = {
    "outcome_unknown": OUTCOME_UNKNOWN,
    CANCELLED: Failure(
        CANCELLED,
        "the call was cancelled, and its MID Server did not answer: whether the partner got the request is not known",
        "look at the partner before you make the call again",
    ),
}


def cancelled(*, sent: bool) -> Failure:
    """Why a step ended that was cancelled while no MID Server had its call; `sent`: an earlier attempt may have been."""
    return LOST[CANCELLED] if sent else NEVER_SENT


def of_result(result: ProbeResult, planned: Plan | Ending) -> Failure | None:
    """Why the step failed: the call's failure, or a status of 400 and more."""
    if result.failure is not None or result.status_code is None:
        return result.failure or Failure("no_answer", "the MID Server reported neither an answer nor a failure")
    if result.status_code < 400 and result.fault is None:
        return None
    host = planned.target_host
    if result.fault is not None:
        return _of_fault(host, result.fault)
    tls = result.tls
    cause = diagnose_answer(result.status_code, result.body, host, tls.client_subject, tls.client_expired_at)
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


def _of_fault(host: str, fault: SoapFault) -> Failure:
    code = f"{fault.code}/{fault.subcode}" if fault.subcode else fault.code
    return Failure(
        "soap_fault",
        f"{host} answered a SOAP fault, {code}: {fault.reason}"[:1000],
        "the connection works; the fault in the step's output says what the partner did not like",
    )
