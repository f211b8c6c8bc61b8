"""The machine's own apt lists, read so that the distribution's entries can be asked for sources. Nothing is changed.

Both spellings are read: one-line `.list` files and deb822 `.sources` files (sources.list(5)).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

APT = Path("/etc/apt")
# The distribution's own entries are signed by its own key ring; other people's name theirs.
KEYRINGS = ("debian-archive-keyring", "ubuntu-archive-keyring")
SUITE_ENDINGS = ("", "-updates", "-security", "/updates")
ALIASES = ("stable", "testing", "unstable", "sid")
_ONE_LINE = re.compile(
    r"^deb(?:-src)?\s+(?:\[(?P<options>[^]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<components>.+)$"
)


@dataclass(frozen=True)
class Entry:
    """One archive: where, which suite, and by which key ring it is signed (empty: apt's default)."""

    uri: str
    suite: str
    components: tuple[str, ...]
    signed_by: str = ""

    def is_the_distributions_own(self, codename: str) -> bool:
        suites = {name + ending for name in (codename, *ALIASES) if name for ending in SUITE_ENDINGS}
        own_key = not self.signed_by or any(name in self.signed_by for name in KEYRINGS)
        return own_key and self.suite in suites and "main" in self.components and not self.uri.startswith("cdrom:")

    def as_source_line(self) -> str:
        options = f"[signed-by={self.signed_by}] " if self.signed_by else ""
        return f"deb-src {options}{self.uri} {self.suite} main"


def source_lines(codename: str, apt: Path = APT) -> list[str]:
    """A `deb-src` line for each of the distribution's own entries; empty when there is none."""
    return list(
        dict.fromkeys(entry.as_source_line() for entry in entries(apt) if entry.is_the_distributions_own(codename))
    )


def entries(apt: Path = APT) -> Iterator[Entry]:
    """Every enabled entry of sources.list and sources.list.d."""
    lists = [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*.list"))]
    for path in lists:
        if path.is_file():
            yield from _one_line_entries(path.read_text(errors="replace"))
    for path in sorted((apt / "sources.list.d").glob("*.sources")):
        yield from _deb822_entries(path.read_text(errors="replace"))


def _one_line_entries(text: str) -> Iterator[Entry]:
    for row in text.splitlines():
        found = _ONE_LINE.match(row.partition("#")[0].strip())
        if found:
            options = dict(word.split("=", 1) for word in (found["options"] or "").split() if "=" in word)
            components = tuple(found["components"].split())
            yield Entry(found["uri"], found["suite"], components, options.get("signed-by", ""))


def _deb822_entries(text: str) -> Iterator[Entry]:
    clear = "\n".join(row for row in text.splitlines() if not row.startswith("#"))
    for stanza in re.split(r"\n\s*\n", clear):
        fields: dict[str, str] = {}
        key = ""
        for row in stanza.splitlines():
            if row[:1].isspace():
                fields[key] = fields.get(key, "") + "\n" + row.strip()
            elif ":" in row:
                key, _, value = row.partition(":")
                key = key.strip().lower()
                fields[key] = value.strip()
        if fields.get("enabled", "yes").lower() in ("no", "false"):
            continue
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                yield Entry(
                    uri,
                    suite,
                    tuple(fields.get("components", "").split()),
                    " ".join(fields.get("signed-by", "").split()),
                )
