"""How the text of a body is encoded: what says so, and the way back from a text to the bytes that were sent."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable

# Python calls these encodings too; of long bodies some take minutes.
_NONE = frozenset({"idna", "punycode", "undefined", "unicode-escape", "raw-unicode-escape"})
_NAMED = re.compile(r""";\s*charset\s*=\s*["']?([^\s;"']+)""", re.IGNORECASE)
_DECLARED = re.compile(r"""\A\s*<\?xml\s[^>]*?\sencoding\s*=\s*["']([\w.:-]{1,40})["']""", re.ASCII)
_DECLARATION = re.compile(r"\A\ufeff?\s*<\?xml\s[^>]*\?>")
_WIDE = ("utf", "ucs", "iso-10646")


def known(charset: str) -> bool:
    """Whether it is a charset that texts come in.

    Raises:
        LookupError, ValueError: it is none at all.
    """
    return codecs.lookup(charset).name not in _NONE


def content_type(headers: Iterable[Iterable[str]]) -> str:
    """The first that the headers name; empty: none."""
    return next((value for name, value in headers if name.lower() == "content-type"), "")


def named(content_type: str) -> str | None:
    """The charset that a Content-Type names."""
    found = _NAMED.search(content_type)
    return found[1] if found else None


def written(headers: Iterable[Iterable[str]], text: str) -> bytes:
    """A text as the bytes that its own headers say it is; in UTF-8 where they name no charset, or one that nobody knows.

    Raises:
        ValueError: it has characters that the charset has not.
    """
    charset = named(content_type(headers))
    try:
        usable = charset if charset and known(charset) else "utf-8"
    except (ValueError, LookupError):
        usable = "utf-8"
    try:
        return text.encode(usable)
    except UnicodeEncodeError as error:
        raise ValueError(f"its Content-Type says {usable}, which has no {text[error.start]!r}") from None
    except LookupError:  # base64 and others, which are no encodings of texts
        return text.encode()


def declared(content_type: str, start: str) -> str | None:
    """What an XML document says of itself (RFC 7303, 3), of which `start` could be read as ASCII; None for no XML, and for
    UTF-8, which needs no word. What calls itself UTF-16 and can be read so far is not: .NET sends such documents."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in ("text/xml", "application/xml") and not kind.endswith("+xml"):
        return None
    found = _DECLARED.match(start)
    return found[1] if found and not found[1].lower().startswith(_WIDE) else None


def undeclared(text: str) -> str:
    """An XML document without what it says of the bytes that it was read from: of a text that is not so any more."""
    return _DECLARATION.sub("", text)


def as_sent(headers: Iterable[Iterable[str]], text: str) -> bytes:
    """The bytes of an answer's body, as far as its text and its headers tell."""
    kind = content_type(headers)
    charset = named(kind) or declared(kind, text[:1024])
    try:
        return text.encode(charset if charset and known(charset) else "utf-8")
    except (ValueError, LookupError):
        return text.encode(errors="surrogatepass")
