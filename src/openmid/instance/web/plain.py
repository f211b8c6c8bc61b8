"""Pages without Alpine, so without unsafe-eval: whatever shows bytes of partners or of MID Servers.

`templates/openmid/plain.html` is their frame in place of unfold's (`templates/admin/base_site.html` chooses), and
`static/openmid/plain.js` does there what Alpine does on unfold's pages. tests/every_page.py says which they are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from csp.constants import NONE, SELF
from csp.decorators import csp_replace
from django.http import HttpRequest
from django.utils.decorators import method_decorator

from openmid.instance.web.unfolded import Admin

POLICY = {"script-src": [SELF], "style-src-attr": [NONE], "frame-src": [SELF]}
"""In place of the directives of settings.py; frames are bodies and logs."""
FRAME: dict[str, Any] = {"frame": "openmid/plain.html"}

View = TypeVar("View", bound=Callable[..., Any])


def without_eval(view: View) -> View:
    """The view's answer under `POLICY`. It has to be made with the context `FRAME`."""
    return method_decorator(csp_replace(POLICY))(view)


class PlainAdmin(Admin):
    """The list, the records, their history and their removal are plain pages."""

    @without_eval
    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        return super().changelist_view(request, FRAME | (extra_context or {}))

    @without_eval
    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> Any:
        return super().change_view(request, object_id, form_url, FRAME | (extra_context or {}))

    @without_eval
    def history_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> Any:
        return super().history_view(request, object_id, FRAME | (extra_context or {}))

    @without_eval
    def delete_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> Any:
        return super().delete_view(request, object_id, FRAME | (extra_context or {}))
