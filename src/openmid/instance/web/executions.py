"""Executions, and EXECUTION DETAILS: live while it runs, and every foreign byte on it is text."""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
    JsonResponse,
)
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from lxml import etree

from openmid.instance.actions import runner
from openmid.instance.actions.details import ENDED, NoSuchExecutionError, details
from openmid.instance.actions.models import Execution
from openmid.instance.ecc.writer import writer
from openmid.instance.errors import InstanceError
from openmid.instance.records import clock
from openmid.instance.web import frames, labels, streams, waterfall
from openmid.instance.web.execution_list import OnMidServer, Started, as_csv
from openmid.instance.web.long_list import LongListAdmin
from openmid.instance.web.plain import FRAME, PlainAdmin, without_eval
from openmid.instance.web.site import site
from openmid.instance.web.unfolded import action
from openmid.wire import charsets

SHOWN_CHARACTERS = 200_000
"""A longer body is cut on the page; Download has all of it."""
_PIECES = re.compile(r'"(?:\\.|[^"\\])*"|[{}\[\],:]|[^\s{}\[\],:"]+')

Json = dict[str, Any]


@admin.register(Execution, site=site)
class ExecutionAdmin(LongListAdmin, PlainAdmin):
    """The list of executions, and EXECUTION DETAILS instead of a form."""

    list_display = ("action_name", "state_label", "started", "took", "sys_created_by")
    list_filter: ClassVar = ("state", Started, OnMidServer)
    actions_list: ClassVar = ("export",)
    search_fields = ("action_name", "sys_id")
    ordering = ("-sys_created_on",)
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The queue's writer owns these rows."""
        return False

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("export.csv", wrap(self.csv), name="actions_execution_csv"),
            path("<str:sys_id>/live/", wrap(self.live), name="actions_execution_live"),
            path("<str:sys_id>/body/<int:step>/", wrap(self.body), name="actions_execution_body"),
            path("<str:sys_id>/shown/<int:step>/<str:part>/", wrap(self.shown), name="actions_execution_shown"),
            path("<str:sys_id>/cancel/", wrap(self.cancel), name="actions_execution_cancel"),
            path("<str:sys_id>/again/", wrap(self.again), name="actions_execution_again"),
            *super().get_urls(),
        ]

    @action(description="Export", permissions=["view"])
    def export(self, request: HttpRequest) -> HttpResponseBase:
        asked = request.META.get("HTTP_REFERER", "").partition("?")[2]
        return HttpResponseRedirect(f"{reverse('admin:actions_execution_csv')}?{asked}")

    def csv(self, request: HttpRequest) -> HttpResponseBase:
        """The executions of the list, under its filters, as CSV."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return streams.csv(as_csv(self.filtered(request)), "execution.csv")

    @without_eval
    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Json | None = None
    ) -> Any:
        """EXECUTION DETAILS."""
        found = self._details(request, object_id)
        context = {
            **site.each_context(request),
            **FRAME,
            "title": "EXECUTION DETAILS",
            "content_title": found["action"],
            "model_admin": self,
            "execution": presented(found),
            "ended": found["state"] in ENDED,
            "may_run": self.has_run_permission(request),
        }
        return TemplateResponse(request, "openmid/execution.html", context)

    def live(self, request: HttpRequest, sys_id: str) -> JsonResponse:
        """What the page asks for twice a second: `{"state", "ended", "html"}`."""
        found = self._details(request, sys_id)
        context = {"execution": presented(found), "may_run": self.has_run_permission(request)}
        html = render_to_string("openmid/execution_body.html", context, request=request)
        return JsonResponse({"state": found["state"], "ended": found["state"] in ENDED, "html": html})

    def cancel(self, request: HttpRequest, sys_id: str) -> HttpResponse:
        """End it: at once, or when its MID Server has stopped the call."""
        self._demand_run(request, sys_id)
        ended = writer().run(lambda connection: runner.cancel(connection, sys_id))
        messages.info(request, "Cancelled." if ended else "The MID Server is told to stop the call.")
        return HttpResponseRedirect(reverse("admin:actions_execution_change", args=[sys_id]))

    def again(self, request: HttpRequest, sys_id: str) -> HttpResponse:
        """Run what it ran."""
        self._demand_run(request, sys_id)
        user = request.user.get_username()
        try:
            started = writer().run(lambda connection: runner.begin_again(connection, sys_id, user, None))
        except InstanceError as error:
            messages.error(request, f"{error}. {error.hint}")
            started = sys_id
        return HttpResponseRedirect(reverse("admin:actions_execution_change", args=[started]))

    def has_run_permission(self, request: HttpRequest) -> bool:
        """Who may start and cancel executions."""
        return bool(getattr(request.user, "has_perm", lambda _: False)("actions.add_execution"))

    def _demand_run(self, request: HttpRequest, sys_id: str) -> None:
        self._details(request, sys_id)
        if request.method != "POST" or not self.has_run_permission(request):
            raise PermissionDenied

    def body(self, request: HttpRequest, sys_id: str, step: int) -> HttpResponse:
        """A step's whole response body, as a file that no browser renders."""
        output = self._output(request, sys_id, step)
        answer = HttpResponse(_raw(output), content_type="application/octet-stream")
        answer["Content-Disposition"] = f'attachment; filename="{sys_id}-{step + 1}.body"'
        answer["Content-Security-Policy"] = "sandbox; default-src 'none'"
        return answer

    def shown(self, request: HttpRequest, sys_id: str, step: int, part: str) -> HttpResponse:
        """A body or a fault's detail as the page's frame shows it: text, of an origin that nothing shares."""
        output = self._output(request, sys_id, step)
        text = (_body(output) or {}).get("text", "") if part == "body" else _fault(output)
        return frames.text(text)

    def _output(self, request: HttpRequest, sys_id: str, step: int) -> Json:
        steps = self._details(request, sys_id)["steps"]
        output: Json = steps[step]["output"] if step < len(steps) else {}
        if not output:
            raise Http404("this step has no response body")
        return output

    def _details(self, request: HttpRequest, sys_id: str) -> Json:
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            return details(sys_id)
        except NoSuchExecutionError as error:
            raise Http404(str(error)) from None

    @admin.display(description="State", ordering="state")
    def state_label(self, execution: Execution) -> SafeString:
        return labels.state(execution.state)

    @admin.display(description="Started", ordering="sys_created_on")
    def started(self, execution: Execution) -> str:
        return f"{clock.moment(execution.sys_created_on):%Y-%m-%d %H:%M:%S} UTC"

    @admin.display(description="Duration")
    def took(self, execution: Execution) -> str:
        return labels.duration(execution.finished - execution.sys_created_on if execution.finished else None)


def presented(found: Json) -> Json:
    """`details` with what the template needs beside it: labels, durations in words, pretty bodies."""
    steps = [_step(step, position) for position, step in enumerate(found["steps"])]
    mids = dict.fromkeys(step["integration_metadata"]["mid_server"] for step in steps)
    return {
        **found,
        "ended": found["state"] in ENDED,
        "state_label": labels.state(found["state"]),
        "started": _moment(found["start"]),
        "took": _milliseconds(found["duration_ms"]),
        "given": _named(found["inputs"]),
        "gives": _named(found["outputs"]),
        "mid_servers": ", ".join(filter(None, mids)),
        "steps": steps,
    }


def _step(step: Json, position: int) -> Json:
    status = step["output"].get("status_code")
    return {
        **step,
        "position": position,
        "state_label": labels.state(step["state"]),
        "started": _moment(step["start"]),
        "took": _milliseconds(step["duration_ms"]),
        "status_kind": "good" if status and status < 300 else "bad" if status and status >= 400 else "odd",
        "body": _body(step["output"]),
        "request_body": _pretty(step["configuration"]["body"]),
        "request_body_note": "binary, shown as base64" if step["configuration"]["body_is_base64"] else "",
        "read": _named(step["outputs"]),
        "fault_height": frames.height(_fault(step["output"])),
        "timing": waterfall.rows(step["integration_metadata"]["timing_us"], _us(step["duration_ms"])),
        "expiry": _expiry(step["integration_metadata"]["server_certificate"]["not_after"]),
    }


def _body(output: Json) -> Json | None:
    """The response body to show: `{text, note}`; None where there is none."""
    if not output.get("body"):
        return None
    if output["body_is_base64"]:
        text, note = output["body"], f"binary, {len(_raw(output)):,} bytes, shown as base64"
    else:
        text, note = _pretty(output["body"]), f"{len(_raw(output)):,} bytes"
    if len(text) > SHOWN_CHARACTERS:
        text, note = text[:SHOWN_CHARACTERS], f"{note}; the first {SHOWN_CHARACTERS:,} characters are shown"
    return {"text": text, "note": note, "height": frames.height(text)}


def _fault(output: Json) -> str:
    """The detail of a SOAP fault."""
    return _pretty((output.get("fault") or {}).get("detail", ""))


def _raw(output: Json) -> bytes:
    if not output["body_is_base64"]:
        return charsets.as_sent(output["headers"], output["body"])
    try:
        return base64.b64decode(output["body"])
    except binascii.Error:
        return b""


def _pretty(body: str) -> str:
    """JSON and XML indented, anything else as it is."""
    start = body.lstrip()[:1]
    if len(body) > SHOWN_CHARACTERS or start not in ("{", "[", "<"):
        return body
    try:
        if start == "<":
            return _pretty_xml(body)
        return _pretty_json(body)
    except (ValueError, RecursionError, etree.XMLSyntaxError):
        return body


def _pretty_json(body: str) -> str:
    """Its own tokens, indented: a number as it is written, and a name as often as it is there. Raises ValueError."""
    json.loads(body)
    out, depth, before = [], 0, ""
    for piece in _PIECES.findall(body):
        depth -= piece in ("}", "]")
        if before == "," or (before in ("{", "[")) != (piece in ("}", "]")):
            out.append("\n" + "  " * depth)
        out.append(": " if piece == ":" else _readable(piece) if piece[0] == '"' else piece)
        depth += piece in ("{", "[")
        before = piece
    return "".join(out)


def _readable(piece: str) -> str:
    """A string without escapes, where that is a text."""
    text = json.dumps(json.loads(piece), ensure_ascii=False)
    return text if text.isprintable() else piece


def _pretty_xml(body: str) -> str:
    """No entity is expanded and nothing is fetched; text that matters is not touched where elements and text are mixed."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_blank_text=True)
    root = etree.fromstring(body.encode(), parser)
    return str(etree.tostring(root, encoding="unicode", pretty_print=True)).rstrip()


def _named(values: Json) -> list[tuple[str, str]]:
    """Inputs or outputs as pairs of texts."""
    shown = {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in values.items()
    }
    return [(name, text[:SHOWN_CHARACTERS]) for name, text in shown.items()]


def _us(milliseconds: float | None) -> int | None:
    return int(milliseconds * 1000) if milliseconds is not None else None


def _expiry(not_after: str) -> SafeString | str:
    return labels.label(*labels.expiry(not_after)) if not_after else ""


def _moment(iso: str | None) -> str:
    return f"{iso[:10]} {iso[11:19]} UTC" if iso else "–"


def _milliseconds(value: float | None) -> str:
    return labels.duration(int(value * 1000) if value is not None else None)
