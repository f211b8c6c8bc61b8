"""From evidence to the one cause: what happened first and explains the rest."""

from __future__ import annotations

import errno
from dataclasses import asdict, dataclass

from openmid.diagnosis.causes import CAUSES
from openmid.diagnosis.evidence import Evidence


@dataclass(frozen=True)
class Cause:
    """`code` is stable; `message` is one sentence: what is wrong, and where; `remedy` says what to do."""

    code: str
    message: str
    remedy: str


def diagnose(evidence: Evidence) -> Cause:
    """The cause that the evidence shows, in words that hold the user's own names, paths and addresses."""
    code = _code(evidence)
    template = CAUSES[code]
    words = _words(evidence, code)
    # A profile that did not load keeps the code of the reason: that is what a user looks up.
    shown = evidence.profile_code if code == "profile_not_loaded" and evidence.profile_code else code
    return Cause(shown, template.message.format_map(words), template.remedy.format_map(words))


_BY_PHASE = {"resolve": "name_not_resolved", "egress": "egress_denied", "request": "request_invalid"}

_ON_THE_WAY = {"resolve", "connect", "tunnel"}
_BY_TIMEOUT = {"resolve": "name_not_resolved", "connect": "connection_timeout", "tls": "tls_timeout"}

_UNREACHABLE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN, errno.EADDRNOTAVAIL}
_LOST = {errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED}

# OpenSSL's X509_V_ERR_… (openssl-verification-options(1), x509_vfy.h).
_BY_VERIFY_CODE = {
    2: "server_untrusted",  # unable to get issuer certificate
    9: "server_certificate_not_yet_valid",
    10: "server_certificate_expired",
    18: "server_self_signed",
    19: "server_untrusted",  # self-signed certificate in chain: its root
    20: "server_untrusted",  # unable to get local issuer certificate
    21: "server_untrusted",  # unable to verify the first certificate
    62: "server_hostname_mismatch",
    64: "server_hostname_mismatch",  # IP address mismatch
}

# Alerts that the partner sends about our certificate (RFC 8446, 6.2), by OpenSSL's names without their prefix.
_BY_ALERT = {
    "CERTIFICATE_REQUIRED": "client_certificate_required",
    "UNKNOWN_CA": "client_certificate_unknown_ca",
    "CERTIFICATE_EXPIRED": "client_certificate_expired",
    "BAD_CERTIFICATE": "client_certificate_refused",
    "UNSUPPORTED_CERTIFICATE": "client_certificate_refused",
    "CERTIFICATE_REVOKED": "client_certificate_refused",
    "CERTIFICATE_UNKNOWN": "client_certificate_refused",
    "ACCESS_DENIED": "client_certificate_refused",
    "DECRYPT_ERROR": "client_certificate_refused",
    "PROTOCOL_VERSION": "tls_version",
    "HANDSHAKE_FAILURE": "tls_no_common_suite",
    "INSUFFICIENT_SECURITY": "tls_no_common_suite",
}
_ABOUT_WHAT_WAS_SENT = {
    "client_certificate_unknown_ca",
    "client_certificate_expired",
    "client_certificate_refused",
}
_BY_REASON = {
    "WRONG_VERSION_NUMBER": "not_tls",
    "HTTP_REQUEST": "not_tls",
    "PACKET_LENGTH_TOO_LONG": "not_tls",
    "UNSUPPORTED_PROTOCOL": "tls_version",
    "NO_PROTOCOLS_AVAILABLE": "tls_version",
    "NO_CIPHERS_AVAILABLE": "tls_no_common_suite",
    "UNEXPECTED_EOF_WHILE_READING": "connection_lost",
}


def _code(evidence: Evidence) -> str:
    if evidence.code:
        return evidence.code
    if evidence.fips_required:
        return "fips_required"
    if evidence.phase == "registry":
        return "profile_not_loaded" if evidence.profile_message else "protocol_not_registered"
    if evidence.proxy and not evidence.tunnelled and evidence.phase in _ON_THE_WAY:
        return _proxy_code(evidence)
    if evidence.timed_out:
        return _BY_TIMEOUT.get(evidence.phase) or _late(evidence)
    if evidence.phase in _BY_PHASE:
        return _BY_PHASE[evidence.phase]
    if evidence.limit:
        return "response_too_large"
    if evidence.verify_code:
        return _BY_VERIFY_CODE.get(evidence.verify_code, "server_certificate_refused")
    return _tls_code(evidence) or _connection_code(evidence)


def _late(evidence: Evidence) -> str:
    if evidence.uploading:
        return "request_timeout"
    return "answer_unfinished" if evidence.bytes_received else "answer_timeout"


def _proxy_code(evidence: Evidence) -> str:
    if evidence.proxy_status in (401, 407):  # tinyproxy says 401 to a wrong password
        return "proxy_authentication_required"
    if evidence.proxy_status >= 500:
        return "proxy_target_unreachable"
    if evidence.proxy_status:
        return "proxy_refused"
    connected = evidence.phase == "tunnel" and not evidence.timed_out
    return "proxy_invalid" if connected else "proxy_unreachable"


def _tls_code(evidence: Evidence) -> str:
    """The cause that OpenSSL's reason names, or ""."""
    reason = evidence.ssl_reason
    _, alert, name = reason.rpartition("ALERT_")
    code = _BY_ALERT.get(name, "") if alert else _BY_REASON.get(reason, "tls_failed" if reason else "")
    if alert and not code:
        return "tls_failed"
    if not evidence.certificate_requested:
        # Firewalls and gateways send such alerts at once: it was not about a certificate, which nobody had sent.
        return "tls_failed" if evidence.phase == "tls" and code in _ABOUT_WHAT_WAS_SENT else code
    return _about_our_certificate(code, evidence)


def _about_our_certificate(code: str, evidence: Evidence) -> str:
    """The same code, judged by whether a client certificate was asked for and sent.

    TLS 1.2 has no alert for a missing certificate: servers send handshake_failure, bad_certificate, or just close.
    """
    vague = code in ("tls_no_common_suite", "connection_lost") or code.startswith("client_certificate_")
    if vague and not evidence.client_subject:
        return "client_certificate_required"
    if vague and evidence.client_expired:
        return "client_certificate_expired"
    return "client_certificate_perhaps_refused" if code in ("tls_no_common_suite", "connection_lost") else code


def _connection_code(evidence: Evidence) -> str:
    if evidence.errno == errno.ECONNREFUSED:
        return "connection_refused"
    if evidence.errno == errno.ETIMEDOUT:
        return "connection_timeout"
    if evidence.errno in _UNREACHABLE:
        return "network_unreachable"
    if evidence.errno in _LOST or evidence.phase == "tls":
        return _lost(evidence)
    if evidence.header_too_large:
        return "answer_header_too_large"
    return "answer_invalid" if evidence.bytes_received else "call_failed"


def _lost(evidence: Evidence) -> str:
    """The partner closed. Before any answer, and after it had asked for a certificate, that is often its refusal."""
    if evidence.certificate_requested and not evidence.bytes_received:
        return _about_our_certificate("connection_lost", evidence)
    return "connection_lost"


_REFUSALS = {
    "BAD_CERTIFICATE": "it calls the certificate or its signature bad",
    "UNSUPPORTED_CERTIFICATE": "it does not support this kind of certificate",
    "CERTIFICATE_REVOKED": "it says that the certificate is revoked",
    "CERTIFICATE_UNKNOWN": "it gives no closer reason",
    "ACCESS_DENIED": "it knows the certificate and denies access",
    "DECRYPT_ERROR": "the signature made with its key did not verify there",
}


class _Words(dict[str, object]):
    """Template fields; an unknown one is a mistake in the table, and shows as itself."""

    def __missing__(self, key: str) -> str:
        return "{" + key + "}"


def _words(evidence: Evidence, code: str) -> _Words:
    words = _Words(asdict(evidence))
    alert = evidence.ssl_reason.rpartition("ALERT_")[2]
    at = evidence.peer and evidence.peer != f"{evidence.host}:{evidence.port}"
    words.update(
        target=f"{evidence.host}:{evidence.port}",
        at=f" (through the proxy {evidence.proxy})" if evidence.proxy else f" (at {evidence.peer})" if at else "",
        proxy_trouble=_proxy_trouble(evidence),
        proxy_user=f"does not accept {evidence.proxy_user}" if evidence.proxy_user else "no name is set",
        seconds=f"{evidence.timeout_ms / 1000:g}",
        limit_mb=f"{evidence.limit / 1024 / 1024:g}",
        client=evidence.client_subject or "that was sent",
        demand_remedy=demand_remedy(evidence.client_subject),
        server=evidence.server_subject or "unnamed",
        names=", ".join(evidence.server_names) or "another name",
        registered_names=", ".join(evidence.registered) or "none",
        refusal=_REFUSALS.get(alert, "it gives no closer reason"),
        expired_at=_on(evidence.server_not_after),
        valid_from=f": it begins {evidence.server_not_before}" if evidence.server_not_before else "",
        client_expired_at=_on(evidence.client_not_after) if evidence.client_expired else "",
        allow_rule=_allow_rule(evidence),
        **_trust(evidence),
    )
    return words


def demand_remedy(client_subject: str) -> str:
    """What to do where a certificate is demanded: there may be one, of a kind that the partner does not ask for."""
    if not client_subject:
        return "use a connection with Mutual authentication and a MID Protocol Profile"
    return (
        f"the profile's certificate {client_subject} was at hand and does not fit what the partner asks for: "
        "ask it which kinds of key and signature it takes"
    )


def _on(when: str) -> str:
    return f" ({when})" if when else ""


def _allow_rule(evidence: Evidence) -> str:
    addresses, port = evidence.denied.split(", "), evidence.denied_port or evidence.port
    return " ".join(f'<allow host="{address}" port="{port}"/>' for address in addresses)


def _proxy_trouble(evidence: Evidence) -> str:
    if evidence.phase == "resolve":
        return "its host name is not known"
    if evidence.timed_out:
        return f"no answer within {evidence.timeout_ms / 1000:g} s"
    return "nothing listens there" if evidence.errno == errno.ECONNREFUSED else evidence.detail


def _trust(evidence: Evidence) -> dict[str, str]:
    if evidence.trust == "truststore":
        return {
            "trusted_by": evidence.truststore,
            "trust_remedy": f"put the CA certificate that issued it into {evidence.truststore}",
        }
    issuer = f" ({evidence.server_issuer})" if evidence.server_issuer else ""
    ours = "the connection's CA certificates" if evidence.trust == "connection" else "this system"
    remedy = f"if it is the right partner, put the PEM certificate of its issuer{issuer} "
    remedy += "into the connection's CA certificates"
    return {"trusted_by": ours, "trust_remedy": remedy}
