"""The channel's messages, in the order in which a MID Server's life needs them.

Every request is an HTTPS POST of one JSON object to `version.CHANNEL` + its path; all but `enrol` carry
`Authorization: Bearer <mid_sys_id>.<credential>`. An error answer is `Refusal` with a status of 4xx or 5xx.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from openmid.wire.codec import decode
from openmid.wire.probes import Microseconds, Probe, ProbeResult


class Refusal(msgspec.Struct, frozen=True):
    """Why the instance did not do it: a stable code, a sentence, and what to do."""

    code: str
    message: str
    hint: str = ""


class EnrolRequest(msgspec.Struct, frozen=True):
    """`/enrol`: first contact. The one-time token is traded for a credential bound to `public_key` (PEM, SPKI)."""

    token: str
    name: str
    public_key: str
    host_name: str
    version: str
    host_os_distribution: str = ""


class EnrolAnswer(msgspec.Struct, frozen=True):
    """`credential` is sealed to the public key: only the holder of the private key can use it."""

    mid_sys_id: str
    fingerprint: str
    credential: str


class RekeyRequest(msgspec.Struct, frozen=True):
    """`/rekey`: a new public key (PEM, SPKI), signed by the old one: RSASSA-PSS, SHA-256, salt of 32 bytes, base64,
    over `rekey_statement`. The answer is an `EnrolAnswer`; the administrator's validation carries over."""

    public_key: str
    signature: str


def rekey_statement(mid_sys_id: str, public_key: str) -> bytes:
    """The bytes that the old key signs."""
    return f"openmid rekey v1\n{mid_sys_id}\n{public_key.strip()}\n".encode()


class ProfileStatus(msgspec.Struct, frozen=True):
    """Whether a MID Protocol Profile loaded here, with which certificate, until when (ISO 8601), or why not.

    `loaded` with an `error`: the certificate loaded before stays in use, and `error` says why the new one is not.
    """

    sys_id: str
    protocol: str
    loaded: bool
    keystore_type: str = ""
    subject: str = ""
    serial: str = ""
    not_after: str = ""
    error_code: str = ""
    error: str = ""
    remedy: str = ""
    note: str = ""  # what is configured as well, and not used


class SignedProof(msgspec.Struct, frozen=True):
    """The last proof of FIPS Enforced Mode: `text` is a `fips.proof.Proof` as JSON, `signature` the MID Server's own
    key's over `proof_statement`: RSASSA-PSS, SHA-256, salt of 32 bytes, base64."""

    text: str
    signature: str


def proof_statement(mid_sys_id: str, text: str) -> bytes:
    """The bytes that are signed."""
    return f"openmid proof v1\n{mid_sys_id}\n{text}\n".encode()


class Heartbeat(msgspec.Struct, frozen=True):
    """`/heartbeat`: what a MID Server is. Sent also before it is validated.

    `fips_enforced` is what it believes; the instance believes it only with a proof that the MID Server's key signed.
    `status` is Degraded while a mode that should be enforced is lost: then it takes no work.
    """

    version: str
    host_name: str
    started: Microseconds
    host_os_distribution: str = ""
    status: str = "Up"
    fips_enforced: bool = False
    proof: SignedProof | None = None
    profiles: list[ProfileStatus] = []
    egress: list[str] = []  # the <allow> and <deny> rules in force, in order, as sentences
    capabilities: list[str] = []  # what config.xml says that it can do, besides what the instance was told
    load: Load | None = None
    log_tail: list[str] = []  # the last lines of agent0.log, redacted; at most MAX_LOG_LINES; empty: as before
    configuration: str = ""  # the one at hand, to which `profiles` belong
    now: Microseconds = -1  # the MID Server's clock, by which the instance notices that it is off


MAX_LOG_LINES = 100
MAX_HEARTBEAT_BYTES = 256 * 1024


class Load(msgspec.Struct, frozen=True):
    """How busy a MID Server is: calls that run, calls at once at most, results that wait for delivery, and counts since
    its start."""

    running: int = 0
    threads: int = 0
    undelivered: int = 0
    done: int = 0
    failed: int = 0
    memory_bytes: int = 0


class HeartbeatAnswer(msgspec.Struct, frozen=True):
    """`configuration` changes whenever `ConfigurationAnswer` would; `prove` whenever somebody asks for a new proof.

    `paused`: take no new work until it is lifted; what runs is finished. `restart` is the time (microseconds) at which
    somebody asked for a restart: a MID Server that was started before it drains and starts anew.
    `now` is the instance's clock, by which a MID Server notices that its own is off.
    """

    validated: bool
    configuration: str
    interval_ms: int = 5_000
    prove: int = 0
    paused: bool = False
    restart: int = 0
    now: Microseconds = -1


class Profile(msgspec.Struct, frozen=True):
    """A MID Protocol Profile that applies to this MID Server. `password` is sealed (empty: none).

    With `external_credential_store` the opened `password` is the secret's name in the MID Server's external store.
    Without path and password, config.xml on the MID Server has both (`mid.httpclient.protocol.<protocol>.…`).
    """

    sys_id: str
    protocol: str
    keystore_path: str
    password: str
    default_port: int = 443
    external_credential_store: bool = False
    alias: str = ""  # of the entry to use; empty: the private key whose certificate is valid longest


class Credential(msgspec.Struct, frozen=True):
    """What a call says of itself besides its client certificate. `secret` is sealed, bound to the column of its name.

    basic: `user_name`, and the password as secret. api_key: the key as secret, sent in the header or query parameter
    `name`. oauth: client credentials (RFC 6749, section 4.4) with `user_name` as client_id, fetched from `token_url`, which
    may have the scheme of a registered protocol.
    """

    sys_id: str
    kind: Literal["basic", "api_key", "oauth"]
    secret: str
    user_name: str = ""
    place: Literal["header", "query"] = "header"
    name: str = ""
    token_url: str = ""
    scope: str = ""
    ca_certificates: str = ""  # for `token_url`; PEM
    external_credential_store: bool = False


CREDENTIAL_SECRETS = {
    "basic": ("basic_auth_credentials", "password"),
    "api_key": ("api_key_credentials", "api_key"),
    "oauth": ("oauth_2_0_credentials", "client_secret"),
}
"""By kind of credential, the table and column that its sealed secret is bound to (`sealing.SealedFor`)."""


class ConfigurationAnswer(msgspec.Struct, frozen=True):
    """`/configuration`: everything that a validated MID Server needs besides its jobs."""

    configuration: str
    profiles: list[Profile] = []
    credentials: list[Credential] = []


class ClaimRequest(msgspec.Struct, frozen=True):
    """`/claim`: up to `limit` jobs; held for up to `wait_ms` while there is none.

    `room` says how many of them may be interactive, expedited and standard (priorities 0, 1, 2). A limit of 0 only waits
    for what else the answer may say.
    """

    limit: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 1
    wait_ms: int = 0
    room: tuple[int, int, int] = (1000, 1000, 1000)


class Job(msgspec.Struct, frozen=True):
    """An item of the ECC queue under a lease. `lease` goes back with the result; `lease_us` is how long it holds.

    `probe` is the queue's payload as it stands: one that this version does not understand spoils no other job.
    """

    sys_id: str
    lease: str
    lease_us: int
    probe: msgspec.Raw
    priority: int = 2
    attempts: int = 1
    repeatable: bool = False  # may be made again although it may have been sent

    def decoded(self) -> Probe:
        """The probe.

        Raises:
            WireError: not one that this version of openmid knows.
        """
        found: Probe = decode(bytes(self.probe), Probe)  # type: ignore[arg-type]  # a union is no class
        return found


class ClaimAnswer(msgspec.Struct, frozen=True):
    """When `configuration` is not the one at hand, fetch it before running the jobs. `cancel` names jobs of this MID
    Server that somebody has cancelled; their result says so, or what had happened before."""

    configuration: str
    jobs: list[Job] = []
    cancel: list[str] = []


class JobResult(msgspec.Struct, frozen=True):
    """The outcome of one job."""

    sys_id: str
    lease: str
    result: ProbeResult


class Released(msgspec.Struct, frozen=True):
    """A job that this MID Server will not finish, found in its journal after a restart or at the end of a drain.

    `sent`: the request may have reached the partner. The instance runs the job again where that does no harm.
    """

    sys_id: str
    lease: str
    sent: bool


class ResultsRequest(msgspec.Struct, frozen=True):
    """`/results`: outcomes; repeating one is harmless."""

    results: list[JobResult]
    released: list[Released] = []


class ResultsAnswer(msgspec.Struct, frozen=True):
    """`late`: results whose lease another attempt had taken over; they are recorded and change nothing."""

    accepted: list[str]
    late: list[str] = []
