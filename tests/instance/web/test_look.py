"""Templates use only classes that exist, and words come out as people read them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import unfold

from openmid.instance import web
from openmid.instance.records.clock import now
from openmid.instance.web import labels
from openmid.instance.web.templatetags.wording import command, fingerprint, moment, prose, sentence

WEB = Path(web.__file__).parent
UNFOLD = Path(unfold.__file__).parent / "static" / "unfold"
BEHAVIOUR = {"group", "hidden", "addlink", "related-lookup", "colM", "actions", "action-counter", "all"}


def classes_of(stylesheet: Path) -> set[str]:
    return {re.sub(r"\\(.)", r"\1", name) for name in re.findall(r"\.((?:\\.|[\w-])+)", stylesheet.read_text())}


def test_every_class_of_the_templates_exists() -> None:
    known = BEHAVIOUR | classes_of(UNFOLD / "css" / "styles.css") | classes_of(WEB / "static/openmid/pages.css")
    known |= classes_of(UNFOLD / "fonts" / "material-symbols" / "styles.css")
    unknown = set()
    for template in WEB.rglob("*.html"):
        text = re.sub(r"{%.*?%}|{{.*?}}|{#.*?#}", " ", template.read_text(), flags=re.DOTALL)
        for names in re.findall(r'class="([^"]*)"', text):
            unknown |= {(template.name, name) for name in names.split() if name not in known and name[-1] != "-"}
    assert unknown == set()


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [(None, "–"), (812, "0.8 ms"), (271_400, "271 ms"), (2_412_000, "2.41 s"), (185_000_000, "3 min 5 s")],
)
def test_durations(microseconds: int | None, text: str) -> None:
    assert labels.duration(microseconds) == text


@pytest.mark.parametrize(("seconds", "text"), [(4, "4 s ago"), (200, "3 min ago"), (7300, "2 h ago")])
def test_ago(seconds: int, text: str) -> None:
    assert labels.ago(now() - seconds * 1_000_000) == text


def test_expiry() -> None:
    assert labels.expiry("2001-01-01T00:00:00Z") == ("2001-01-01, expired", "danger")
    assert labels.expiry("2999-01-01T00:00:00+00:00")[1] == "success"
    assert labels.expiry("not a date") == ("not a date", "default")
    assert labels.expiry("") == ("–", "default")


@pytest.mark.parametrize(
    ("remedy", "said", "to_run"),
    [
        (
            "convert it and set the profile's Keystore path to /c.bcfks: /a b/keytool -importkeystore -v",
            "convert it and set the profile's Keystore path to /c.bcfks: /a b/keytool -importkeystore -v",
            "",
        ),
        (
            "convert it: agent/jre/bin/keytool -importkeystore -v",
            "convert it",
            "agent/jre/bin/keytool -importkeystore -v",
        ),
        ("make a new one: openmid instance mid token mid1", "make a new one", "openmid instance mid token mid1"),
        (
            "put the key into /k: agent/bin/keytool -list -keystore /k shows it",
            "put the key into /k: agent/bin/keytool -list -keystore /k shows it",
            "",
        ),
        ("check the connection's Port", "check the connection's Port", ""),
    ],
)
def test_a_remedys_command_stands_by_itself(remedy: str, said: str, to_run: str) -> None:
    assert (prose(remedy), command(remedy)) == (said, to_run)


def test_sentences_begin_with_a_capital_letter_and_names_keep_theirs() -> None:
    assert sentence("the keystore is PKCS12") == "The keystore is PKCS12"
    assert sentence("partner.example answered 403") == "partner.example answered 403"
    assert sentence("") == ""


def test_a_fingerprint_breaks_after_colons_only() -> None:
    assert fingerprint("AB:<b>") == "AB:<wbr>&lt;b&gt;"


def test_moments_are_utc() -> None:
    assert moment("2026-11-23T11:04:49+01:00") == "2026-11-23 10:04:49 UTC"
    assert moment("soon") == "soon"
