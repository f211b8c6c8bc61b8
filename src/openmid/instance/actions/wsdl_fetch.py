"""A WSDL and what it imports, fetched through the MID Server of a connection alias: each document is an execution.

Nothing waits here: `begin` starts the first call, `progress` says how far it is and starts those that
turn out to be missing.
"""

from __future__ import annotations

import base64
import re
from typing import Any
from urllib.parse import urljoin, urlsplit

import msgspec
from django.core.exceptions import ValidationError

from openmid.instance.actions import runner, wsdl
from openmid.instance.actions.ad_hoc import AdHocRequest
from openmid.instance.actions.details import ENDED, details
from openmid.instance.actions.planner import Plan
from openmid.instance.actions.wsdl import WsdlError
from openmid.instance.connections.validation import url_path
from openmid.instance.ecc.writer import writer
from openmid.wire import charsets

_QUERY = re.compile(r"\A(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*\Z")
ACCEPT = ("Accept", "text/xml, application/xml, application/wsdl+xml, */*;q=0.1")


class DocumentRequest(AdHocRequest, frozen=True):
    """A GET whose query is sent as it stands: `?wsdl` is not `?wsdl=` to every server."""

    raw_query: str = ""

    def planned(self, connection: Any) -> Plan:
        found = super().planned(connection)
        if found.probe is None or not self.raw_query:
            return found
        probe = msgspec.structs.replace(found.probe, url=f"{found.probe.url}?{self.raw_query}")
        return msgspec.structs.replace(found, probe=probe)


class Progress(msgspec.Struct, frozen=True):
    """`executions`: those of the documents, the WSDL first. `operations`: None while one is under way."""

    executions: list[str]
    operations: list[wsdl.Operation] | None = None


def begin(alias: str, address: str, user: str) -> str:
    """Ask for a document: `address` is path and query after the alias's Base URL. Returns the execution's sys_id.

    Raises:
        WsdlError: the address is none. InstanceError: as `runner.begin_request`.
    """
    path, _, query = address.strip().partition("?")
    try:
        url_path(path)
    except ValidationError as error:
        raise WsdlError(" ".join(error.messages).removesuffix("."), "for example /orders?wsdl") from None
    if not _QUERY.match(query):
        raise WsdlError("the query has characters that RFC 3986 does not allow", "write them as %XX")
    request = DocumentRequest(path=path, raw_query=query, headers=[ACCEPT])
    return writer().run(lambda connection: runner.begin_request(connection, alias, request, user, None))


def progress(executions: list[str], user: str) -> Progress:
    """How far the fetching is.

    Raises:
        WsdlError: a call failed, a document is none, or lies elsewhere.
    """
    if not 0 < len(executions) <= wsdl.MAX_DOCUMENTS:
        raise WsdlError(f"a WSDL is at most {wsdl.MAX_DOCUMENTS} documents", "choose its files instead")
    found = [_own(sys_id, user) for sys_id in executions]
    if any(each["state"] not in ENDED for each in found):
        return Progress(executions)
    documents = {_address(each): _content(each) for each in found}
    missing = _missing(found, documents)
    if missing:
        alias = _step(found[0])["configuration"]["connection_alias"]
        return Progress([*executions, *(begin(alias, address, user) for address in missing)])
    urls = [_as_https(str(_step(each)["configuration"]["url"])) for each in found]
    return Progress(executions, wsdl.operations(dict(zip(urls, documents.values(), strict=True))))


def _own(sys_id: str, user: str) -> dict[str, Any]:
    """An execution that `begin` started for this user, not just any."""
    found = details(sys_id)
    if found["started_by"] != user or found["action_sys_id"]:
        raise WsdlError(f"the execution {sys_id} did not fetch a document for you", "fetch the WSDL again")
    return found


def _step(execution: dict[str, Any]) -> dict[str, Any]:
    step: dict[str, Any] = execution["steps"][0]
    return step


def _address(execution: dict[str, Any]) -> str:
    url = str(_step(execution)["configuration"]["url"])
    return url.removeprefix(str(_step(execution)["configuration"]["base_url"]).rstrip("/"))


def _content(execution: dict[str, Any]) -> bytes:
    """The document. Text was decoded by the MID Server: what the declaration says of its encoding is over."""
    step = _step(execution)
    if step["error"]:
        raise WsdlError(f"{_address(execution)}: {step['error']['message']}", step["error"]["remedy"] or "look at it")
    if execution["state"] != "Completed":
        raise WsdlError(f"fetching {_address(execution)} was cancelled", "fetch the WSDL again")
    output = step["output"]
    if output.get("body_is_base64"):
        return base64.b64decode(output["body"])
    return charsets.undeclared(str(output.get("body", ""))).encode(errors="replace")


def _missing(found: list[dict[str, Any]], documents: dict[str, bytes]) -> list[str]:
    """What the documents import and is not among them, as addresses after the Base URL, in order."""
    wanted: dict[str, None] = {}
    for execution, raw in zip(found, documents.values(), strict=True):
        configuration = _step(execution)["configuration"]
        for location in wsdl.imports(raw, _address(execution)):
            address = _resolved(configuration["url"], configuration["base_url"], location)
            if address not in documents:
                wanted[address] = None
    if len(wanted) + len(documents) > wsdl.MAX_DOCUMENTS:
        raise WsdlError(f"the WSDL imports more than {wsdl.MAX_DOCUMENTS} documents", "choose its files instead")
    return list(wanted)


def _resolved(document: str, base: str, location: str) -> str:
    """Where an import lies below the Base URL. The schemes of MID Protocol Profiles are https for this."""
    start, target = _as_https(base), urlsplit(urljoin(_as_https(document), location))
    root = urlsplit(start)
    path = root.path.rstrip("/")
    same = target.scheme in ("http", "https") and (target.hostname or "").lower() == (root.hostname or "").lower()
    if not same or not target.path.startswith(f"{path}/"):
        raise WsdlError(
            f"the WSDL imports {location[:200]}, which is not below {base}", "get it, and choose the files instead"
        )
    return target.path.removeprefix(path) + (f"?{target.query}" if target.query else "")


def _as_https(url: str) -> str:
    return f"https{url[url.index(':') :]}"
