"""The site: every page of the instance hangs on it."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path
from django.views.decorators.cache import never_cache

from openmid.instance.web.plain import FRAME, without_eval
from openmid.instance.web.sign_in import SecondStepError, SignInForm
from openmid.instance.web.unfolded import Site


class InstanceSite(Site):
    """Only signed-in staff gets in (Django's rule); which records one sees is a matter of permissions."""

    index_title = "Home"
    index_template = "openmid/home.html"
    enable_nav_sidebar = True
    login_form = SignInForm

    @without_eval
    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        from openmid.instance.web.home import overview

        return super().index(request, {**FRAME, **overview(request), **(extra_context or {})})

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Without unfold's colours, which it would write into each page: a stylesheet has them (`colours`)."""
        return {**super().each_context(request), "colors": None}

    def get_urls(self) -> list[Any]:
        return [
            path("colours.css", self.colours, name="colours"),
            path("login/code/", never_cache(self.code), name="code"),
            path("second-factor/", self.admin_view(self.second_factor), name="second_factor"),
            *super().get_urls(),
        ]

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The password; then, for those who have a second factor, the code."""
        from openmid.instance.web import second_factor

        try:
            return super().login(request, extra_context)
        except SecondStepError as step:
            return second_factor.ask(request, step.user)

    def code(self, request: HttpRequest) -> HttpResponse:
        """The second step of signing in."""
        from openmid.instance.web import second_factor

        return second_factor.code(request, self.each_context(request))

    def second_factor(self, request: HttpRequest) -> HttpResponse:
        """A user's own second factor."""
        from openmid.instance.web import second_factor

        return second_factor.manage(request, self.each_context(request))

    def colours(self, request: HttpRequest) -> HttpResponse:
        """The colours of the theme, for everybody: the sign-in page has them too."""
        found = super().each_context(request)
        lines = [
            f"--color-{name}-{weight}: {value};"
            for name, each in found["colors"].items()
            for weight, value in each.items()
        ]
        text = ":root {" + f"--border-radius: {found['border_radius']}; {' '.join(lines)}" + "}\n"
        return HttpResponse(text, content_type="text/css", headers={"Cache-Control": "max-age=3600"})


site = InstanceSite(name="admin")
