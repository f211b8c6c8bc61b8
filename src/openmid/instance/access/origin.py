"""Requests that a page of another site lets a browser send: with HTTP Basic the browser adds the password by itself."""

from __future__ import annotations

SENTENCE = "A page of another site may not call the API"
DETAIL = "scripts call it without a browser; pages of this instance call it as their own"


def is_foreign(fetch_site: str | None) -> bool:
    """Whether the header Sec-Fetch-Site says so. Every browser sends it over HTTPS; nothing else does."""
    return fetch_site in ("cross-site", "same-site")
