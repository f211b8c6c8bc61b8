"""A process of its own, enforced: every keystore given as a profile, every partner called, secrets opened.

    python in_force.py STAGED AGENT CA GOOD PASSWORD 'NAME=KEYSTORE=PASSWORD …' 'NAME=PORT …'

Prints {"stores": {name: [code, error, remedy]}, "partners": {name: [status, code, message]}, "sealed": {…}}.
"""
# ruff: noqa: E402 - the order of imports is the point

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace
from pathlib import Path

from openmid.fips import activation

staged, agent, ca, good, password, stores, ports = sys.argv[1:]
activation.enter(Path(staged))

from joserfc import jwe
from joserfc.jwk import RSAKey

from openmid.midserver import agent_key
from openmid.midserver.config import Config
from openmid.midserver.egress import Egress
from openmid.midserver.http import Host, RestRunner
from openmid.midserver.protocol_registry import OpenedProfile, ProtocolRegistry
from openmid.wire import sealing
from openmid.wire.probes import RestProbe

BOUND = sealing.SealedFor("mid", "mid_protocol_profile", "record", "password")
key = agent_key.load_or_create(Path(agent), "mid-test")


def outcome(sealed: str, bound: sealing.SealedFor = BOUND) -> str:
    try:
        return key.open(sealed, bound)
    except Exception as error:
        return type(error).__name__


def forged(**change: str) -> str:
    header = {"alg": sealing.ALGORITHM, "enc": sealing.ENCRYPTION, "kid": key.fingerprint, **vars(BOUND), **change}
    registry = jwe.JWERegistry(algorithms=[header["alg"], header["enc"]], strict_check_header=False)
    return jwe.encrypt_compact(header, b"secret", RSAKey.import_key(key.public_key), registry=registry)


def pinned_where_it_is_sealed() -> str:
    header = {"alg": "RSA-OAEP", "enc": "A128GCM"}
    try:
        return jwe.encrypt_compact(header, b"", RSAKey.import_key(key.public_key), registry=sealing.registry())
    except Exception as error:
        return type(error).__name__


async def main() -> None:
    config = Config.read(Path(agent))
    registry = ProtocolRegistry(config.agent, Egress.of(config), enforced=True)
    wanted = [("good", good, password), *(tuple(row.split("=")) for row in stores.splitlines())]
    await registry.apply([OpenedProfile(name, name, path, 443, word) for name, path, word in wanted])
    runner = RestRunner(registry, Host("mid-test", config.path, True))
    partners = {}
    for name, port in (row.split("=") for row in ports.splitlines()):
        probe = RestProbe(f"good://localhost:{port}/", ca_certificates=Path(ca).read_text(), require_fips=True)
        result = await runner.run(probe)
        failure = result.failure
        partners[name] = [result.status_code, failure.code if failure else "", failure.message if failure else ""]
    found = {one.protocol: [one.error_code, one.error, one.remedy] for one in registry.statuses()}
    await registry.close()
    good_one = sealing.seal("secret", key.public_key, BOUND)
    sealed = {
        "opens": outcome(good_one),
        "moved to another record": outcome(good_one, replace(BOUND, record="other")),
        "for another MID Server": outcome(good_one, replace(BOUND, mid="other")),
        "alg": outcome(forged(alg="RSA-OAEP")),
        "enc": outcome(forged(enc="A128GCM")),
        "cbc": outcome(forged(enc="A256CBC-HS512")),
        "sealing": pinned_where_it_is_sealed(),
    }
    sys.stdout.write("\n" + json.dumps({"stores": found, "partners": partners, "sealed": sealed}) + "\n")


asyncio.run(main())
