"""The sign-in page's form."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError

from openmid.instance.access.throttle import TooManyAttempts, throttle
from openmid.instance.web.unfolded import SignInBase


class SignInForm(SignInBase):
    """A name and a password, and not too often a wrong one."""

    def clean(self) -> dict[str, Any]:
        """Sign in.

        Raises:
            ValidationError: wrong, or too often wrong.
        """
        name = self.cleaned_data.get("username") or ""
        address = self.request.META.get("REMOTE_ADDR", "") if self.request else ""
        try:
            throttle.check(name, address)
            cleaned: dict[str, Any] = super().clean()
        except TooManyAttempts as error:
            raise ValidationError(f"Too many failed sign-ins. Wait {error.seconds} seconds and try again.") from None
        except ValidationError:
            throttle.failed(name, address)
            raise
        throttle.passed(name, address)
        return cleaned
