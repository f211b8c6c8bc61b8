"""Pages by which servers refuse a client certificate, in those servers' own words."""

from __future__ import annotations

import pytest

from openmid.diagnosis import diagnose_answer

# nginx 1.22.1 (ssl_verify_client on), and the titles of Microsoft's list of IIS substatus codes.
PAGES = [
    (400, "<title>400 No required SSL certificate was sent</title>", "client_certificate_required"),
    (400, "<title>400 The SSL certificate error</title>", "client_certificate_refused"),
    (400, "<title>400 The plain HTTP request was sent to HTTPS port</title>", "not_tls"),
    (403, "HTTP Error 403.7 - Forbidden", "client_certificate_required"),
    (403, "HTTP Error 403.16 - Forbidden", "client_certificate_unknown_ca"),
]


@pytest.mark.parametrize(("status", "page", "code"), PAGES, ids=[page for _, page, _ in PAGES])
def test_a_page_that_names_the_cause(status: int, page: str, code: str) -> None:
    cause = diagnose_answer(status, page, "partner:443", "CN=us")
    assert cause is not None
    assert cause.code == code
    assert "partner:443" in cause.message
    assert "{" not in cause.message + cause.remedy


def test_an_expired_certificate_explains_the_page_that_every_refusal_has() -> None:
    page, expired = "<title>400 The SSL certificate error</title>", "2026-11-18T21:49:36+00:00"
    cause = diagnose_answer(400, page, "partner:443", "CN=us", expired)
    assert cause is not None
    assert cause.code == "client_certificate_expired"
    assert cause.message.endswith(f"CN=us: it has expired ({expired})")


def test_a_certificate_at_hand_that_was_not_sent() -> None:
    """nginx with Client_sigalgs ECDSA, and a key of RSA: OpenSSL sends none."""
    page = "<title>400 No required SSL certificate was sent</title>"
    for client, remedy in (("CN=us", "CN=us was at hand and does not fit"), ("", "use a connection with Mutual")):
        cause = diagnose_answer(400, page, "partner:443", client)
        assert cause is not None
        assert remedy in cause.remedy


@pytest.mark.parametrize(
    ("status", "page"), [(400, "bad request"), (200, "403.7 - "), (500, ""), (403, "x" * 5000 + "403.7 - ")]
)
def test_a_page_that_names_none(status: int, page: str) -> None:
    assert diagnose_answer(status, page, "partner:443") is None
