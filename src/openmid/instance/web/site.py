"""The site: every page of the instance hangs on it."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path

from openmid.instance.web.sign_in import SignInForm
from openmid.instance.web.unfolded import Site


class InstanceSite(Site):
    """Only signed-in staff gets in (Django's rule); which records one sees is a matter of permissions."""

    index_title = "Home"
    index_template = "openmid/home.html"
    enable_nav_sidebar = True
    login_form = SignInForm

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        from openmid.instance.web.home import overview

        return super().index(request, {**overview(request), **(extra_context or {})})

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Without unfold's colours, which it would write into each page: a stylesheet has them (`colours`)."""
        return {**super().each_context(request), "colors": None}

    def get_urls(self) -> list[Any]:
        return [path("colours.css", self.colours, name="colours"), *super().get_urls()]

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
