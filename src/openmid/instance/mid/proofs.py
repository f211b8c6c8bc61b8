"""Whether a MID Server is in FIPS Enforced Mode: only what its own key signed is believed, and only what was proved."""

from __future__ import annotations

import base64
import functools
from dataclasses import dataclass

from openmid.fips.proof import Proof
from openmid.wire.codec import WireError, decode
from openmid.wire.messages import SignedProof, proof_statement


@dataclass(frozen=True)
class Standing:
    """`reason` says why it is not in force; `signed` is kept as what the MID Server said, whatever it proves."""

    enforced: bool
    reason: str = ""
    signed: SignedProof | None = None


OFF = Standing(False, "FIPS Enforced Mode was switched off")


@functools.lru_cache(maxsize=1024)
def standing(mid_sys_id: str, public_key: str, claimed: bool, signed: SignedProof | None) -> Standing:
    """What the proof in a heartbeat shows."""
    if signed is None:
        return OFF
    if not signature_holds(mid_sys_id, public_key, signed):
        return Standing(False, "its proof is not signed by its key")
    try:
        proof = decode(signed.text.encode(), Proof)
    except WireError:
        return Standing(False, "its proof cannot be read: this instance and it are of different versions")
    if claimed and proof.enforced:
        return Standing(True, "", signed)
    return Standing(False, proof.reason or "it says itself that the mode is not in force", signed)


def signature_holds(mid_sys_id: str, public_key: str, signed: SignedProof) -> bool:
    """Whether the key signed exactly this proof of this MID Server."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    key = load_pem_public_key(public_key.encode())
    assert isinstance(key, rsa.RSAPublicKey)
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), salt_length=32)
    try:
        signature = base64.b64decode(signed.signature, validate=True)
        key.verify(signature, proof_statement(mid_sys_id, signed.text), pss, hashes.SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True
