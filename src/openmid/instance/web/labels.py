"""Small pieces of pages: labels with unfold's own template, moments and durations in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.safestring import SafeString

from openmid.instance.actions.models import State
from openmid.instance.records.clock import now

STATE_KINDS = {
    State.WAITING: "default",
    State.IN_PROGRESS: "info",
    State.COMPLETED: "success",
    State.ERROR: "danger",
    State.CANCELLED: "warning",
}
EXPIRES_SOON = timedelta(days=30)


@lru_cache(maxsize=500)  # a list has some a row, and few differ
def label(text: str, kind: str) -> SafeString:
    """`text` in a coloured box; `kind` is success, danger, warning, info or default."""
    return render_to_string("unfold/helpers/label.html", {"text": text, "type": kind})


def flag(value: bool, yes: str, no: str) -> SafeString:
    """A green `yes` or a grey `no`."""
    return label(yes, "success") if value else label(no, "default")


def state(name: str) -> SafeString:
    """An execution's state."""
    return label(name, STATE_KINDS.get(State(name), "default"))


def mid_status(status: str) -> SafeString:
    """A MID Server's status."""
    return label(status, {"Up": "success", "Down": "danger"}.get(status, "warning"))


def duration(microseconds: int | None) -> str:
    """`412 ms`, `2.41 s`, `3 min 5 s`; a dash for none."""
    if microseconds is None:
        return "–"
    if microseconds < 10_000:
        return f"{microseconds / 1000:.1f} ms"
    if microseconds < 1_000_000:
        return f"{microseconds / 1000:.0f} ms"
    if microseconds < 60_000_000:
        return f"{microseconds / 1_000_000:.2f} s"
    minutes, seconds = divmod(microseconds // 1_000_000, 60)
    return f"{minutes} min {seconds} s"


def parse_moment(text: str) -> datetime | None:
    """An ISO 8601 time of a MID Server; None when it is none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def expiry(text: str) -> tuple[str, str]:
    """A certificate's end in words (`2027-03-01, in 98 days`) and the kind of label that it deserves."""
    moment = parse_moment(text)
    if moment is None:
        return text or "–", "default"
    left = moment - timezone.now()
    if left < timedelta(0):
        return f"{moment:%Y-%m-%d}, expired", "danger"
    if left < timedelta(days=2):
        return f"{moment:%Y-%m-%d}, in {int(left.total_seconds() // 3600)} hours", "warning"
    return f"{moment:%Y-%m-%d}, in {left.days} days", "warning" if left < EXPIRES_SOON else "success"


def ago(microseconds: int | None) -> str:
    """`4 s ago`, `3 min ago`, or the date; `never` for none."""
    if microseconds is None:
        return "never"
    seconds = max(0, (now() - microseconds) // 1_000_000)
    if seconds < 60:
        return f"{seconds} s ago"
    if seconds < 3600:
        return f"{seconds // 60} min ago"
    if seconds < 86_400:
        return f"{seconds // 3600} h ago"
    return f"{datetime.fromtimestamp(microseconds / 1_000_000, UTC):%Y-%m-%d %H:%M} UTC"
