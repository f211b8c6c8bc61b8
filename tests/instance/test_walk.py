"""The article's section 3 through the API, with a MID Server that answers as one does."""

from __future__ import annotations

from openmid.fips.proof import Check, LibcryptoProof, Proof
from openmid.wire.messages import ConfigurationAnswer
from openmid.wire.probes import TlsFacts
from tests.instance.partners import Api, Mid

on_both_databases = True

PROOF = Proof(
    enforced=True,
    provider_name="OpenSSL FIPS Provider",
    provider_version="3.0.20",
    provider_build="3.0.20",
    time="2026-01-01T00:00:00Z",
    libcryptos=(LibcryptoProof("ssl", "OpenSSL 3.0.19", "fips.so", "AB", (Check("md5", "refused", True),)),),
)
TLS = TlsFacts(
    "TLSv1.3", "TLS_AES_256_GCM_SHA384", client_subject="CN=client", client_serial="01", peer="192.0.2.1:443"
)


def records(api: Api, **connection: object) -> None:
    """Alias, profile, connection and action, named `partner`, `mauth`, `partner`, `call`."""
    api.create("sys_alias", name="partner", connection_type="http_connection")
    api.create("mid_protocol_profile", protocol="mauth", keystore_path="/client.bcfks", password="geheim")
    mutual = {"mutual_auth": "true", "mid_protocol_profile": "mauth", "host": "partner.example"}
    api.create("http_connection", **({"name": "partner", "connection_alias": "partner"} | mutual | connection))
    api.action("call", {"type": "REST", "connection_alias": "partner", "resource_path": "/v1/things"})


def test_from_alias_to_status_code_200(api: Api, mid: Mid) -> None:
    records(api, require_fips="true")
    assert mid.heartbeat(fips_enforced=True, proof=PROOF).status == 200
    (profile,) = mid.post("/configuration", {}).message(ConfigurationAnswer).profiles
    assert (profile.protocol, mid.open(profile.password)) == ("mauth", "geheim")

    accepted = api.execute("call")
    assert accepted.status == 202
    job = mid.job()
    assert (job.decoded().url, job.decoded().method) == ("mauth://partner.example/v1/things", "GET")
    assert mid.deliver(job, body='{"ok": true}', tls=TLS, fips_enforced=True).status == 200

    details = api.get(accepted.headers["location"]).json
    assert (details["state"], details["action"], details["started_by"]) == ("Completed", "call", "alice")
    (step,) = details["steps"]
    assert (step["state"], step["error"]) == ("Completed", None)
    assert step["output"] == {
        "status_code": 200,
        "headers": [],
        "body": '{"ok": true}',
        "body_is_base64": False,
        "attachment": None,
        "fault": None,
    }
    meta = step["integration_metadata"]
    assert (meta["mid_server"], meta["connection"], meta["target_host"]) == ("mid1", "partner", "partner.example")
    assert (meta["tls_version"], meta["client_certificate"]["subject"]) == ("TLSv1.3", "CN=client")
    assert details["fips"]["libcryptos"][0]["checks"] == [
        {"name": "md5", "expected": "refused", "passed": True, "detail": ""}
    ]
