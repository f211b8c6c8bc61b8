"""multipart/related (RFC 2387), as MTOM has it: its root is the envelope, what else there is are attachments."""

from __future__ import annotations

import email.message
import email.parser
import email.policy

_MOST_PARTS, _MOST_HEADERS = 1000, 64 * 1024


def is_related(content_type: str) -> bool:
    """Whether a body of this type has a root."""
    return content_type.partition(";")[0].strip().lower() == "multipart/related"


def root(content_type: str, body: bytes) -> bytes:
    """The part that `start` names, else the first; nothing where there is none. Only that one is parsed."""
    try:
        return _root(content_type, body)
    except Exception:  # of some headers Python's parser trips over itself; the answer is one all the same
        return b""


def _root(content_type: str, body: bytes) -> bytes:
    outer = _parsed(f"Content-Type: {content_type}\r\n\r\n".encode("latin-1", "replace"))
    boundary, start = str(outer.get_param("boundary") or ""), str(outer.get_param("start") or "").strip()
    if not boundary:
        return b""
    # The first delimiter may have no line before it.
    parts = (b"\n" + body).split(b"\n--" + boundary.encode("latin-1", "replace"), _MOST_PARTS)[1:]
    parts = [part.partition(b"\n")[2].removesuffix(b"\r") for part in parts if not part.startswith(b"--")]
    chosen = [part for part in parts if start and _name(part) == start] or parts[:1]
    payload = _parsed(chosen[0]).get_payload(decode=True) if chosen else b""
    return payload if isinstance(payload, bytes) else b""


def _name(part: bytes) -> str:
    head = part[:_MOST_HEADERS].replace(b"\r\n", b"\n").partition(b"\n\n")[0]
    return str(_parsed(head + b"\n\n").get("Content-ID", "")).strip()


def _parsed(raw: bytes) -> email.message.EmailMessage:
    return email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(raw)
