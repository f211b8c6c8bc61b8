"""Those who talk to an instance: a script with a token, and a MID Server with a real key that does what it is told."""

from __future__ import annotations

import base64
import http.client
import json
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec
from joserfc import jwe
from joserfc.jwk import RSAKey

from openmid.fips import keys
from openmid.fips.proof import Proof
from openmid.wire import messages, sealing
from openmid.wire.messages import ClaimAnswer, EnrolAnswer, EnrolRequest, Heartbeat, Job, JobResult
from openmid.wire.probes import ProbeResult
from openmid.wire.version import CHANNEL

T = TypeVar("T")


@dataclass
class Reply:
    """An answer."""

    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.raw)

    @property
    def result(self) -> Any:
        """What the Table API answered, which has to be a success."""
        assert self.status in (200, 201), (self.status, self.raw)
        return self.json["result"]

    @property
    def code(self) -> str:
        """The code of a Refusal."""
        return str(self.json["code"])

    def message(self, kind: type[T]) -> T:
        assert self.status == 200, (self.status, self.raw)
        return msgspec.json.decode(self.raw, type=kind)


@dataclass
class Api:
    """A script."""

    url: str
    authorization: str = ""

    def request(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Reply:
        parts = urlsplit(self.url)
        assert parts.hostname
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=70)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.authorization:
            sent["Authorization"] = self.authorization
        connection.request(method, path, body=body, headers=sent)
        answer = connection.getresponse()
        reply = Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        connection.close()
        return reply

    def get(self, path: str) -> Reply:
        return self.request("GET", path)

    def post(self, path: str, data: object, **headers: str) -> Reply:
        return self.request("POST", path, json.dumps(data).encode(), **headers)

    def create(self, table: str, **columns: object) -> Any:
        return self.post(f"/api/now/table/{table}", columns).result

    def action(self, name: str, *steps: dict[str, Any]) -> Any:
        return self.post("/api/v1/actions", {"name": name, "steps": list(steps)}).result

    def execute(self, name: str, wait: int = 0, **headers: str) -> Reply:
        prefer = {"Prefer": f"wait={wait}"} if wait else {}
        return self.post(f"/api/v1/actions/{name}/execute", {}, **prefer, **headers)

    def details(self, sys_id: str) -> Any:
        return self.get(f"/api/v1/executions/{sys_id}").json


@cache
def key_pair(name: str) -> tuple[str, str]:
    """A private and a public key (PEM), one for each name."""
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        PublicFormat,
        load_der_private_key,
    )

    private = load_der_private_key(keys.generate("RSA-2048"), None)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem.decode(), public.decode()


class Mid:
    """A MID Server."""

    def __init__(self, url: str, name: str, key: str = "") -> None:
        self.name = name
        self.private_key, self.public_key = key_pair(key or name)
        self.fingerprint = sealing.fingerprint(self.public_key)
        self.sys_id = ""
        self._api = Api(url)

    def post(self, path: str, message: object) -> Reply:
        return self._api.request("POST", CHANNEL + path, msgspec.json.encode(message))

    def enrol(self, token: str) -> Reply:
        reply = self.post("/enrol", EnrolRequest(token, self.name, self.public_key, "host.example", "0.1.0"))
        if reply.status == 200:
            self.take(reply.message(EnrolAnswer))
        return reply

    def take(self, answer: EnrolAnswer) -> None:
        """Use the credential that the instance gave."""
        self.sys_id = answer.mid_sys_id
        self._api.authorization = f"Bearer {answer.mid_sys_id}.{self.open(answer.credential)}"

    def open(self, sealed: str) -> str:
        opened = jwe.decrypt_compact(sealed, RSAKey.import_key(self.private_key), registry=sealing.registry())
        assert opened.plaintext is not None
        return opened.plaintext.decode()

    def rekey_request(self, key: str) -> messages.RekeyRequest:
        """A request for the new key of another name, signed by this one."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding, rsa
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        old = load_pem_private_key(self.private_key.encode(), None)
        assert isinstance(old, rsa.RSAPrivateKey)
        new = key_pair(key)[1]
        pss = padding.PSS(padding.MGF1(hashes.SHA256()), salt_length=32)
        signature = old.sign(messages.rekey_statement(self.sys_id, new), pss, hashes.SHA256())
        return messages.RekeyRequest(new, base64.b64encode(signature).decode())

    def sign(self, proof: object) -> messages.SignedProof:
        """A proof as this MID Server's key signs it."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding, rsa
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        key = load_pem_private_key(self.private_key.encode(), None)
        assert isinstance(key, rsa.RSAPrivateKey)
        text = msgspec.json.encode(proof).decode()
        pss = padding.PSS(padding.MGF1(hashes.SHA256()), salt_length=32)
        signature = key.sign(messages.proof_statement(self.sys_id, text), pss, hashes.SHA256())
        return messages.SignedProof(text, base64.b64encode(signature).decode())

    def heartbeat(self, **what: Any) -> Reply:
        if isinstance(what.get("proof"), Proof):
            what["proof"] = self.sign(what["proof"])
        return self.post(
            "/heartbeat", Heartbeat(**({"version": "0.1.0", "host_name": "host.example", "started": 1} | what))
        )

    def claim(self, wait_ms: int = 0, limit: int = 1) -> Reply:
        return self.post("/claim", messages.ClaimRequest(limit, wait_ms))

    def job(self, wait_ms: int = 5_000) -> Job:
        """The one job that is there."""
        (job,) = self.claim(wait_ms).message(ClaimAnswer).jobs
        return job

    def deliver(self, job: Job, **result: Any) -> Reply:
        outcome = ProbeResult(started=1, **({"status_code": 200} | result))
        return self.post("/results", messages.ResultsRequest([JobResult(job.sys_id, job.lease, outcome)]))
