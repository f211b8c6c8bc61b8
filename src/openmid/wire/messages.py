"""The channel's messages, in the order in which a MID Server's life needs them.

Every request is an HTTPS POST of one JSON object to `version.CHANNEL` + its path; all but `enrol` carry
`Authorization: Bearer <mid_sys_id>.<credential>`. An error answer is `Refusal` with a status of 4xx or 5xx.
"""

from __future__ import annotations

import msgspec

from openmid.wire.probes import Microseconds, ProbeResult, RestProbe


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
    """Whether a MID Protocol Profile loaded here, with which certificate, until when (ISO 8601), or why not."""

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


class HeartbeatAnswer(msgspec.Struct, frozen=True):
    """`configuration` changes whenever `ConfigurationAnswer` would; `prove` whenever somebody asks for a new proof."""

    validated: bool
    configuration: str
    interval_ms: int = 5_000
    prove: int = 0


class Profile(msgspec.Struct, frozen=True):
    """A MID Protocol Profile that applies to this MID Server. `password` is sealed (empty: none)."""

    sys_id: str
    protocol: str
    keystore_path: str
    password: str
    default_port: int = 443


class ConfigurationAnswer(msgspec.Struct, frozen=True):
    """`/configuration`: everything that a validated MID Server needs besides its jobs."""

    configuration: str
    profiles: list[Profile] = []


class ClaimRequest(msgspec.Struct, frozen=True):
    """`/claim`: up to `limit` jobs; held for up to `wait_ms` while there is none."""

    limit: int = 1
    wait_ms: int = 0


class Job(msgspec.Struct, frozen=True):
    """An item of the ECC queue under a lease. `lease` goes back with the result."""

    sys_id: str
    lease: str
    lease_until: int
    probe: RestProbe


class ClaimAnswer(msgspec.Struct, frozen=True):
    """When `configuration` is not the one at hand, fetch it before running the jobs."""

    configuration: str
    jobs: list[Job] = []


class JobResult(msgspec.Struct, frozen=True):
    """The outcome of one job."""

    sys_id: str
    lease: str
    result: ProbeResult


class ResultsRequest(msgspec.Struct, frozen=True):
    """`/results`: outcomes; repeating one is harmless."""

    results: list[JobResult]


class ResultsAnswer(msgspec.Struct, frozen=True):
    """`late`: results whose lease another attempt had taken over; they are recorded and change nothing."""

    accepted: list[str]
    late: list[str] = []
