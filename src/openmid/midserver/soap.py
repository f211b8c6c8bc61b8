"""SOAP over HTTP: what the version asks for in a request, MTOM, and the fault in an answer.

SOAP 1.1, section 6.1.1 (SOAPAction) and 4.4 (Fault); SOAP 1.2 part 1, section 5.4 and part 2, section 6.5.3; MTOM and XOP
(W3C Recommendations of 25 January 2005) over multipart/related (RFC 2387).
"""

from __future__ import annotations

import re

from openmid.midserver.bodies import Header, Streamed, content, inline, new_boundary, one_line
from openmid.wire import related
from openmid.wire.probes import Attachment, SoapFault, SoapProbe

TYPES = {"1.1": "text/xml", "1.2": "application/soap+xml"}
ENVELOPES = {
    "1.1": "http://schemas.xmlsoap.org/soap/envelope/",
    "1.2": "http://www.w3.org/2003/05/soap-envelope",
}
ROOT = "envelope@openmid"
MOST_DETAIL = 64 * 1024
_CONTENT_ID = re.compile(r"[\w.!#$%&'*+/=?^`{|}~@-]{1,200}", re.ASCII)
_FAULT = re.compile(rb"[:<]Fault[\s>/]")


def of(probe: SoapProbe) -> tuple[bytes | Streamed | None, list[Header]]:
    """The body of a SOAP request, and the headers that belong to it.

    Raises:
        ValueError: no envelope, or a name or action that no header can hold.
    """
    envelope = inline(probe)
    if envelope is None or probe.attachment is not None:
        raise ValueError("a SOAP request has an envelope as its body, and attachments as parts")
    if '"' in one_line(probe.action):
        raise ValueError("the SOAP action holds a quotation mark")
    action = [("SOAPAction", f'"{probe.action}"')] if probe.version == "1.1" else []
    if probe.parts:
        return _mtom(probe, envelope, action)
    return envelope, [("Content-Type", _kind(probe)), *action]


def _kind(probe: SoapProbe) -> str:
    kind = f"{TYPES[probe.version]}; charset=utf-8"
    return f'{kind}; action="{probe.action}"' if probe.action and probe.version == "1.2" else kind


def _mtom(probe: SoapProbe, envelope: bytes, action: list[Header]) -> tuple[Streamed, list[Header]]:
    boundary, kind = new_boundary(), TYPES[probe.version]
    outer = f'multipart/related; type="application/xop+xml"; start="<{ROOT}>"; start-info="{kind}"; boundary={boundary}'
    if probe.action and probe.version == "1.2":
        outer += f'; action="{probe.action}"'
    root = f'application/xop+xml; charset=utf-8; type="{kind}"'
    pieces: list[bytes | Attachment] = [_head(boundary, root, ROOT), envelope, b"\r\n"]
    for part in probe.parts:
        if not _CONTENT_ID.fullmatch(part.name):
            raise ValueError(f'"{part.name[:50]}" cannot be a Content-ID: it is made of letters, digits and - . _ @')
        own = part.content_type or (part.attachment.content_type if part.attachment else "application/octet-stream")
        pieces += [_head(boundary, one_line(own), part.name), content(part), b"\r\n"]
    pieces.append(f"--{boundary}--\r\n".encode())
    return Streamed(tuple(pieces)), [("Content-Type", outer), *action]


def _head(boundary: str, kind: str, name: str) -> bytes:
    lines = [
        f"--{boundary}",
        f"Content-Type: {kind}",
        "Content-Transfer-Encoding: binary",
        f"Content-ID: <{name}>",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def fault(content_type: str, body: bytes) -> SoapFault | None:
    """The SOAP fault in an answer; None where there is none, or the answer is no SOAP.

    No entity is expanded, nothing is fetched, and depth and size have libxml2's own bounds.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if related.is_related(content_type):
        body = related.root(content_type, body)
    elif kind not in (*TYPES.values(), "application/xml"):
        return None
    return _parsed(body) if _FAULT.search(body) or body.startswith((b"\xff\xfe", b"\xfe\xff")) else None


def _parsed(body: bytes) -> SoapFault | None:
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError):
        return None
    if root.getroottree().docinfo.doctype:
        return None  # SOAP 1.1, 3 and SOAP 1.2, 5: a message holds no document type declaration
    for read, envelope in ((_of_11, ENVELOPES["1.1"]), (_of_12, ENVELOPES["1.2"])):
        found = root.find(f"{{{envelope}}}Body/{{{envelope}}}Fault")
        if found is not None:
            return read(found, f"{{{envelope}}}")
    return None


def _of_11(fault: object, _: str) -> SoapFault:
    return SoapFault(
        code=_local(_text(fault, "faultcode")),
        reason=_text(fault, "faultstring"),
        detail=_xml(fault, "detail"),
    )


def _of_12(fault: object, soap: str) -> SoapFault:
    return SoapFault(
        code=_local(_text(fault, f"{soap}Code/{soap}Value")),
        reason=_text(fault, f"{soap}Reason/{soap}Text"),
        subcode=_local(_text(fault, f"{soap}Code/{soap}Subcode/{soap}Value")),
        detail=_xml(fault, f"{soap}Detail"),
    )


def _text(fault: object, path: str) -> str:
    return str(fault.findtext(path) or "").strip()[:MOST_DETAIL]  # type: ignore[attr-defined]


def _xml(fault: object, path: str) -> str:
    from lxml import etree

    found = fault.find(path)  # type: ignore[attr-defined]
    return "" if found is None else etree.tostring(found, encoding="unicode", with_tail=False)[:MOST_DETAIL]


def _local(name: str) -> str:
    """A qualified name without its prefix."""
    return name.rpartition(":")[2]
