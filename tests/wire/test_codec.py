"""Messages survive the way, and what is not one is refused with a sentence."""

from __future__ import annotations

import pytest
from msgspec import Raw

from openmid.wire.codec import WireError, decode, encode
from openmid.wire.messages import ClaimAnswer, Heartbeat, Job, JobResult, ResultsRequest, SignedProof
from openmid.wire.probes import Failure, ProbeResult, RestProbe, TlsFacts

PROBE = RestProbe(url="mauth://partner", headers=[("A", "1"), ("A", "2")], query=[("q", "ä"), ("q", "")])
MESSAGES = [
    Heartbeat(version="0.1.0", host_name="host", started=1, fips_enforced=True, proof=SignedProof("{}", "c2ln")),
    ClaimAnswer("7", [Job("a" * 32, "lease", 2, Raw(encode(PROBE)))]),
    ResultsRequest([JobResult("a" * 32, "lease", ProbeResult(3, 200, tls=TlsFacts(version="TLSv1.3")))]),
    ResultsRequest([JobResult("a" * 32, "lease", ProbeResult(3, failure=Failure("dns", "no such host")))]),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_survives_the_way(message: object) -> None:
    assert decode(encode(message), type(message)) == message


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b"\xff", b'{"results": [{"sys_id": 7}]}', b"[" * 100_000])
def test_what_is_not_a_message_is_refused_by_name(raw: bytes) -> None:
    with pytest.raises(WireError, match="not a valid ResultsRequest"):
        decode(raw, ResultsRequest)


def test_half_of_a_surrogate_pair_is_no_text() -> None:
    whole = encode({"version": "\N{GRINNING FACE}", "host_name": "h", "started": 1}).replace(
        "\N{GRINNING FACE}".encode(), rb"\ud83d\ude00"
    )
    assert decode(whole, Heartbeat).version == "\N{GRINNING FACE}"
    with pytest.raises(WireError, match="not a valid Heartbeat"):
        decode(whole.replace(rb"\ude00", b""), Heartbeat)


@pytest.mark.parametrize("started", [-(10**17), -2, 10**18, 10**30])
def test_a_time_is_one_that_clocks_and_databases_can_hold(started: int) -> None:
    with pytest.raises(WireError, match=r"\$\.started"):
        decode(encode({"version": "1", "host_name": "h", "started": started}), Heartbeat)
