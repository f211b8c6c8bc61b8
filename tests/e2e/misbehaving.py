"""A partner that misbehaves in a different way at each path, over TLS on loopback. It asks for no client certificate."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import ssl
import threading
import zlib

from openmid.demo.certificates import Certificates
from openmid.wire.probes import MAX_BODY_BYTES

OK = b"HTTP/1.1 200 OK\r\n"
SCRIPT = "</pre><script>parent.evil=evil=1</script><img src=x onerror='evil=1'><svg onload='evil=1'>"


def _bomb() -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    body = packer.compress(bytes(MAX_BODY_BYTES * 4)) + packer.flush()
    return OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def _page() -> bytes:
    body = f"<html><body>{SCRIPT}</body></html>".encode()
    head = (
        f"Content-Type: text/html\r\nX-Evil: {SCRIPT}\r\nRefresh: 0;url=javascript:evil=1\r\nSet-Cookie: {SCRIPT}\r\n"
    )
    return OK + head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body


ANSWERS = {
    "/silent": b"",
    "/stops": OK + b"Content-Length: 9\r\n\r\nabcd",
    "/chunks": OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
    "/bomb": _bomb(),
    "/headers": OK + b"".join(b"X-%d: %s\r\n" % (number, b"v" * 4_000) for number in range(200)) + b"\r\n",
    "/script": _page(),
}


class _Handler(socketserver.BaseRequestHandler):
    """Reads a request's head, and answers as its path says; `/silent` answers nothing until the caller goes."""

    def handle(self) -> None:
        with contextlib.suppress(OSError), self.server.context.wrap_socket(self.request, server_side=True) as secured:  # type: ignore[attr-defined]
            said = b""
            while b"\r\n\r\n" not in said:
                said += secured.recv(65_536)
            answer = ANSWERS[said.split(b" ")[1].decode()]
            secured.sendall(answer)
            if answer:
                secured.shutdown(socket.SHUT_WR)
            while secured.recv(65_536):
                pass


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    context: ssl.SSLContext


def start(port: int, certificates: Certificates) -> _Server:
    """The partner, in threads of this process."""
    server = _Server(("127.0.0.1", port), _Handler)
    server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.context.load_cert_chain(certificates.server, certificates.server_key)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
