"""The site: every page of the instance hangs on it."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.template.response import TemplateResponse

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


site = InstanceSite(name="admin")
