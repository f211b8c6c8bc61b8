"""First contact, validation, rekey: how a MID Server gets a credential, and an administrator's trust.

EnrolmentRefused carries a stable code, a sentence and what to do; the channel sends them as `Refusal`.
"""

from __future__ import annotations

import base64

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from openmid.fips import keys
from openmid.instance.mid.models import NAME, EnrolmentToken, MidServer, Validated
from openmid.instance.records.actor import acting_as, actor
from openmid.instance.records.listening import wake_everybody_after_commit
from openmid.instance.records.secrets import digest
from openmid.wire.messages import EnrolAnswer, EnrolRequest, RekeyRequest, rekey_statement
from openmid.wire.sealing import SealedFor, fingerprint, seal

MIN_RSA_BITS = 2048


class EnrolmentRefused(Exception):
    """Raised when a MID Server, or an administrator, asks for what cannot be given."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


def enrol(request: EnrolRequest, address: str = "") -> EnrolAnswer:
    """Trade a one-time token and a public key for a credential. `validated` starts false. `address`: whose request it is.

    A repeated request with the same token, name and key gets a new credential: the first answer may have been lost.

    Raises:
        EnrolmentRefused: the token, the name or the key is not good.
    """
    print_of_key = _check_key(request.public_key)
    with acting_as(request.name, address), transaction.atomic():
        token = _token(request)
        mid = MidServer.objects.select_for_update().filter(name=request.name).first() or MidServer(name=request.name)
        # The token comes first: whoever has no good one learns nothing about names.
        if token.used_at is not None and (token.used_by != mid or mid.fingerprint != print_of_key):
            raise _used(token)
        if mid.fingerprint and mid.fingerprint != print_of_key and mid.validated != Validated.REKEY:
            raise EnrolmentRefused(
                "name_taken",
                f"a MID Server named {request.name} is enrolled already, with another key",
                "choose another name; or, if this is the same MID Server with a new key, let an administrator press Rekey",
            )
        if mid.fingerprint != print_of_key:
            mid.validated, mid.validated_by, mid.validated_at = Validated.FALSE, "", None
        mid.public_key, mid.fingerprint = request.public_key, print_of_key
        mid.host_name, mid.version = request.host_name[:255], request.version[:80]
        mid.host_os_distribution = request.host_os_distribution[:255]
        answer = _give_credential(mid)
        token.used_at, token.used_by = token.used_at or timezone.now(), mid
        token.save()
    return answer


def rekey(mid_sys_id: str, request: RekeyRequest, address: str = "") -> EnrolAnswer:
    """A new public key, signed by the old one; validation carries over. `address`: whose request it is.

    A repeated request gets a new credential, sealed to the new key: the first answer may have been lost.

    Raises:
        EnrolmentRefused: the key or the signature is not good.
        MidServer.DoesNotExist: it was deleted.
    """
    print_of_key = _check_key(request.public_key)
    with transaction.atomic():
        mid = MidServer.objects.select_for_update().get(pk=mid_sys_id)
        if print_of_key != mid.fingerprint:
            if not _signed(mid, request):
                raise EnrolmentRefused(
                    "bad_signature",
                    f"the new key of MID Server {mid.name} is not signed by its old key",
                    "enrol it again",
                )
            mid.previous_credential_hash = mid.credential_hash
        mid.public_key, mid.fingerprint = request.public_key, print_of_key
        with acting_as(mid.name, address):
            return _give_credential(mid)


def validate(mid: MidServer, shown_fingerprint: str) -> None:
    """An administrator confirms the fingerprint that the MID Server's host shows.

    Raises:
        EnrolmentRefused: it is not this MID Server's.
    """
    if not mid.fingerprint or _bare(shown_fingerprint) != _bare(mid.fingerprint):
        raise EnrolmentRefused(
            "fingerprint_mismatch",
            f"this is not the fingerprint of MID Server {mid.name}'s key",
            "compare it with what the MID Server's host shows (agent/bin/mid.sh status); if they differ, "
            "someone else may have enrolled under this name: delete the record",
        )
    mid.validated, mid.validated_by, mid.validated_at = Validated.TRUE, actor(), timezone.now()
    mid.save(update_fields=["validated", "validated_by", "validated_at"])


def invalidate(mid: MidServer) -> None:
    """Take the trust back: no work and no secrets until it is validated again."""
    mid.validated, mid.validated_by, mid.validated_at = Validated.FALSE, "", None
    mid.save(update_fields=["validated", "validated_by", "validated_at"])
    wake_everybody_after_commit()


def request_rekey(mid: MidServer) -> None:
    """Let the MID Server of this name enrol again with another key, by a new token; until then it gets no work."""
    mid.validated = Validated.REKEY
    mid.save(update_fields=["validated"])
    wake_everybody_after_commit()


def _token(request: EnrolRequest) -> EnrolmentToken:
    token = EnrolmentToken.objects.select_for_update().filter(token_hash=digest(request.token)).first()
    again = f"make a new one: openmid instance mid token {request.name}"
    if token is None:
        raise EnrolmentRefused("unknown_token", "the enrolment token is not one of this instance's", again)
    if token.expires < timezone.now():
        expired = token.expires.strftime("%Y-%m-%d %H:%M UTC")
        raise EnrolmentRefused(
            "expired_token", f"the enrolment token expired at {expired}: it lives for one hour", again
        )
    try:
        NAME(request.name)
    except ValidationError as error:
        raise EnrolmentRefused("bad_name", str(error.message), "choose another name") from None
    if token.name != request.name:
        raise EnrolmentRefused(
            "wrong_name", f"the enrolment token is for MID Server {token.name}, not {request.name}", again
        )
    if token.used_at is not None and token.used_by is None:
        raise _used(token)
    return token


def _used(token: EnrolmentToken) -> EnrolmentRefused:
    used = token.used_at.strftime("%Y-%m-%d %H:%M UTC") if token.used_at else ""
    return EnrolmentRefused(
        "used_token",
        f"the enrolment token was used already at {used}: it is good for one MID Server and one key",
        f"make a new one: openmid instance mid token {token.name}",
    )


def _give_credential(mid: MidServer) -> EnrolAnswer:
    credential = keys.token()
    mid.credential_hash = digest(credential)
    mid.configuration += 1
    mid.save()
    bound = SealedFor(mid=mid.sys_id, table="ecc_agent", record=mid.sys_id, column="credential")
    return EnrolAnswer(mid.sys_id, mid.fingerprint, seal(credential, mid.public_key, bound))


def _check_key(public_key: str) -> str:
    """The key's fingerprint.

    Raises:
        EnrolmentRefused: not an RSA key of 2048 bits or more (secrets are sealed by RSA-OAEP-256).
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(public_key.encode())
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPublicKey) or key.key_size < MIN_RSA_BITS:
        raise EnrolmentRefused(
            "bad_key", "the public key is not RSA of 2048 bits or more, in PEM", "install the MID Server again"
        )
    return fingerprint(public_key)


def _signed(mid: MidServer, request: RekeyRequest) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    old = load_pem_public_key(mid.public_key.encode())
    assert isinstance(old, rsa.RSAPublicKey)
    statement = rekey_statement(mid.sys_id, request.public_key)
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), salt_length=32)
    try:
        old.verify(base64.b64decode(request.signature, validate=True), statement, pss, hashes.SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True


def _bare(shown: str) -> str:
    return shown.replace(":", "").replace(" ", "").strip().upper().removeprefix("SHA256")
