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
    and back.
    """
    spans = [(title, timing_us.get(name, -1)) for name, title in PHASES]
    known = sum(span for _, span in spans if span > 0)
    total = max(timing_us.get("total", -1), known)
    if total <= 0:
        return []
    if total > known:
        spans.append(("Other", total - known))
    if step_us is not None and step_us > total:
        spans.insert(0, ("Queue and way", step_us - total))
    return _placed([(title, span) for title, span in spans if span > 0])


def _placed(spans: list[tuple[str, int]]) -> list[Row]:
    whole, at, found = sum(span for _, span in spans), 0, []
    for title, span in spans:
        x = min(at * WIDTH // whole, WIDTH - THINNEST)
        width = max(THINNEST, span * WIDTH // whole)
        found.append({"title": title, "took": labels.duration(span), "x": x, "width": min(width, WIDTH - x)})
        at += span
    return found
