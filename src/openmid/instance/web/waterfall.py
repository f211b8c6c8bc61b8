"""Where a step's time went, as bars: numbers in, positions for an SVG out (attributes only: no inline style)."""

from __future__ import annotations

from typing import Any

from openmid.instance.web import labels

WIDTH = 1000
"""Units across."""
THINNEST = 4
PHASES = (
    ("dns", "DNS"),
    ("connect", "Connect"),
    ("tls", "TLS handshake"),
    ("first_byte", "Server"),
    ("transfer", "Transfer"),
)
Row = dict[str, Any]


def rows(timing_us: dict[str, int], step_us: int | None) -> list[Row]:
    """One row for each phase that happened, in order: `title`, `took`, `x` and `width` of `WIDTH`.

    `step_us` is how long the step took for the instance: what the call does not account for was the way through the queue
    and back. A phase that took no time has no row, but for Queued and Claimed: they always happen.
    """
    spans = [(title, timing_us.get(name, -1)) for name, title in PHASES]
    known = sum(span for _, span in spans if span > 0)
    total = max(timing_us.get("total", -1), known)
    way = _way(timing_us, step_us, total)
    if total <= 0 and timing_us.get("queued", -1) < 0:
        return []
    if total > known:
        spans.append(("Other", total - known))
    return _placed([(title, span) for title, span in way + spans if span > 0 or title in ("Queued", "Claimed")])


def _way(timing_us: dict[str, int], step_us: int | None, total: int) -> list[tuple[str, int]]:
    """The time before and around the call: on the queue, and with the MID Server; in one where the claim is not known."""
    if timing_us.get("queued", -1) >= 0:
        return [("Queued", timing_us["queued"]), ("Claimed", timing_us["claimed"])]
    return [("Queue and way", step_us - total)] if step_us is not None and step_us > total else []


def _placed(spans: list[tuple[str, int]]) -> list[Row]:
    whole, at, found = max(1, sum(span for _, span in spans)), 0, []
    for title, span in spans:
        x = min(at * WIDTH // whole, WIDTH - THINNEST)
        width = max(THINNEST, span * WIDTH // whole)
        found.append({"title": title, "took": labels.duration(span), "x": x, "width": min(width, WIDTH - x)})
        at += span
    return found
