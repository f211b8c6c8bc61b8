"""A process of its own: each kind of operation that the MID Server does, tried while the provider offers nothing.

    python operations.py STAGED AGENT KEYSTORE PASSWORD CERTIFICATE PUBLIC_KEY KEY SEALED

Prints {kind: what went wrong}, empty for what still succeeded. Each kind calls the code that the MID Server calls.
"""
# ruff: noqa: E402 - the order of imports is the point

from __future__ import annotations

import os
import sys
from pathlib import Path

staged, agent, path, password, certificate, public_key, key, sealed = map(Path, sys.argv[1:])
# As activation.enter does it; enter itself refuses here, since it tries a hash in each libcrypto.
if os.environ.get("OPENSSL_CONF") != str(staged / "ssl" / "openssl.cnf"):
    environment = os.environ | {"OPENSSL_CONF": str(staged / "ssl/openssl.cnf"), "CRYPTOGRAPHY_OPENSSL_NO_LEGACY": "1"}
    os.execve(sys.executable, [sys.executable, *sys.argv], environment)
import _hashlib
import contextlib
import ssl
from unittest import mock

with contextlib.suppress(ssl.SSLError):
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
os.environ["OPENSSL_CONF"] = str(staged / "cryptography" / "openssl.cnf")
import cryptography.hazmat.bindings._rust  # noqa: F401

os.environ["OPENSSL_CONF"] = str(staged / "ssl" / "openssl.cnf")

try:
    import aiohttp

    problem = ""
except ssl.SSLError as error:
    problem = f"SSLError: {error}"
    with mock.patch.object(ssl.SSLContext, "__new__", lambda *_: mock.MagicMock()):  # to try the rest
        import aiohttp  # noqa: F401

import json
import random
import secrets
import subprocess
from collections.abc import Callable
from hashlib import sha256

from openmid import keystore
from openmid.fips import keys, policy
from openmid.fips.proof import prove
from openmid.midserver import agent_key, client_identity, tls
from openmid.midserver import certificate as certificates
from openmid.midserver.process import fingerprint
from openmid.wire import sealing
from openmid.wire.messages import rekey_statement

BOUND = sealing.SealedFor("mid", "mid_protocol_profile", "record", "password")
DER = certificate.read_bytes()


def enter() -> None:
    """In a process that has not met a libcrypto yet."""
    code = (
        "import sys; from pathlib import Path; from openmid.fips import activation; activation.enter(Path(sys.argv[1]))"
    )
    done = subprocess.run([sys.executable, "-c", code, staged], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(done.stderr.splitlines()[-1])


def empty_store() -> None:
    store = keystore.KeyStore()
    store.set_certificate("ca", DER)
    store.save(agent / "made.bcfks", "a password of fourteen")


def load(name: str) -> Callable[[], object]:
    return lambda: client_identity.load(path.with_name(name), str(password), agent=agent, enforced=False)


KINDS: dict[str, Callable[[], object]] = {
    "entering FIPS Enforced Mode (fips.activation)": enter,
    "the proof (fips.proof)": lambda: _expect_enforced(),
    "a hash in ssl's libcrypto (_hashlib)": lambda: _hashlib.new("sha256", b""),
    "a TLS context for a call (midserver.tls.client_context)": lambda: tls.client_context(DER, enforced=True),
    "encrypting the client's key for ssl (midserver.tls.present)": lambda: tls._encrypted(
        key.read_bytes(), b"one-time"
    ),
    "random bytes (fips.keys.random_bytes)": lambda: keys.random_bytes(16),
    "a new key pair (fips.keys.generate)": lambda: keys.generate("P-256", staged / "ssl/openssl.cnf"),
    "opening a BCFKS keystore (keystore.load)": load(path.name),
    "writing a BCFKS keystore (keystore.save)": empty_store,
    "reading a private key (midserver.agent_key.KeyPair)": lambda: agent_key.KeyPair(key.read_bytes()),
    "approving a private key (fips.policy)": lambda: _expect_none(policy.approve_key(key.read_bytes())),
    "sealing a secret (wire.sealing.seal)": lambda: sealing.seal("secret", public_key.read_text(), BOUND),
    "opening a sealed secret (midserver.agent_key.AgentKey.open)": lambda: _opened(),
    "signing a new key's announcement (midserver.agent_key)": lambda: _signed(),
    "the MID Server's own keystore (midserver.agent_key.load_or_create)": lambda: agent_key.load_or_create(agent, "m"),
    # What still succeeds: hashlib's own code, which Python falls back to; the kernel's random numbers; no cryptography.
    "hashlib.sha256": lambda: sha256(b"").digest(),
    "the fingerprint shown on the host (midserver.process.fingerprint)": lambda: fingerprint(agent),
    "numbers of the kernel (os.urandom, secrets)": lambda: secrets.token_bytes(16),
    "jitter of a repetition (random)": random.random,
    "approving a certificate (fips.policy)": lambda: _expect_none(policy.approve_certificate(DER)),
    "the fingerprint of a sealing key (wire.sealing.fingerprint)": lambda: sealing.fingerprint(public_key.read_text()),
    "reading a certificate's names and dates (midserver.certificate)": lambda: certificates.describe(DER),
}


def _expect_enforced() -> None:
    proof = prove(staged)
    if not proof.enforced:
        raise ValueError(proof.reason)


def _expect_none(refusals: list[str]) -> None:
    if refusals:
        raise ValueError(refusals[0])


def _opened() -> object:
    return agent_key.KeyPair(key.read_bytes()).open(sealed.read_text())


def _signed() -> object:
    return agent_key.KeyPair(key.read_bytes()).sign(rekey_statement("mid", public_key.read_text()))


found = {"importing aiohttp (its two TLS contexts)": problem}
for kind, operation in KINDS.items():
    try:
        operation()
        found[kind] = ""
    except BaseException as error:
        found[kind] = f"{type(error).__name__}: {error}".split("\n")[0]
sys.stdout.write("\n" + json.dumps(found) + "\n")
