"""EXECUTION DETAILS on a terminal, and the walk's one JSON object."""

from __future__ import annotations

from openmid.demo.instance_api import Json
from openmid.demo.stage import Stage


def show_details(stage: Stage, details: Json) -> None:
    """What the page of the same name shows first."""
    step = details["steps"][0]
    meta = step["integration_metadata"]
    stage.line()
    stage.line("EXECUTION DETAILS", bold=True)
    stage.say(f"ACTION           {details['action']}")
    stage.say(f"State            {details['state']}")
    stage.say(f"Step             {step['name']}, {step['state']}, {step['duration_ms']:.0f} ms")
    stage.say("Step Output Data")
    stage.line(f"         Status Code    {step['output'].get('status_code')}", bold=True)
    stage.say(f"  Body           {step['output'].get('body', '').strip()}")
    stage.say(f"Partner saw      {partner_saw(details).get('subject')}")
    stage.say(f"TLS              {meta['tls_version']}, {meta['cipher']}")
    stage.say(f"MID Server       {meta['mid_server']}")
    for row in proof_rows(details.get("fips") or {}):
        stage.say(row)


def proof_rows(proof: Json) -> list[str]:
    """The proof of FIPS in a line a libcrypto."""
    if not proof.get("enforced"):
        return ["FIPS             not enforced: nothing here is a claim about FIPS"]
    rows = [f"FIPS Enforced    {proof['provider_name']} {proof['provider_version']}"]
    for libcrypto in proof["libcryptos"]:
        passed = sum(check["passed"] for check in libcrypto["checks"])
        checks = f"{passed} of {len(libcrypto['checks'])} checks passed"
        rows.append(f"  proved in      {libcrypto['name']}: {libcrypto['openssl_version']}, {checks}")
    return rows


def partner_saw(details: Json) -> Json:
    """The partner's own answer: subject, issuer, serial, TLS version, suite."""
    import json

    try:
        seen = json.loads(details["steps"][0]["output"].get("body", ""))
    except ValueError:
        return {}
    return seen if isinstance(seen, dict) else {}


def summary(details: Json, keystore_type: str, controls: Json) -> Json:
    """`--json`: the walk's one object."""
    step = details["steps"][0]
    proof = details.get("fips") or {}
    fips = {
        "enforced": bool(proof.get("enforced")),
        "provider": proof.get("provider_name", ""),
        "version": proof.get("provider_version", ""),
        "proof": {lib["name"]: all(check["passed"] for check in lib["checks"]) for lib in proof.get("libcryptos", [])},
    }
    return {
        "status_code": step["output"].get("status_code"),
        "client_subject": partner_saw(details).get("subject"),
        "tls_version": step["integration_metadata"]["tls_version"],
        "cipher": step["integration_metadata"]["cipher"],
        "fips": fips,
        "keystore_type": keystore_type,
        "duration_ms": step["duration_ms"],
        "controls": controls,
    }


def came_out_right(summary: Json, *, fips: bool) -> bool:
    """Whether the walk and both controls did what they must."""
    called = summary["status_code"] == 200 and "mymtlsclientcert" in (summary["client_subject"] or "")
    refused = all(control["refused"] for control in summary["controls"].values())
    proved = summary["fips"]["enforced"] and all(summary["fips"]["proof"].values()) and summary["fips"]["proof"]
    return called and refused and summary["keystore_type"] == "BCFKS" and (bool(proved) or not fips)
