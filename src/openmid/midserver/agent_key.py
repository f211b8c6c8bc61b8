"""The MID Server's own key pair: what the instance seals secrets to.

RSA-3072, made by the provider's generator, in security/agent_keystore (BCFKS, alias `mid`) under the password in
security/secret.key. When the switch to FIPS Enforced Mode has made a new one, the old one is `previous` until the
instance knows.
"""

from __future__ import annotations

import base64
import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)
from cryptography.x509.oid import NameOID
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from openmid import keystore
from openmid.fips import keys
from openmid.keystore import KeyStore, KeystoreError
from openmid.midserver import redact, secret_key
from openmid.midserver.config import write_atomic
from openmid.midserver.errors import SealedSecretRefused, StartError, remedy
from openmid.midserver.process import PUBLIC_KEY as PUBLIC
from openmid.wire.messages import RekeyRequest, SignedProof, proof_statement, rekey_statement
from openmid.wire.sealing import ALGORITHM, ENCRYPTION, SealedFor, fingerprint, registry

KEYSTORE, SECRET = "security/agent_keystore", secret_key.FILE
ANNOUNCING = "security/announcing"
"""Holds the new key's fingerprint from the moment it is sent to the instance until the old key is dropped."""
CURRENT, PREVIOUS = "mid", "previous"
LIFETIME = timedelta(days=3650)


class KeyPair:
    """One RSA key: opens what was sealed to it."""

    def __init__(self, der: bytes) -> None:
        key = load_der_private_key(der, None)
        if not isinstance(key, RSAPrivateKey):
            raise StartError("the MID Server's own key is not an RSA key", "install it again")
        self._key = key
        spki = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        self.public_key = spki.decode()
        self.fingerprint = fingerprint(self.public_key)

    def __repr__(self) -> str:
        return f"<KeyPair {self.fingerprint[:11]}…>"

    def open(self, sealed: str) -> str:
        """The clear text of a JWE whose header has been checked. Raises JoseError, ValueError."""
        pem = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        opened = jwe.decrypt_compact(sealed, RSAKey.import_key(pem), registry=registry())
        return (opened.plaintext or b"").decode()

    def sign(self, statement: bytes) -> str:
        """RSASSA-PSS, SHA-256, salt of 32 bytes (FIPS 186-5, 5.4), base64."""
        pss = padding.PSS(padding.MGF1(hashes.SHA256()), salt_length=32)
        return base64.b64encode(self._key.sign(statement, pss, hashes.SHA256())).decode()


class AgentKey:
    """The current key, and the previous one while the instance does not know the current one."""

    def __init__(self, agent: Path, store: KeyStore, password: str) -> None:
        self._agent = agent
        self._store = store
        self._password = password
        self._pairs = {alias: KeyPair(entry.private_key) for alias, entry in store.private_keys().items()}
        if CURRENT not in self._pairs:
            raise StartError(
                f"{agent / KEYSTORE} has no key named {CURRENT}", "restore it from a backup, or install anew"
            )

    @property
    def public_key(self) -> str:
        """PEM, SubjectPublicKeyInfo."""
        return self._pairs[CURRENT].public_key

    @property
    def fingerprint(self) -> str:
        """What an administrator compares."""
        return self._pairs[CURRENT].fingerprint

    @property
    def has_previous(self) -> bool:
        """Whether the instance has to be told of the current key."""
        return PREVIOUS in self._pairs

    def open(self, sealed: str, bound: SealedFor) -> str:
        """The secret in `sealed`, if it is for this MID Server and exactly what it is expected to be.

        Raises:
            SealedSecretRefused: another record's, another key's, other algorithms, changed on the way.
        """
        what = f"the sealed {bound.column} of {bound.table} {bound.record}"
        pair = self._addressee(_header(sealed), bound, what)
        try:
            return redact.learn(pair.open(sealed))
        except (JoseError, ValueError) as error:
            raise SealedSecretRefused(f"{what} does not open with this MID Server's key: it was changed") from error

    def _addressee(self, header: dict[str, object], bound: SealedFor, what: str) -> KeyPair:
        expected = {"alg": ALGORITHM, "enc": ENCRYPTION, **asdict(bound)}
        kid = header.pop("kid", None)
        if header != expected:
            raise SealedSecretRefused(f"{what} was sealed for something else", "save the record on the instance again")
        for pair in self._pairs.values():
            if pair.fingerprint == kid:
                return pair
        raise SealedSecretRefused(
            f"{what} was sealed to a key that this MID Server does not have", "enrol it again with a new token"
        )

    def rekey_request(self, mid_sys_id: str) -> RekeyRequest:
        """The current public key, signed by the previous one."""
        statement = rekey_statement(mid_sys_id, self.public_key)
        return RekeyRequest(self.public_key, self._pairs[PREVIOUS].sign(statement))

    def sign_proof(self, mid_sys_id: str, text: str) -> SignedProof:
        """The proof of FIPS Enforced Mode, signed by the current key."""
        return SignedProof(text, self._pairs[CURRENT].sign(proof_statement(mid_sys_id, text)))

    def drop_previous(self) -> None:
        """The instance knows the current key."""
        del self._pairs[PREVIOUS]
        self._store.delete(PREVIOUS)
        self._store.save(self._agent / KEYSTORE, self._password)


def load_or_create(agent: Path, name: str) -> AgentKey:
    """The MID Server's own key; made at the first start.

    Raises:
        StartError: it is there and does not open, or cannot be made.
    """
    password, path = _password(agent), agent / KEYSTORE
    try:
        if not path.exists():
            create(agent, name)
        store = keystore.load(path, password, "BCFKS")
    except KeystoreError as error:
        hint = (
            remedy(error.__cause__) if isinstance(error.__cause__, OSError) else "restore agent/security from a backup"
        )
        raise StartError(f"the MID Server's own key cannot be opened: {error}", hint) from error
    key = AgentKey(agent, store, password)
    _publish(agent, key.public_key)
    return key


def create(agent: Path, name: str, conf: Path | None = None) -> str:
    """A new key pair as `mid`; one that was there stays as `previous`. Returns the new public key (PEM).

    `conf` is the staged OpenSSL configuration under which the key is made, for a process that is not enforced itself.

    Raises:
        KeystoreError, FipsError: each with its sentence.
    """
    password, path = _password(agent), agent / KEYSTORE
    store = keystore.load(path, password, "BCFKS") if path.exists() else KeyStore()
    old = store.private_keys().get(CURRENT)
    if PREVIOUS in store and (agent / ANNOUNCING).exists():
        raise StartError(
            "the last new key was sent to the instance and its answer was lost: the instance may know either",
            "start the MID Server once while the instance can be reached, then do this again",
        )
    # Of two keys that were never announced the instance knows neither: the elder one stays.
    if old is not None and PREVIOUS not in store:
        store.set_private_key(PREVIOUS, old.private_key, old.certificates)
    der = keys.generate("RSA-3072", conf)
    store.set_private_key(CURRENT, der, [_self_signed(der, name)])
    store.save(path, password)
    public_key = KeyPair(der).public_key
    _publish(agent, public_key)
    return public_key


def _publish(agent: Path, public_key: str) -> None:
    if not (agent / PUBLIC).exists() or (agent / PUBLIC).read_text() != public_key:
        write_atomic(agent / PUBLIC, public_key.encode(), 0o644)


def _password(agent: Path) -> str:
    """The keystore's password: the MID Server's secret, made once, with the keystore."""
    secret = secret_key.read(agent)
    if not secret and (agent / KEYSTORE).exists():
        raise StartError(
            f"{agent / SECRET} is missing, and without it {agent / KEYSTORE} does not open",
            "restore it from a backup; or remove agent/security/agent_keystore and credential, and enrol again",
        )
    return secret or secret_key.make(agent)


def _self_signed(der: bytes, name: str) -> bytes:
    """A keystore holds a key with a certificate. Nobody trusts this one: the instance knows the key itself."""
    key = load_der_private_key(der, None)
    assert isinstance(key, RSAPrivateKey)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), int.from_bytes(keys.random_bytes(16)) >> 1)
    built = builder.not_valid_before(now - timedelta(minutes=5)).not_valid_after(now + LIFETIME)
    return built.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def _header(sealed: str) -> dict[str, object]:
    """The protected header of a compact JWE; empty for what is none."""
    first = sealed.partition(".")[0]
    try:
        header = json.loads(base64.urlsafe_b64decode(first + "=" * (-len(first) % 4)))
    except ValueError:
        return {}
    return header if isinstance(header, dict) else {}
