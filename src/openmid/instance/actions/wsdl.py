"""Operations of a WSDL 1.1 document, each with an envelope to start from. zeep reads; nothing is fetched from anywhere."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec
from lxml import etree

from openmid.instance.errors import InstanceError

MAX_BYTES = 5 * 1024 * 1024
MAX_DOCUMENTS = 50
MAX_OPERATIONS = 500
MAX_NODES = 2_000
"""Elements of one envelope."""
ENVELOPES = {"1.1": "http://schemas.xmlsoap.org/soap/envelope/", "1.2": "http://www.w3.org/2003/05/soap-envelope"}
MANY = "unbounded"
NOWHERE = "https://documents.invalid"
"""Where documents lie that have only a file name (RFC 2606, section 2)."""

WITH_FOLDERS = "fetch the WSDL by its address: there folders tell them apart"
_XSD = "http://www.w3.org/2001/XMLSchema"
IMPORTS = (
    "{http://schemas.xmlsoap.org/wsdl/}import",
    *(f"{{{_XSD}}}{name}" for name in ("import", "include", "redefine")),
)
_SERVICE = re.compile(rb"<(?:[\w.-]+:)?service[\s>]")


class WsdlError(InstanceError):
    """Raised when a WSDL cannot be read; says what is wrong with it."""


class Operation(msgspec.Struct, frozen=True):
    """One operation: `version` of SOAP, `action` its SOAPAction, `address` the port's URL, `envelope` with `?` where
    values belong."""

    service: str
    port: str
    name: str
    version: str
    action: str
    address: str
    envelope: str


def operations(documents: Mapping[str, bytes]) -> list[Operation]:
    """The operations of all SOAP ports. `documents`: by URL or file name, the WSDL first, then what it imports.

    Raises:
        WsdlError: too large, no WSDL, a DOCTYPE, or an import that is not among them.
    """
    import zeep  # a second of imports that only this needs

    _bounded(documents)
    settings = zeep.Settings(forbid_dtd=True, forbid_entities=True)
    try:
        transport: Any = _Closed(documents)
        document = zeep.wsdl.Document(_whole(next(iter(documents))), transport, settings=settings)
        return list(_operations(document))
    except WsdlError:
        raise
    except zeep.exceptions.DTDForbidden:
        raise WsdlError("the document has a DOCTYPE", "remove it: a WSDL needs none") from None
    except (zeep.exceptions.Error, etree.Error, RecursionError) as error:
        said = " ".join(str(getattr(error, "message", "") or error).replace(f"{NOWHERE}/", "").split())[:300]
        raise WsdlError(f"the WSDL cannot be read: {said or type(error).__name__}", "look at the document") from None
    except Exception as error:
        # zeep answers some broken documents with KeyError, AttributeError, TypeError
        raise WsdlError(f"the WSDL cannot be read ({type(error).__name__}: {error})", "is it a WSDL 1.1?") from error


def imports(raw: bytes, name: str) -> list[str]:
    """Where the documents are that a WSDL or a schema imports, as it says so.

    Raises:
        WsdlError: no XML, or a DOCTYPE.
    """
    _bounded({name: raw})
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        root = etree.fromstring(raw, parser)
    except etree.XMLSyntaxError:
        raise WsdlError(f"{name or 'the answer'} is no XML", "look at the answer in Executions") from None
    if root.getroottree().docinfo.doctype:
        raise WsdlError(f"{name or 'the document'} has a DOCTYPE", "remove it: a WSDL needs none")
    found = (each.get("location") or each.get("schemaLocation") for each in root.iter(*IMPORTS))
    return [location.strip() for location in found if location]


def chosen(files: Iterable[tuple[str, bytes]]) -> dict[str, bytes]:
    """The documents that somebody chose, by their file names.

    Raises:
        WsdlError: two of them have the same.
    """
    documents: dict[str, bytes] = {}
    for name, raw in files:
        if name in documents:
            raise WsdlError(f"two of the files are called {name}", WITH_FOLDERS)
        documents[name] = raw
    return documents


def ordered(documents: Mapping[str, bytes]) -> dict[str, bytes]:
    """The same documents, the WSDL that defines a service first: files come in a browser's own order."""
    return dict(sorted(documents.items(), key=lambda each: not _SERVICE.search(each[1])))


def _bounded(documents: Mapping[str, bytes]) -> None:
    if not documents:
        raise WsdlError("there is no WSDL", "choose a file")
    if len(documents) > MAX_DOCUMENTS:
        raise WsdlError(f"there are more than {MAX_DOCUMENTS} documents", "leave out what the WSDL does not import")
    for name, raw in documents.items():
        if len(raw) > MAX_BYTES:
            raise WsdlError(f"{name} is larger than 5 MB", "split it, or write the envelope by hand")


class _Closed:
    """zeep's transport: what was given, and nothing else. An import is found by its place; else by its file name, where
    only one has it: files that somebody chose do not say in which folders they belong."""

    def __init__(self, documents: Mapping[str, bytes]) -> None:
        self._first = next(iter(documents.values()))
        self._by_place = {_place(_whole(name)): raw for name, raw in documents.items()}
        self._by_name: dict[str, list[bytes]] = {}
        for name, raw in documents.items():
            self._by_name.setdefault(_name(name), []).append(raw)
        self._entered = False

    def load(self, url: Any) -> bytes:
        if not self._entered:
            self._entered = True
            return self._first
        found, name = self._by_place.get(_place(str(url))), _name(str(url))
        if found is not None:
            return found
        named = self._by_name.get(name, [])
        if len(named) > 1:
            raise WsdlError(f"the WSDL imports {name}, and several documents are called so", WITH_FOLDERS)
        if not named:
            raise WsdlError(f"the WSDL imports {name}, which is not there", "choose that file too")
        return named[0]


def _whole(name: str) -> str:
    """A URL, also for a document that has only a file name."""
    return name if "://" in name else f"{NOWHERE}/{name.replace('#', '%23').lstrip('/')}"


def _place(url: str) -> tuple[str, str]:
    """Path and query: the host was its MID Server's choice already."""
    parts = urlsplit(url.replace("\\", "/"))
    return unquote(parts.path), parts.query


def _name(url: str) -> str:
    """The last part of a URL or path, query included: `a/b.xsd` and `http://h/b.xsd` are called the same."""
    path, _, query = url.partition("?")
    return posixpath.basename(path.replace("\\", "/")) + (f"?{query}" if query else "")


def _operations(document: Any) -> Iterator[Operation]:
    count = 0
    for service in document.services.values():
        for port in service.ports.values():
            version = {soap: key for key, soap in ENVELOPES.items()}.get(port.binding.nsmap.get("soap-env", ""))
            for operation in port.binding.all().values() if version else ():
                count += 1
                if count > MAX_OPERATIONS:
                    raise WsdlError(f"the WSDL has more than {MAX_OPERATIONS} operations", "split it")
                yield Operation(
                    service.name,
                    port.name,
                    operation.name,
                    str(version),
                    operation.soapaction or "",
                    port.binding_options.get("address") or "",
                    envelope(operation.input, str(version)),
                )
    if not count:
        raise WsdlError(
            "the WSDL has no SOAP operations that can be resolved", "is it the WSDL of a service, with a soap:binding?"
        )


def envelope(message: Any, version: str) -> str:
    """An envelope for an operation's input: `?` in each leaf, comments where something may be left out or repeated."""
    soap = ENVELOPES[version]
    root = etree.Element(f"{{{soap}}}Envelope", nsmap={"soapenv": soap})
    sketch = _Sketch()
    if message.header is not None and message.header.type._element:
        sketch.particle(etree.SubElement(root, f"{{{soap}}}Header"), message.header.type._element)
    body = etree.SubElement(root, f"{{{soap}}}Body")
    if message.body is not None:
        sketch.particle(body, message.body)
    etree.cleanup_namespaces(root)
    etree.indent(root, "  ")
    return str(etree.tostring(root, encoding="unicode")) + "\n"


class _Sketch:
    """Writes elements as their types say."""

    def __init__(self) -> None:
        self._nodes = self._particles = 0
        self._open: list[Any] = []

    def particle(self, parent: Any, particle: Any) -> None:
        """An element, a wildcard, or a group of them."""
        from zeep.xsd import Choice, Element
        from zeep.xsd.elements.any import Any as AnyElement
        from zeep.xsd.elements.indicators import Group, Indicator

        self._particles += 1
        if self._particles > MAX_NODES * 10:
            raise WsdlError("an operation's message is too large to be shown", "write its envelope by hand")
        if isinstance(particle, AnyElement):
            parent.append(etree.Comment("any element"))
        elif isinstance(particle, Group):
            self.particle(parent, particle.child)
        elif isinstance(particle, Choice):
            self._choice(parent, list(particle))
        elif isinstance(particle, Indicator):
            members: Any = particle  # All and Sequence are lists
            for each in members:
                self.particle(parent, each)
        elif isinstance(particle, Element):
            self._element(parent, particle)

    def _choice(self, parent: Any, alternatives: list[Any]) -> None:
        names = ", ".join(str(getattr(each, "name", "") or "a group") for each in alternatives)
        parent.append(etree.Comment(f"One of: {names.replace('--', '- -')}"))
        for each in alternatives[:1]:
            self.particle(parent, each)

    def _element(self, parent: Any, element: Any) -> None:
        if element.name == "_value_1" or element.qname is None:  # the text of a type with simple content
            parent.text = "?"
            return
        self._nodes += 1
        if self._nodes > MAX_NODES or element.type in self._open:
            parent.append(etree.Comment(f"{element.qname.localname} again"))
            return
        note = _occurs(element)
        if note:
            parent.append(etree.Comment(note))
        node = etree.SubElement(parent, element.qname.text)
        self._open.append(element.type)
        self._content(node, element.type)
        self._open.pop()

    def _content(self, node: Any, kind: Any) -> None:
        from zeep.xsd import ComplexType
        from zeep.xsd.elements import AnyAttribute

        if not isinstance(kind, ComplexType):
            node.text = "?"
            return
        for _, attribute in kind.attributes:
            if not isinstance(attribute, AnyAttribute) and attribute.qname is not None:
                node.set(attribute.qname.text, "?")
        if kind._element is not None:
            self.particle(node, kind._element)


def _occurs(element: Any) -> str:
    few, many = element.min_occurs, element.max_occurs
    if many == MANY or many > 1:
        return "Zero or more:" if few == 0 else "One or more:"
    return "Optional:" if few == 0 else ""
