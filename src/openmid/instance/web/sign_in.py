"""The sign-in page's form."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError

from openmid.instance.access import totp
from openmid.instance.access.throttle import TooManyAttempts, throttle
from openmid.instance.web.unfolded import SignInBase


class SecondStepError(Exception):
    """Raised when the password was right and a code is asked for."""

    def __init__(self, user: User) -> None:
        super().__init__(user.get_username())
        self.user = user


class SignInForm(SignInBase):
    """A name and a password, and not too often a wrong one."""

    error_messages = {  # noqa: RUF012  # Django's, which the stub declares on instances
        **SignInBase.error_messages,
        "invalid_login": "There is no user who may sign in with this name and password. Both are case-sensitive.",
    }

    def confirm_login_allowed(self, user: Any) -> None:
        """After the password: who has a second factor is not in yet.

        Raises:
            SecondStepError.
        """
        super().confirm_login_allowed(user)
        if totp.has(user):
            raise SecondStepError(user)

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
