"""Every cause: a stable code, one sentence that says what is wrong and where, and what to do.

Templates take the fields of `Evidence` by name, and what `report` derives from them: `target` (host:port), `at` (the
address connected to, or nothing), `client`, `demand_remedy`, `names`, `seconds`, `trusted_by`, `trust_remedy`.
Codes are part of the API: they never change.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Template:
    """One cause's words."""

    message: str
    remedy: str


PASSING = frozenset(
    {
        "name_not_resolved",
        "connection_refused",
        "network_unreachable",
        "connection_timeout",
        "connection_lost",
        "tls_timeout",
        "request_timeout",
        "answer_timeout",
        "answer_unfinished",
        "proxy_unreachable",
        "proxy_target_unreachable",
        "oauth_token_failed",
    }
)
"""Causes that may pass by themselves."""

CAUSES: dict[str, Template] = {
    # The request itself
    "request_invalid": Template("the request cannot be sent: {detail}", "correct the step or the connection"),
    "fips_required": Template(
        "the connection requires FIPS Enforced Mode, and the MID Server {mid} does not run in it",
        "on its host: stop it, run agent/bin/scripts/set-fips-enforced-mode.sh on, start it; or choose another MID Server",
    ),
    # The protocol registry
    "protocol_not_registered": Template(
        "the protocol {protocol} is not registered on the MID Server {mid}: "
        "no MID Protocol Profile of that name applies to it (registered: {registered_names})",
        "in the MID Protocol Profile {protocol}, choose Applies to: All MID servers, or add {mid} to MID Servers",
    ),
    "profile_not_loaded": Template(
        "the MID Protocol Profile {protocol} did not load on the MID Server {mid}: {profile_message}",
        "{profile_remedy}",
    ),
    # Getting there
    "name_not_resolved": Template(
        "the host name {host} is not known to the MID Server {mid}",
        "check the connection's Host; on the MID Server's host, getent hosts {host} must answer",
    ),
    "egress_denied": Template(
        "the egress policy of the MID Server {mid} denies {denied} ({denied_by})",
        "if it is meant to be called, put {allow_rule} into <egress> of {config_path} and restart the MID Server",
    ),
    "connection_refused": Template(
        "{target} refused the connection{at}: nothing listens there",
        "check the connection's Port, and that the partner is up",
    ),
    "network_unreachable": Template(
        "there is no way from the MID Server {mid} to {target}{at}: {detail}",
        "check routing and firewalls between the two, or choose a MID Server nearer to the partner",
    ),
    "connection_timeout": Template(
        "{target} did not accept a connection within {seconds} s{at}",
        "a firewall that drops packets looks like this: check it, and the connection's Host and Port",
    ),
    "connection_lost": Template(
        "{target} closed the connection before its answer was complete{at}",
        "look into the partner's log of that moment; repeat the request if that does no harm",
    ),
    # The proxy before it
    "proxy_unreachable": Template(
        "the proxy {proxy} cannot be reached: {proxy_trouble}",
        "check mid.proxy.host and mid.proxy.port in {config_path}, and that the proxy is up; "
        "what needs no proxy belongs in mid.proxy.bypass_list",
    ),
    "proxy_authentication_required": Template(
        "the proxy {proxy} wants to know who calls (status {proxy_status}), and {proxy_user}",
        "set mid.proxy.username and mid.proxy.password in {config_path} and restart the MID Server",
    ),
    "proxy_refused": Template(
        "the proxy {proxy} refuses the way to {target}: status {proxy_status}",
        "have the proxy allow CONNECT to {target}, or put {host} into mid.proxy.bypass_list in {config_path}",
    ),
    "proxy_target_unreachable": Template(
        "the proxy {proxy} found no way to {target}: status {proxy_status}",
        "check the connection's Host and Port, and that the proxy can reach them",
    ),
    "proxy_invalid": Template(
        "{proxy} does not answer as an HTTP proxy does: {detail}",
        "check mid.proxy.host and mid.proxy.port in {config_path}: an HTTP proxy that knows CONNECT belongs there",
    ),
    # The TLS handshake, seen from our side
    "tls_timeout": Template(
        "{target} accepted the connection and did not finish the TLS handshake within {seconds} s{at}",
        "check that the port speaks TLS, and the partner's load",
    ),
    "not_tls": Template(
        "{target} does not speak TLS on this port{at}", "check the connection's Port: it may be the one for plain HTTP"
    ),
    "tls_version": Template(
        "{target} speaks no TLS version that this MID Server allows (1.2 and 1.3)",
        "have the partner switch TLS 1.2 or 1.3 on",
    ),
    "tls_no_common_suite": Template(
        "{target} and this MID Server have no cipher suite, curve or signature algorithm in common",
        "have the partner allow ECDHE over P-256 or P-384 with AES-GCM; "
        "in FIPS Enforced Mode only approved suites and curves are offered",
    ),
    "server_untrusted": Template(
        "the certificate of {target} ({server}) comes from a certification authority that is not trusted by {trusted_by}",
        "{trust_remedy}",
    ),
    "server_self_signed": Template(
        "the certificate of {target} ({server}) is self-signed and not trusted by {trusted_by}",
        "{trust_remedy}",
    ),
    "server_hostname_mismatch": Template(
        "the certificate of {target} is for {names}, not for {host}",
        "put a name of the certificate into the connection's Host, or have the partner's certificate name {host}",
    ),
    "server_certificate_expired": Template(
        "the certificate of {target} ({server}), or one of its chain, has expired{expired_at}",
        "have the partner renew it; if it is valid by the calendar, check this host's clock",
    ),
    "server_certificate_not_yet_valid": Template(
        "the certificate of {target} ({server}) is not valid yet{valid_from}",
        "check this host's clock; else the partner's certificate begins too late",
    ),
    "server_certificate_refused": Template(
        "the certificate of {target} ({server}) was refused: {detail}", "have the partner correct its certificate"
    ),
    # The TLS handshake, seen from the partner's side
    "client_certificate_required": Template(
        "{target} demands a client certificate, and none was sent",
        "{demand_remedy}",
    ),
    "client_certificate_unknown_ca": Template(
        "{target} refused the client certificate {client}: it does not trust the certification authority that issued it",
        "have the partner trust the issuer, and check that the keystore holds the certificate's whole chain",
    ),
    "client_certificate_expired": Template(
        "{target} refused the client certificate {client}: it has expired{client_expired_at}",
        "have it renewed and put the new one into the profile's keystore",
    ),
    "client_certificate_refused": Template(
        "{target} refused the client certificate {client}: {refusal}",
        "ask the partner why; usual reasons: it is not registered there, revoked, or not meant for client authentication",
    ),
    "client_certificate_perhaps_refused": Template(
        "{target} asked for a client certificate and closed the connection after {client} was sent",
        "the partner has probably refused the certificate without saying so: ask it what its log says of that moment",
    ),
    "tls_failed": Template(
        "the TLS handshake with {target} failed: {detail}", "look into the partner's log of that moment"
    ),
    # The answer
    "answer_timeout": Template(
        "{target} took the request and did not answer within {seconds} s",
        "raise the step's or connection's timeout, or ask the partner why it is slow; it may have carried the request out",
    ),
    "answer_unfinished": Template(
        "{target} began to answer and did not finish within {seconds} s",
        "raise the step's or connection's timeout, or ask the partner for less; it may have carried the request out",
    ),
    "request_timeout": Template(
        "{target} did not take the whole request within {seconds} s",
        "raise the step's or connection's timeout, or ask the partner why it reads so slowly",
    ),
    "answer_header_too_large": Template(
        "the header section of the answer of {target} is larger than this MID Server takes: {detail}",
        "have the partner send fewer or shorter headers; cookies are a usual reason",
    ),
    "redirect_refused": Template(
        "{target} sends the call on, and it is not followed: {detail}",
        "call the place itself, with a connection for it; or have the partner correct its redirect",
    ),
    "too_many_redirects": Template(
        "{target} sends the call on once more, after {detail}",
        "call the last place itself, or raise the step's number of redirects",
    ),
    "redirect_loop": Template(
        "the redirects go in circles: {target} sends the call back to {detail}", "have the partner mend its redirects"
    ),
    "credential_unknown": Template(
        "the credential of the connection is not on the MID Server {mid}",
        "check that the credential is active and applies to this MID Server",
    ),
    "credential_unusable": Template(
        "the credential of the connection cannot be used on the MID Server {mid}: {detail}",
        "enter its secret again, or look into the external credential store",
    ),
    "oauth_token_refused": Template(
        "the token endpoint {detail}",
        "check client ID, client secret and scope of the credential, and the token URL",
    ),
    "oauth_token_failed": Template("no token could be fetched: {detail}", "{profile_remedy}"),
    "attachment_unavailable": Template(
        "the attachment {detail}", "attach the file again; if it is there, look into the instance's log"
    ),
    "attachment_not_stored": Template(
        "{target} answered, and the instance did not take the answer as an attachment: {detail}",
        "look into the instance's log and its free disk space; the partner may have carried the request out",
    ),
    "response_too_large": Template(
        "the answer of {target} is larger than {limit_mb} MB",
        "ask the partner for less: a filter, or a page at a time",
    ),
    "answer_invalid": Template(
        "the answer of {target} is not HTTP as it should be: {detail}",
        "check that the connection's Port is one for HTTPS; if it is, the partner, or a proxy before it, has to be mended",
    ),
    "call_failed": Template("the call to {target} failed: {detail}", "look into agent/logs/agent0.log of {mid}"),
}
