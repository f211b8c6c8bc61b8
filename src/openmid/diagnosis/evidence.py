"""What is known about a call that failed. Gathered where it failed, judged in `report`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Evidence:
    """Facts only. Empty, 0, -1 or None: not known, or did not come to that."""

    phase: str
    """How far the call came: request, registry, resolve, egress, connect, tls, answer."""
    host: str = ""
    port: int = 0
    peer: str = ""
    """The address and port of the connection, or of the last attempt."""
    timed_out: bool = False
    timeout_ms: int = 0
    errno: int = 0
    """The operating system's."""
    ssl_reason: str = ""
    """OpenSSL's reason, as Python spells it: TLSV13_ALERT_CERTIFICATE_REQUIRED."""
    verify_code: int = 0
    """X509_V_ERR_… of the server's certificate; 0: it was not refused by us."""
    detail: str = ""
    """The exception's own words, for what nothing else explains."""
    bytes_received: bool = False
    """Whether anything of an answer had come."""
    certificate_requested: bool = False
    """Whether the partner asked for a client certificate in the handshake."""
    client_subject: str = ""
    """The client certificate at hand, an RFC 4514 string; empty: none."""
    client_not_after: str = ""
    client_expired: bool = False
    server_subject: str = ""
    server_names: tuple[str, ...] = ()
    """The names and addresses that the server's certificate is for."""
    server_issuer: str = ""
    server_not_before: str = ""
    server_not_after: str = ""
    trust: str = "connection"
    """Where trust in the server comes from: connection (its own CA certificates), system, truststore."""
    truststore: str = ""
    """The truststore's path, when trust comes from one."""
    denied: str = ""
    """The addresses that the egress policy denied, comma-separated."""
    denied_by: str = ""
    """The rule that did."""
    config_path: str = ""
    """The MID Server's config.xml."""
    mid: str = ""
    """The MID Server's name."""
    protocol: str = ""
    """The URL's scheme."""
    registered: tuple[str, ...] = ()
    """The protocols that are registered here."""
    profile_code: str = ""
    """Why the profile did not load: a code of the keystore room or of the protocol registry."""
    profile_message: str = ""
    profile_remedy: str = ""
    limit: int = 0
    """The largest answer in bytes that was allowed."""
    fips_required: bool = False
    code: str = ""
    """The cause, where the one who failed knows it."""
    denied_port: int = 0
    proxy: str = ""
    """host:port of the proxy before the partner; empty: none."""
    proxy_user: str = ""
    """Who the MID Server says that it is, to the proxy."""
    tunnelled: bool = False
    """Whether the proxy has let the connection through."""
    proxy_status: int = 0
    """What the proxy answered instead."""
    uploading: bool = False
    """Whether the request's body was still under way."""
    header_too_large: bool = False
