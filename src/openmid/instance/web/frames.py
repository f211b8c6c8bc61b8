"""Frames for foreign text: a sandboxed document with nothing but escaped text, whose origin nothing shares."""

from __future__ import annotations

from django.http import HttpResponse
from django.template.loader import render_to_string

TALLEST = 400
"""Pixels; the stylesheet bounds it, too."""
ACROSS = 110
"""Characters of a line, about."""


def text(shown: str) -> HttpResponse:
    """What a frame shows."""
    page = render_to_string("openmid/frame.html", {"text": shown})
    answer = HttpResponse(page.encode(errors="replace"), content_type="text/html; charset=utf-8")
    answer["Content-Security-Policy"] = "sandbox; default-src 'none'; style-src 'self'; frame-ancestors 'self'"
    answer["X-Frame-Options"] = "SAMEORIGIN"
    return answer


def height(shown: str) -> int:
    """Pixels of the frame that shows a text. 0: there is none."""
    lines = shown.split("\n", TALLEST)
    return min(TALLEST, 28 + 19 * sum(1 + len(line) // ACROSS for line in lines)) if shown else 0
