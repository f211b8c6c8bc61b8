"""Refusals of a client certificate that come as an answer: the handshake ended well, and HTTP says no.

nginx finishes the handshake and answers 400 (its own 495, 496 and 497); IIS answers 403 with a substatus in its page.
"""

from __future__ import annotations

from openmid.diagnosis.causes import CAUSES
from openmid.diagnosis.report import Cause, demand_remedy

# What stands in the page, and the cause that it names.
_PAGES = (
    ("No required SSL certificate was sent", "client_certificate_required"),
    ("The SSL certificate error", "client_certificate_refused"),
    ("The plain HTTP request was sent to HTTPS port", "not_tls"),
    ("403.7 - ", "client_certificate_required"),
    ("403.13 - ", "client_certificate_refused"),
    ("403.16 - ", "client_certificate_unknown_ca"),
    ("403.17 - ", "client_certificate_expired"),
)
_OF_ANY_REASON = ("client_certificate_refused", "client_certificate_unknown_ca")
_STATUSES = (400, 403)
_LOOKED_AT = 4096


def diagnose_answer(
    status_code: int, body: str, target: str, client_subject: str = "", client_expired_at: str = ""
) -> Cause | None:
    """The cause that a partner's error page names; None where it names none.

    `target` is host:port; `client_subject` the client certificate at hand, an RFC 4514 string, or empty;
    `client_expired_at` when it expired, or empty: nginx has one page for every refusal.
    """
    if status_code not in _STATUSES:
        return None
    for words, code in _PAGES:
        if words in body[:_LOOKED_AT]:
            code = "client_certificate_expired" if client_expired_at and code in _OF_ANY_REASON else code
            fields = {"refusal": f"its answer says so with status {status_code}", "at": "", "target": target}
            return _cause(code, fields, client_subject, client_expired_at)
    return None


def _cause(code: str, fields: dict[str, str], client_subject: str, client_expired_at: str) -> Cause:
    template = CAUSES[code]
    fields["client"] = client_subject or "that was sent"
    fields["client_expired_at"] = f" ({client_expired_at})" if client_expired_at else ""
    fields["demand_remedy"] = demand_remedy(client_subject)
    return Cause(code, template.message.format(**fields), template.remedy.format(**fields))
