"""A partner with mutual TLS: a SOAP server (spyne) that writes its own WSDL, and a place for large bodies."""

from __future__ import annotations

import hashlib
import json
import socketserver
import ssl
import threading
import warnings
from collections.abc import Iterable
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from openmid.demo.certificates import Certificates

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # spyne speaks of things to come in Python
    from spyne import Application, ComplexModel, Fault, Integer, ServiceBase, Unicode, rpc
    from spyne.protocol.soap import Soap11
    from spyne.server.wsgi import WsgiApplication

TOKEN = "CANARY-token-3f9c2a71"
SESSION = "CANARY-session-77b0"
shown: list[str] = []
"""What callers of /token and /who have shown of themselves."""
CHUNK = b"0123456789abcdef" * 4096


class Order(ComplexModel):
    """What was ordered."""

    number = Integer
    sku = Unicode


class Orders(ServiceBase):
    """Takes orders."""

    @rpc(Unicode, Integer, _returns=Order)
    def place(ctx: Any, sku: str, count: int) -> Order:  # noqa: N805  spyne's way
        if count is None or count < 1:
            raise Fault("Client.Count", f"count is {count}, which is nothing to order")
        return Order(number=count * 100, sku=sku)


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None: ...  # noqa: A002


class _Threaded(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


def _application() -> Any:
    soap = WsgiApplication(
        Application([Orders], "urn:orders", in_protocol=Soap11(validator="lxml"), out_protocol=Soap11())
    )

    def answer(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/download":
            count = int(environ["QUERY_STRING"].partition("=")[2]) * 16
            start("200 OK", [("Content-Type", "application/pdf"), ("Content-Length", str(count * len(CHUNK)))])
            return (CHUNK for _ in range(count))
        if environ["PATH_INFO"] == "/token":
            asked = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])).decode()
            shown.append(f"{environ.get('HTTP_AUTHORIZATION', '')} {asked}")
            start("200 OK", [("Content-Type", "application/json")])
            return [json.dumps({"access_token": TOKEN, "token_type": "bearer", "expires_in": 3600}).encode()]
        if environ["PATH_INFO"] == "/who":
            names = ("HTTP_AUTHORIZATION", "HTTP_X_API_KEY", "QUERY_STRING", "HTTP_X_AUTH_TOKEN", "HTTP_COOKIE")
            shown.append(" ".join(environ.get(name, "") for name in names))
            start("200 OK", [("Content-Type", "text/plain"), ("Set-Cookie", f"session={SESSION}")])
            return [b"you are known"]
        if environ["PATH_INFO"] == "/lost":
            start("200 OK", [("Content-Length", "100")])
            return [b"not a hundred bytes"]
        if environ["PATH_INFO"] == "/upload":
            body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
            start("200 OK", [("Content-Type", "application/json")])
            return [json.dumps({"size": len(body), "sha256": hashlib.sha256(body).hexdigest()}).encode()]
        found: Iterable[bytes] = soap(environ, start)
        return found

    return answer


def start(port: int, certificates: Certificates) -> WSGIServer:
    """The partner on loopback, in threads of this process."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(certificates.ca))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(certificates.server, certificates.server_key)
    server = make_server("127.0.0.1", port, _application(), _Threaded, _Quiet)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
