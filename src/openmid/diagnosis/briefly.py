"""Causes in a few words, for somebody who chooses among them: those after which the same call may do better."""

from __future__ import annotations

from openmid.diagnosis.causes import CAUSES, PASSING

BRIEFLY = {
    "name_not_resolved": "The host name is not known",
    "connection_refused": "The connection is refused",
    "network_unreachable": "There is no way to the partner",
    "connection_timeout": "The connection is not accepted in time",
    "connection_lost": "The connection closes before the answer is complete",
    "tls_timeout": "The TLS handshake is not finished in time",
    "request_timeout": "The request is not taken in time",
    "answer_timeout": "No answer in time",
    "answer_unfinished": "The answer is not complete in time",
    "proxy_unreachable": "The proxy cannot be reached",
    "proxy_target_unreachable": "The proxy finds no way to the partner",
    "oauth_token_failed": "No OAuth token can be fetched",
    "protocol_not_registered": "The MID Protocol Profile does not apply to the MID Server",
    "egress_denied": "The egress policy denies the partner's address",
    "proxy_authentication_required": "The proxy wants to know who calls",
    "proxy_refused": "The proxy refuses the way to the partner",
    "proxy_invalid": "The proxy does not answer as one",
    "not_tls": "The port does not speak TLS",
    "tls_version": "No TLS version in common",
    "tls_no_common_suite": "No cipher suite in common",
    "tls_failed": "The TLS handshake fails otherwise",
    "server_untrusted": "The partner's certificate is not trusted",
    "server_self_signed": "The partner's certificate is self-signed",
    "server_hostname_mismatch": "The partner's certificate is for another name",
    "server_certificate_expired": "The partner's certificate has expired",
    "server_certificate_not_yet_valid": "The partner's certificate is not valid yet",
    "server_certificate_refused": "The partner's certificate is refused otherwise",
    "client_certificate_required": "A client certificate is demanded, and none was sent",
    "client_certificate_unknown_ca": "The partner does not trust the client certificate's issuer",
    "client_certificate_expired": "The partner says the client certificate has expired",
    "client_certificate_refused": "The partner refuses the client certificate",
    "client_certificate_perhaps_refused": "The partner closes the connection after the client certificate",
    "answer_header_too_large": "The answer's header section is too large",
    "answer_invalid": "The answer is not HTTP",
    "response_too_large": "The answer is too large",
    "redirect_refused": "A redirect is not followed",
    "too_many_redirects": "Too many redirects",
    "redirect_loop": "Redirects in a circle",
    "credential_unknown": "The credential is not on the MID Server",
    "credential_unusable": "The credential cannot be used",
    "oauth_token_refused": "The OAuth token is refused",
    "attachment_unavailable": "The attachment to send is not there",
    "attachment_not_stored": "The instance does not take the answer as an attachment",
    "call_failed": "Anything else",
}
"""By code. What no repetition of the same request mends is not here, nor what has codes of its own (a profile's)."""

LEFT_OUT = CAUSES.keys() - BRIEFLY.keys()

PASSING_BRIEFLY = {code: words for code, words in BRIEFLY.items() if code in PASSING}
OTHERS_BRIEFLY = {code: words for code, words in BRIEFLY.items() if code not in PASSING}
