"""Failures and fingerprints as people read them: a sentence begins with a capital letter, a command stands alone."""

from __future__ import annotations

import re
from datetime import UTC

from django import template
from django.utils.html import format_html_join
from django.utils.safestring import SafeString, mark_safe

from openmid.instance.web.labels import parse_moment

register = template.Library()
_COMMAND = re.compile(
    r":\s+(?P<command>(?:\S*/)?(?:keytool|openmid|mid\.sh|set-fips-enforced-mode\.sh)\s(?:(?!\sshows it$).)+)\Z",
    re.DOTALL,
)


@register.filter
def sentence(text: str) -> str:
    """`text` with a capital first letter, unless it begins with a name (`partner.example answered …`)."""
    first = text.partition(" ")[0]
    return text[:1].upper() + text[1:] if first.isascii() and first.isalpha() and first != "localhost" else text


@register.filter
def prose(remedy: str) -> str:
    """What a remedy says, without the command at its end."""
    return _COMMAND.sub("", remedy)


@register.filter
def command(remedy: str) -> str:
    """The command at a remedy's end; empty when there is none."""
    found = _COMMAND.search(remedy)
    return found["command"] if found else ""


@register.filter
def fingerprint(text: str) -> SafeString:
    """`AB:CD:…`, which may break after a colon only."""
    return format_html_join(mark_safe(":<wbr>"), "{}", ((pair,) for pair in text.split(":")))


@register.filter
def moment(iso: str) -> str:
    """An ISO 8601 time as the pages write times, in UTC; anything else as it is."""
    parsed = parse_moment(iso)
    return f"{parsed.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if parsed else iso
