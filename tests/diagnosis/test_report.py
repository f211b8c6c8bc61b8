"""Evidence in, one cause out."""

from __future__ import annotations

import errno
import string
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmid.diagnosis import Evidence, diagnose
from openmid.diagnosis.causes import CAUSES, PASSING
from openmid.diagnosis.handshake import ALERTS, leaf

TLS = Evidence("tls", "partner.example", 443)
ASKED = replace(TLS, certificate_requested=True, client_subject="CN=c")

PROXIED = Evidence("tunnel", "partner.example", 443, proxy="proxy.example:3128")

CASES = {
    "proxy_unreachable": replace(PROXIED, phase="connect", errno=errno.ECONNREFUSED),
    "proxy_authentication_required": replace(PROXIED, proxy_status=407),
    "proxy_refused": replace(PROXIED, proxy_status=403),
    "proxy_target_unreachable": replace(PROXIED, proxy_status=502),
    "proxy_invalid": replace(PROXIED, errno=errno.ECONNRESET, detail="it closed"),
    "answer_unfinished": Evidence("answer", timed_out=True, bytes_received=True),
    "request_timeout": Evidence("answer", timed_out=True, uploading=True),
    "answer_header_too_large": Evidence("answer", bytes_received=True, header_too_large=True),
    "request_invalid": Evidence("request", detail="no"),
    "fips_required": Evidence("request", fips_required=True),
    "protocol_not_registered": Evidence("registry", protocol="mauth"),
    "keystore_missing": Evidence("registry", profile_code="keystore_missing", profile_message="m", profile_remedy="r"),
    "name_not_resolved": Evidence("resolve"),
    "egress_denied": Evidence("egress", denied="127.0.0.1"),
    "connection_refused": Evidence("connect", errno=errno.ECONNREFUSED),
    "network_unreachable": Evidence("connect", errno=errno.EHOSTUNREACH),
    "connection_timeout": Evidence("connect", timed_out=True),
    "connection_lost": Evidence("answer", errno=errno.ECONNRESET),
    "tls_timeout": replace(TLS, timed_out=True),
    "not_tls": replace(TLS, ssl_reason="WRONG_VERSION_NUMBER"),
    "tls_version": replace(TLS, ssl_reason="TLSV1_ALERT_PROTOCOL_VERSION"),
    "tls_no_common_suite": replace(TLS, ssl_reason="SSLV3_ALERT_HANDSHAKE_FAILURE"),
    "server_untrusted": replace(TLS, verify_code=20),
    "server_self_signed": replace(TLS, verify_code=18),
    "server_hostname_mismatch": replace(TLS, verify_code=62),
    "server_certificate_expired": replace(TLS, verify_code=10),
    "server_certificate_not_yet_valid": replace(TLS, verify_code=9),
    "server_certificate_refused": replace(TLS, verify_code=7),
    "client_certificate_required": replace(ASKED, client_subject="", ssl_reason="SSLV3_ALERT_HANDSHAKE_FAILURE"),
    "client_certificate_unknown_ca": replace(ASKED, ssl_reason="TLSV1_ALERT_UNKNOWN_CA"),
    "client_certificate_expired": replace(ASKED, ssl_reason="SSLV3_ALERT_CERTIFICATE_EXPIRED"),
    "client_certificate_refused": replace(ASKED, ssl_reason="SSLV3_ALERT_CERTIFICATE_REVOKED"),
    "client_certificate_perhaps_refused": replace(ASKED, errno=errno.ECONNRESET),
    "tls_failed": replace(TLS, ssl_reason="TLSV1_ALERT_INTERNAL_ERROR"),
    "answer_timeout": Evidence("answer", timed_out=True),
    "response_too_large": Evidence("answer", limit=5 << 20),
    "answer_invalid": Evidence("answer", bytes_received=True),
    "call_failed": Evidence("answer", detail="?"),
}


@pytest.mark.parametrize("code", CASES)
def test_the_evidence_of_each_cause(code: str) -> None:
    cause = diagnose(CASES[code])
    assert cause.code == code
    assert cause.message
    assert cause.remedy


NAMED = {
    "redirect_refused",
    "too_many_redirects",
    "redirect_loop",
    "credential_unknown",
    "credential_unusable",
    "oauth_token_refused",
    "oauth_token_failed",
    "attachment_unavailable",
    "attachment_not_stored",
}


@pytest.mark.parametrize("code", sorted(NAMED))
def test_a_cause_that_the_one_who_failed_knows(code: str) -> None:
    cause = diagnose(Evidence("answer", "partner.example", 443, code=code, detail="why", profile_remedy="r"))
    assert cause.code == code
    assert "{" not in cause.message + cause.remedy


def test_every_cause_has_its_evidence() -> None:
    assert set(CAUSES) - set(CASES) == {"profile_not_loaded", *NAMED}  # it shows the profile's own code


def test_causes_that_pass_are_causes() -> None:
    assert set(CAUSES) > PASSING


def test_a_proxys_failure_is_not_the_partners() -> None:
    assert diagnose(replace(PROXIED, phase="resolve")).code == "proxy_unreachable"
    assert diagnose(replace(PROXIED, phase="connect", timed_out=True, timeout_ms=100)).message.endswith("within 0.1 s")
    through = replace(PROXIED, phase="tls", tunnelled=True, timed_out=True)
    assert diagnose(through).code == "tls_timeout"
    assert "(through the proxy proxy.example:3128)" in diagnose(through).message


def test_a_denied_proxy_is_opened_by_its_own_port() -> None:
    denied = replace(PROXIED, phase="egress", denied="127.0.0.1", denied_port=3128)
    assert '<allow host="127.0.0.1" port="3128"/>' in diagnose(denied).remedy


def test_sentences_are_sentences() -> None:
    for template in CAUSES.values():
        assert not template.message.endswith(".")
        assert "\n" not in template.message + template.remedy


def test_every_field_of_a_template_is_filled() -> None:
    for evidence in CASES.values():
        cause = diagnose(replace(evidence, host="x", mid="m"))
        assert "{" not in cause.message + cause.remedy


def test_what_a_partner_says_is_never_a_template() -> None:
    cause = diagnose(replace(TLS, verify_code=7, detail="{mid} {0} %s", server_subject="{host}"))
    assert "{mid} {0} %s" in cause.message
    assert "({host})" in cause.message


@pytest.mark.parametrize("alert", ["HANDSHAKE_FAILURE", "BAD_CERTIFICATE", "CERTIFICATE_UNKNOWN"])
def test_without_a_certificate_at_hand_every_vague_alert_is_a_demand_for_one(alert: str) -> None:
    evidence = replace(ASKED, client_subject="", ssl_reason=f"SSLV3_ALERT_{alert}")
    assert diagnose(evidence).code == "client_certificate_required"


@pytest.mark.parametrize("alert", ["ACCESS_DENIED", "UNKNOWN_CA", "BAD_CERTIFICATE", "CERTIFICATE_EXPIRED"])
def test_an_alert_before_a_certificate_was_asked_for_is_not_about_one(alert: str) -> None:
    for client in ("", "CN=c"):
        evidence = replace(TLS, client_subject=client, ssl_reason=f"TLSV1_ALERT_{alert}", detail=f"alert {alert}")
        assert diagnose(evidence).code == "tls_failed"
        assert alert in diagnose(evidence).message
    later = replace(TLS, phase="answer", client_subject="CN=c", ssl_reason=f"TLSV1_ALERT_{alert}")
    assert diagnose(later).code.startswith("client_certificate_")  # of a resumed session


def test_a_demand_where_a_certificate_was_at_hand() -> None:
    demanded = replace(ASKED, ssl_reason="TLSV13_ALERT_CERTIFICATE_REQUIRED")
    assert "CN=c was at hand and does not fit" in diagnose(demanded).remedy
    assert "Mutual authentication" in diagnose(replace(demanded, client_subject="")).remedy


def test_an_expired_client_certificate_explains_whatever_came_of_it() -> None:
    expired = replace(ASKED, client_expired=True)
    for found in (replace(expired, errno=errno.ECONNRESET), replace(expired, ssl_reason="SSLV3_ALERT_BAD_CERTIFICATE")):
        assert diagnose(found).code == "client_certificate_expired"


def test_trust_names_where_it_should_come_from() -> None:
    truststore = replace(TLS, verify_code=20, trust="truststore", truststore="/agent/truststore.pem")
    assert "/agent/truststore.pem" in diagnose(truststore).remedy
    assert "this system" in diagnose(replace(TLS, verify_code=20, trust="system")).message
    assert "(CN=CA)" in diagnose(replace(TLS, verify_code=20, server_issuer="CN=CA")).remedy


@given(
    phase=st.sampled_from(["request", "registry", "resolve", "egress", "connect", "tls", "answer"]),
    number=st.integers(0, 200),
    reason=st.sampled_from(["", "X", "TLSV1_ALERT_X", *(f"ALERT_{name}" for name in ALERTS.values())]),
    verify=st.integers(0, 100),
    flags=st.tuples(*[st.booleans()] * 4),
    text=st.text(string.printable, max_size=20),
)
def test_any_evidence_has_a_cause(
    phase: str, number: int, reason: str, verify: int, flags: tuple[bool, ...], text: str
) -> None:
    timed_out, requested, received, expired = flags
    evidence = Evidence(
        phase,
        text,
        number,
        timed_out=timed_out,
        errno=number,
        ssl_reason=reason,
        verify_code=verify,
        certificate_requested=requested,
        bytes_received=received,
        client_expired=expired,
        detail=text,
        client_subject=text,
    )
    cause = diagnose(evidence)
    assert cause.code in CAUSES


@pytest.mark.parametrize(
    ("message", "tls13", "found"),
    [
        (bytes.fromhex("0b000009 000006 000003 616263".replace(" ", "")), False, b"abc"),
        (bytes.fromhex("0b00000c 00 000008 000003 616263 0000".replace(" ", "")), True, b"abc"),
        (bytes.fromhex("0b000003 000000".replace(" ", "")), False, b""),
        (bytes.fromhex("0b000009 000006 0000ff 616263".replace(" ", "")), False, b""),
        (b"", True, b""),
        (b"\x0b", False, b""),
    ],
    ids=["TLS 1.2", "TLS 1.3", "empty list", "cut short", "nothing", "header only"],
)
def test_the_leaf_of_a_certificate_message(message: bytes, tls13: bool, found: bytes) -> None:
    """Composed by hand from RFC 5246, 7.4.2 and RFC 8446, 4.4.2."""
    assert leaf(message, tls13=tls13) == found
