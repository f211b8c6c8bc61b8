"""First contact, validation, rekey: what is given, and each refusal with its code."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from openmid.instance.mid.models import EnrolmentToken, MidServer
from openmid.wire.messages import ConfigurationAnswer, EnrolAnswer, EnrolRequest, HeartbeatAnswer
from tests.instance.conftest import validate
from tests.instance.partners import Api, Mid, Reply


def token(name: str = "mid1") -> str:
    return EnrolmentToken.issue(name)[1]


def refused(reply: Reply, status: int, code: str) -> str:
    assert (reply.status, reply.code) == (status, code), reply.raw
    assert reply.json["hint"]
    return str(reply.json["message"])


def test_an_enrolled_mid_server_is_not_validated_and_gets_nothing(api: Api) -> None:
    mid = Mid(api.url, "mid1")
    answer = mid.enrol(token()).message(EnrolAnswer)
    assert answer.fingerprint == mid.fingerprint
    assert not mid.heartbeat().message(HeartbeatAnswer).validated
    for path in ("/claim", "/configuration"):
        assert "not validated" in refused(mid.post(path, {}), 403, "not_validated")
    refused(mid.post("/results", {"results": []}), 403, "not_validated")


def test_validation_needs_the_fingerprint(api: Api) -> None:
    mid = Mid(api.url, "mid1")
    mid.enrol(token())
    wrong = api.post("/api/v1/mid-servers/mid1/validate", {"fingerprint": Mid(api.url, "x").fingerprint})
    assert (wrong.status, wrong.json["error"]["message"]) == (
        400,
        "this is not the fingerprint of MID Server mid1's key",
    )
    assert validate(api, mid).status == 200
    record = MidServer.objects.get()
    assert (record.validated, record.validated_by) == ("true", "alice")
    assert mid.heartbeat().message(HeartbeatAnswer).validated
    assert api.post("/api/v1/mid-servers/mid1/invalidate", {}).status == 200
    refused(mid.claim(), 403, "not_validated")
    assert api.post("/api/v1/mid-servers/nobody/validate", {}).status == 404


def test_a_token_that_is_not_good(api: Api) -> None:
    mid = Mid(api.url, "mid1")
    refused(mid.enrol("enrol-nonsense"), 403, "unknown_token")
    assert "for MID Server other" in refused(mid.enrol(token("other")), 403, "wrong_name")
    expired = token()
    EnrolmentToken.objects.filter(name="mid1").update(expires=timezone.now() - timedelta(seconds=1))
    assert "one hour" in refused(mid.enrol(expired), 403, "expired_token")
    assert not MidServer.objects.exists()


def test_a_token_is_good_for_one_key(api: Api) -> None:
    once = token()
    mid = Mid(api.url, "mid1")
    assert mid.enrol(once).status == 200
    assert mid.enrol(once).status == 200  # its answer was lost
    assert mid.heartbeat().status == 200
    assert "used already" in refused(Mid(api.url, "mid1", "imposter").enrol(once), 403, "used_token")
    MidServer.objects.all().delete()
    assert "used already" in refused(mid.enrol(once), 403, "used_token")


def test_the_same_name_with_another_key(api: Api, mid: Mid) -> None:
    imposter = Mid(api.url, "mid1", "imposter")
    assert "another key" in refused(imposter.enrol(token()), 403, "name_taken")
    assert mid.heartbeat().status == 200
    api.post("/api/v1/mid-servers/mid1/rekey", {})
    refused(mid.claim(), 403, "not_validated")
    assert imposter.enrol(token()).status == 200
    assert MidServer.objects.get().validated == "false"
    refused(mid.heartbeat(), 401, "unknown_credential")


@pytest.mark.parametrize("key", ["", "nonsense", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"])
def test_a_key_that_is_not_good(api: Api, key: str) -> None:
    request = EnrolRequest(token(), "mid1", key, "host", "0.1.0")
    refused(Mid(api.url, "mid1").post("/enrol", request), 403, "bad_key")


def test_a_short_key(api: Api) -> None:
    import subprocess

    weak = subprocess.run(
        ["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"], capture_output=True, check=True
    )
    public = subprocess.run(["openssl", "pkey", "-pubout"], input=weak.stdout, capture_output=True, check=True)
    request = EnrolRequest(token(), "mid1", public.stdout.decode(), "host", "0.1.0")
    refused(Mid(api.url, "mid1").post("/enrol", request), 403, "bad_key")


def test_rekey_carries_the_validation_over(api: Api, mid: Mid) -> None:
    api.create("mid_protocol_profile", protocol="mauth", keystore_path="/x", password="geheim")
    before = mid.heartbeat().message(HeartbeatAnswer).configuration
    request = mid.rekey_request("new")
    answer = mid.post("/rekey", request)
    again = mid.post("/rekey", request)  # the first answer was lost
    renewed = Mid(api.url, "mid1", "new")
    renewed.take(again.message(EnrolAnswer))
    assert answer.status == 200
    assert renewed.heartbeat().message(HeartbeatAnswer).configuration != before
    (profile,) = renewed.post("/configuration", {}).message(ConfigurationAnswer).profiles
    assert renewed.open(profile.password) == "geheim"
    refused(mid.heartbeat(), 401, "unknown_credential")
    refused(mid.post("/rekey", request), 401, "unknown_credential")


def test_rekey_needs_the_old_keys_signature(api: Api, mid: Mid) -> None:
    request = Mid(api.url, "mid1", "stranger")
    request.sys_id = mid.sys_id
    refused(mid.post("/rekey", request.rekey_request("new")), 403, "bad_signature")


@pytest.mark.parametrize("credential", ["", "x", "x.y", "{sys_id}.wrong", "{sys_id}."])
def test_unknown_credentials(api: Api, mid: Mid, credential: str) -> None:
    stranger = Mid(api.url, "mid1")
    stranger._api.authorization = f"Bearer {credential.format(sys_id=mid.sys_id)}"
    for path in ("/heartbeat", "/configuration", "/claim", "/results", "/rekey"):
        refused(stranger.post(path, {}), 401, "unknown_credential")
