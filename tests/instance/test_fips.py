"""FIPS Enforced Mode as the instance sees it: signed proofs, issues, a proof on demand, connections that demand it."""

from __future__ import annotations

from dataclasses import replace

from openmid.instance.mid.models import FipsProof, MidIssue, MidServer
from openmid.wire.messages import HeartbeatAnswer, SignedProof
from tests.instance.partners import Api, Mid
from tests.instance.test_walk import PROOF, records

LOST = replace(PROOF, enforced=False, reason="FIPS Enforced Mode is not in force: in the libcrypto of ssl, it is gone")


def enforced() -> bool:
    return MidServer.objects.get().fips_enforced


def test_a_proof_is_kept_word_for_word_with_its_signature(api: Api, mid: Mid) -> None:
    signed = mid.sign(PROOF)
    mid.heartbeat(fips_enforced=True, proof=signed)
    mid.heartbeat(fips_enforced=True, proof=mid.sign(PROOF))  # signed again: still one record
    kept = FipsProof.objects.get()
    assert (kept.proof, kept.signature, kept.fingerprint) == (signed.text, signed.signature, mid.fingerprint)
    assert enforced()


def test_only_the_mid_servers_own_key_is_believed(api: Api, mid: Mid) -> None:
    other = Mid(api.url, "other")
    other.sys_id = mid.sys_id
    for forged in (
        other.sign(PROOF),
        SignedProof(mid.sign(PROOF).text, "AAAA"),
        SignedProof(mid.sign(PROOF).text, "no base64"),
        SignedProof(mid.sign(LOST).text.replace('"enforced":false', '"enforced":true'), mid.sign(LOST).signature),
    ):
        assert mid.heartbeat(fips_enforced=True, proof=forged).status == 200
        assert not enforced()
        assert not FipsProof.objects.exists()
    assert MidIssue.objects.get().short_description == "mid1: its proof is not signed by its key"


def test_a_proof_of_another_mid_server_is_not_believed(api: Api, mid: Mid) -> None:
    sys_id, mid.sys_id = mid.sys_id, "0" * 32
    moved = mid.sign(PROOF)
    mid.sys_id = sys_id
    mid.heartbeat(fips_enforced=True, proof=moved)
    assert not enforced()


def test_a_proof_that_cannot_be_read_is_not_believed(api: Api, mid: Mid) -> None:
    assert mid.heartbeat(fips_enforced=True, proof=mid.sign({"enforced": "perhaps"})).status == 200
    assert not enforced()
    assert "cannot be read" in MidIssue.objects.get().short_description


def test_an_issue_says_that_it_was_lost_and_ends_when_it_is_back(api: Api, mid: Mid) -> None:
    mid.heartbeat(fips_enforced=True, proof=PROOF)
    assert not MidIssue.objects.exists()
    for _ in range(2):
        mid.heartbeat(proof=LOST, status="Degraded")
    (issue,) = api.get("/api/now/table/ecc_agent_issue").result
    assert issue["short_description"] == f"mid1: {LOST.reason}"
    assert (issue["state"], issue["source"], issue["count"]) == ("new", "FIPS Enforced Mode", "2")
    assert issue["mid_server"]["value"] == mid.sys_id
    mid.heartbeat(fips_enforced=True, proof=PROOF)
    assert MidIssue.objects.get().state == "resolved"
    mid.heartbeat(proof=LOST, status="Degraded")
    assert sorted(each.state for each in MidIssue.objects.all()) == ["new", "resolved"]


def test_switching_it_off_is_said_once(api: Api, mid: Mid) -> None:
    mid.heartbeat(fips_enforced=True, proof=PROOF)
    for _ in range(3):
        mid.heartbeat()
    issue = MidIssue.objects.get()
    assert (issue.short_description, issue.count) == ("mid1: FIPS Enforced Mode was switched off", 1)


def test_a_mid_server_that_was_never_enforced_has_no_issue(api: Api, mid: Mid) -> None:
    mid.heartbeat()
    assert not MidIssue.objects.exists()


def failure(api: Api) -> str:
    details = api.details(api.execute("call").json["sys_id"])
    if details["state"] != "Error":
        return ""
    code: str = details["steps"][0]["error"]["code"]
    return code


def test_a_connection_that_demands_it_is_honoured(api: Api, mid: Mid) -> None:
    records(api, require_fips="true")
    assert failure(api) == "mid_server_not_fips_enforced"
    mid.heartbeat(fips_enforced=True, proof=PROOF)
    assert failure(api) == ""
    assert mid.job().decoded().require_fips
    mid.heartbeat(proof=LOST, status="Degraded")
    assert failure(api) == "mid_server_degraded"


def test_a_mid_server_that_lost_it_gets_no_work_at_all(api: Api, mid: Mid) -> None:
    records(api)
    mid.heartbeat(proof=LOST, status="Degraded")
    assert failure(api) == "mid_server_degraded"


def test_a_proof_can_be_asked_for(api: Api, mid: Mid) -> None:
    before = mid.heartbeat(fips_enforced=True, proof=PROOF).message(HeartbeatAnswer).prove
    assert mid.heartbeat(fips_enforced=True, proof=PROOF).message(HeartbeatAnswer).prove == before
    assert api.post("/api/v1/mid-servers/mid1/prove", {}).status == 200
    assert mid.heartbeat(fips_enforced=True, proof=PROOF).message(HeartbeatAnswer).prove > before
