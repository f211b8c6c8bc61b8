"""A MID Server that speaks the channel and calls nobody: it enrols, beats, claims, and answers with what it is given.

The real one is driven by tests/e2e with the same steps in the browser.
"""

from __future__ import annotations

import base64
import http.client
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from joserfc import jwe
from joserfc.jwk import RSAKey

from openmid.fips.proof import Check, LibcryptoProof, Proof
from openmid.wire.codec import decode, encode
from openmid.wire.messages import (
    ClaimAnswer,
    ClaimRequest,
    ConfigurationAnswer,
    EnrolAnswer,
    EnrolRequest,
    Heartbeat,
    HeartbeatAnswer,
    JobResult,
    ProfileStatus,
    ResultsAnswer,
    ResultsRequest,
    SignedProof,
    proof_statement,
)
from openmid.wire.probes import ProbeResult, RestProbe
from openmid.wire.sealing import registry
from openmid.wire.version import CHANNEL

T = TypeVar("T")
Answer = Callable[[RestProbe], ProbeResult]
SUBJECT = "CN=mymtlsclientcert,O=Example"


def proof() -> Proof:
    """A proof as a MID Server in FIPS Enforced Mode sends it."""
    names = ("AES-256-GCM encryption", "SHA-256 digest", "RSA-3072 signature"), ("MD5 digest", "ChaCha20 encryption")
    checks = (*(Check(name, "succeeds", True) for name in names[0]), *(Check(n, "refused", True) for n in names[1]))
    libraries = tuple(
        LibcryptoProof(name, "OpenSSL 3.0.19", "security/fips/fips.so", "AB" * 32, checks)
        for name in ("ssl", "cryptography")
    )
    return Proof(True, "OpenSSL FIPS Provider", "3.0.19", "3.0.19", "2026-11-23T10:00:00Z", libraries)


class FakeMid:
    """One fake MID Server, in a thread. `answer` says what each call comes to."""

    def __init__(self, url: str, ca: Path, name: str, answer: Answer) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 443
        self._context = ssl.create_default_context(cafile=str(ca))
        self._key = rsa.generate_private_key(65537, 2048)
        self._bearer = self._sys_id = ""
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self.name, self.answer = name, answer
        self.fingerprint = ""
        self.profiles: list[ProfileStatus] = []
        self.refuses: dict[str, tuple[str, str, str]] = {}
        """Protocols that do not load: code, sentence, remedy."""
        self.fips = True
        self.host_name = "db-host-7.example"
        self.not_after = "2031-03-01T12:00:00Z"

    def enrol(self, token: str) -> None:
        """First contact."""
        public = self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        request = EnrolRequest(token, self.name, public, self.host_name, "0.1.0", "Debian GNU/Linux 12")
        answer = self._post("/enrol", request, EnrolAnswer)
        private = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        opened = jwe.decrypt_compact(answer.credential, RSAKey.import_key(private), registry=registry())
        self._sys_id = answer.mid_sys_id
        self._bearer = f"Bearer {answer.mid_sys_id}.{(opened.plaintext or b'').decode()}"
        self.fingerprint = answer.fingerprint
        self.beat()

    def _signed(self, what: Proof) -> SignedProof:
        text = msgspec.json.encode(what).decode()
        pss = padding.PSS(padding.MGF1(hashes.SHA256()), salt_length=32)
        signature = self._key.sign(proof_statement(self._sys_id, text), pss, hashes.SHA256())
        return SignedProof(text, base64.b64encode(signature).decode())

    def start(self) -> None:
        """Beat and claim until `stop`."""
        self._threads = [threading.Thread(target=self._loop, args=(each,)) for each in (self.beat, self._work)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def beat(self) -> HeartbeatAnswer:
        """One heartbeat."""
        beat = Heartbeat(
            version="0.1.0",
            host_name=self.host_name,
            started=time.time_ns() // 1000 - 86_400_000_000,
            host_os_distribution="Debian GNU/Linux 12",
            fips_enforced=self.fips,
            proof=self._signed(proof()) if self.fips else None,
            profiles=self.profiles,
            egress=["deny loopback, link-local and metadata addresses", "allow 127.0.0.1:8443 (the partner)"],
        )
        return self._post("/heartbeat", beat, HeartbeatAnswer)

    def configure(self) -> None:
        """Fetch the profiles, and report them as loaded."""
        answer = self._post("/configuration", {}, ConfigurationAnswer)
        self.profiles = [self._status(each.sys_id, each.protocol) for each in answer.profiles]
        self.beat()

    def _status(self, sys_id: str, protocol: str) -> ProfileStatus:
        if protocol in self.refuses:
            code, error, remedy = self.refuses[protocol]
            return ProfileStatus(sys_id, protocol, False, error_code=code, error=error, remedy=remedy)
        return ProfileStatus(sys_id, protocol, True, "BCFKS", SUBJECT, "1F0C5A77", self.not_after)

    def _work(self) -> None:
        claimed = self._post("/claim", ClaimRequest(limit=1, wait_ms=500), ClaimAnswer)
        for job in claimed.jobs:
            self.configure()
            outcome = JobResult(job.sys_id, job.lease, self.answer(job.decoded()))
            self._post("/results", ResultsRequest([outcome]), ResultsAnswer)

    def _loop(self, once: Callable[[], object]) -> None:
        while not self._stop.wait(0.1):
            try:
                once()
            except ConnectionError:  # not validated yet, or the instance stops
                self._stop.wait(0.2)

    def _post(self, path: str, message: object, kind: type[T]) -> T:
        connection = http.client.HTTPSConnection(self._host, self._port, context=self._context, timeout=30)
        try:
            headers = {"Authorization": self._bearer, "Content-Type": "application/json"}
            connection.request("POST", CHANNEL + path, encode(message), headers)
            answer = connection.getresponse()
            raw = answer.read()
        except OSError as error:
            raise ConnectionError(str(error)) from error
        finally:
            connection.close()
        if answer.status >= 400:
            raise ConnectionError(f"{path}: {answer.status} {raw.decode()}")
        return decode(raw, kind)
