"""A second factor for signing in: time-based one-time codes (RFC 6238: HMAC-SHA-1, 6 digits, 30 seconds).

A code counts once. Recovery codes, each for one sign-in, are for the day when the telephone is lost. Who has a second factor
signs in to the API with a token: a password alone would go around it.
"""

from __future__ import annotations

import hmac
import json
import time

import pyotp
from django.contrib.auth.models import User
from django.db.models import F

from openmid.fips import keys
from openmid.instance.access.models import TotpDevice
from openmid.instance.errors import InstanceError
from openmid.instance.records.secrets import digest, reveal

ISSUER = "openmid"
STEP_S = 30
EARLIER, LATER = 1, 1
"""So many steps may the user's clock be off."""
RECOVERY_CODES = 8


class WrongCodeError(InstanceError):
    """Raised when a code is not the one of now, or was used already."""


def has(user: User) -> bool:
    """Whether signing in takes a code."""
    return TotpDevice.objects.filter(user=user, confirmed=True).exists()


def begin(user: User) -> str:
    """A new secret (base32), which counts once `confirm` has seen a code of it. One that was confirmed stays until then."""
    TotpDevice.objects.filter(user=user, confirmed=False).delete()
    device = TotpDevice(user=user, secret=pyotp.random_base32())
    clear = device.secret
    device.save()
    return clear


def uri(user: User, secret: str) -> str:
    """What an authenticator reads from the QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=user.get_username(), issuer_name=ISSUER)


def pending(user: User) -> str:
    """The secret that waits for its first code; empty: none."""
    device = TotpDevice.objects.filter(user=user, confirmed=False).first()
    return reveal(device, "secret") if device else ""


def confirm(user: User, code: str) -> list[str]:
    """From now on signing in takes a code. Returns the recovery codes, which are shown this once.

    Raises:
        WrongCodeError.
    """
    device = TotpDevice.objects.filter(user=user, confirmed=False).first()
    if device is None or not _takes(device, code):
        raise WrongCodeError("this is not the code that the authenticator shows now", "check the time of both devices")
    codes = [f"{text[:5]}-{text[5:10]}" for text in (keys.random_bytes(5).hex() for _ in range(RECOVERY_CODES))]
    TotpDevice.objects.filter(user=user, confirmed=True).delete()
    device.refresh_from_db()
    device.confirmed, device.recovery = True, json.dumps([digest(each) for each in codes])
    device.save()
    return codes


def passes(user: User, code: str) -> bool:
    """Whether the code is right: the authenticator's, or a recovery code, which is spent by this."""
    device = TotpDevice.objects.filter(user=user, confirmed=True).first()
    return device is not None and (_takes(device, code) or _recovers(device, code))


def remove(user: User) -> bool:
    """Sign in with the password alone again. Returns whether there was something to remove."""
    found = TotpDevice.objects.filter(user=user)
    count = len(found)
    for device in found:
        device.delete()
    return count > 0


def _takes(device: TotpDevice, code: str) -> bool:
    """Right, and not used: of two requests with one code the database lets one through."""
    text = code.replace(" ", "")
    right = pyotp.TOTP(reveal(device, "secret"))
    now = int(time.time()) // STEP_S
    for step in range(now - EARLIER, now + LATER + 1):
        if text.isascii() and hmac.compare_digest(right.at(step * STEP_S), text):
            return TotpDevice.objects.filter(pk=device.pk, last_step__lt=step).update(last_step=step) == 1
    return False


def _recovers(device: TotpDevice, code: str) -> bool:
    kept = json.loads(reveal(device, "recovery"))
    given = digest(code.strip().lower())
    if given not in kept:
        return False
    spent = TotpDevice.objects.filter(pk=device.pk, spent=device.spent).update(spent=F("spent") + 1)
    if spent != 1:
        return False
    device.refresh_from_db()
    device.recovery = json.dumps([each for each in kept if each != given])
    device.save()
    return True
