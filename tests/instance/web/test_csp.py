"""What pages may run and load."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from openmid.instance.folder import Folder
from tests.every_page import PAGES

FOREIGN = {page.path: page.foreign for page in PAGES if page.sort in ("list", "new") or page.path == "/"}
"""Which of these pages show foreign bytes. tests/browser/test_looks.py goes to those of records as well."""


def policy_of(answer: Any) -> dict[str, str]:
    return dict(part.strip().partition(" ")[::2] for part in answer["Content-Security-Policy"].split(";"))


def test_a_page_that_shows_foreign_bytes_runs_without_unsafe_eval(admin: Client) -> None:
    for path, foreign in FOREIGN.items():
        answer = admin.get(path)
        if foreign:
            assert policy_of(answer)["script-src"] == "'self'", path
            assert b"alpine" not in answer.content, path


@pytest.mark.parametrize("page", ["/", "/actions/action/", "/actions/execution/", "/login/", "/nowhere/"])
def test_every_page_has_a_policy_without_inline_scripts(admin: Client, page: str) -> None:
    answer = admin.get(page)
    policy = policy_of(answer)
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == ("'self'" if FOREIGN.get(page) else "'self' 'unsafe-eval'")
    assert policy["style-src"] == "'self'"
    assert "unsafe-inline" not in answer["Content-Security-Policy"]
    assert (policy["frame-ancestors"], policy["base-uri"], policy["form-action"]) == ("'none'", "'none'", "'self'")
    text = answer.content.decode()
    assert "<style" not in text
    assert not [tag for tag in text.split("<script")[1:] if " src=" not in tag.partition(">")[0]]


def test_the_colours_need_no_sign_in(instance: Folder) -> None:
    answer = Client(HTTP_HOST="localhost").get("/colours.css")
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/css")
    assert "--color-primary-600: oklch(51.1% .096 186.391);" in answer.content.decode()
