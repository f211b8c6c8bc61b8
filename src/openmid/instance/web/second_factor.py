"""Signing in with a code, and a user's own page for that: set it up, take it away."""

from __future__ import annotations

import time
from typing import Any

import segno
from django import forms
from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import mark_safe

from openmid.instance.access import totp
from openmid.instance.access.throttle import TooManyAttempts, throttle
from openmid.instance.audit.models import Event
from openmid.instance.audit.trail import note
from openmid.instance.records.secrets import SecretError
from openmid.instance.web.unfolded import TextWidget

PENDING, SECONDS = "openmid_second_step", 300
"""In the session: who has shown the password, and how long that holds."""
BACKEND = "django.contrib.auth.backends.ModelBackend"


class CodeForm(forms.Form):
    """Six digits, or a recovery code."""

    code = forms.CharField(
        label="One-time code",
        max_length=20,
        help_text="Six digits of the authenticator, or one of the recovery codes.",
        widget=TextWidget(attrs={"autocomplete": "one-time-code", "inputmode": "numeric", "autofocus": True}),
    )


def ask(request: HttpRequest, user: User) -> HttpResponse:
    """The password was right: go on to the code."""
    request.session[PENDING] = {"user": user.pk, "until": time.time() + SECONDS, "next": request.POST.get("next", "")}
    return HttpResponseRedirect(reverse("admin:code"))


def code(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """The second step of signing in."""
    pending = request.session.get(PENDING) or {}
    user = User.objects.filter(pk=pending.get("user", 0), is_active=True).first()
    if user is None or pending.get("until", 0) < time.time():
        return HttpResponseRedirect(reverse("admin:login"))
    form = CodeForm(request.POST or None)
    if request.method == "POST" and form.is_valid() and _right(request, user, form):
        del request.session[PENDING]
        login(request, user, BACKEND)
        return HttpResponseRedirect(_next(request, pending.get("next", "")))
    return TemplateResponse(request, "openmid/code.html", {**context, "title": "Sign in", "form": form})


def _right(request: HttpRequest, user: User, form: CodeForm) -> bool:
    name, address = user.get_username(), request.META.get("REMOTE_ADDR", "")
    try:
        throttle.check(name, address)
    except TooManyAttempts as error:
        form.add_error("code", f"Too many failed sign-ins. Wait {error.seconds} seconds and try again.")
        return False
    try:
        right = totp.passes(user, form.cleaned_data["code"])
    except SecretError:
        form.add_error("code", "The second factor does not open with this instance's key: an administrator resets it.")
        return False
    if right:
        throttle.passed(name, address)
        return True
    throttle.failed(name, address)
    note(Event.SIGN_IN_FAILED, user=name, detail="one-time code")
    form.add_error("code", "This is not the code of now, or it was used already. Wait for the next one.")
    return False


def _next(request: HttpRequest, url: str) -> str:
    safe = url_has_allowed_host_and_scheme(url, {request.get_host()}, require_https=request.is_secure())
    return url if url and safe else reverse("admin:index")


def manage(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """The signed-in user's own second factor."""
    user = request.user
    assert isinstance(user, User)
    form, codes = CodeForm(request.POST if "code" in request.POST else None), []
    if "remove" in request.POST:
        totp.remove(user)
        messages.success(request, "Two-factor sign-in is off: the password alone is enough again.")
        return HttpResponseRedirect(reverse("admin:second_factor"))
    if request.method == "POST" and form.is_valid():
        try:
            codes = totp.confirm(user, form.cleaned_data["code"])
        except totp.WrongCodeError as error:
            form.add_error("code", f"{str(error)[0].upper()}{str(error)[1:]}: {error.hint}.")
    on = totp.has(user)
    secret = "" if on else (totp.pending(user) or totp.begin(user))
    shown = {"on": on, "codes": codes, "secret": secret, "qr": _qr(user, secret), "form": form}
    answer = TemplateResponse(
        request, "openmid/second_factor.html", {**context, "title": "Two-factor sign-in", **shown}
    )
    answer["Cache-Control"] = "no-store"
    return answer


def _qr(user: User, secret: str) -> str:
    """As an SVG of ours: nothing in it comes from outside but through the QR code's modules."""
    if not secret:
        return ""
    drawn = segno.make(totp.uri(user, secret), error="m").svg_inline(scale=4, border=2, light="white", lineclass=None)
    return mark_safe(drawn)  # noqa: S308
