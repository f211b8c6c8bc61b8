"""The partner: a real HTTPS server that demands a client certificate and answers with what it saw.

nginx when it is installed, else Python's `ssl`; as a process of its own either way.
`python -m openmid.demo.partner PORT CERT KEY CA` is the second one.
"""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from openmid.demo.certificates import Certificates
from openmid.demo.stage import DemoError

NGINX = """\
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} ssl;
        server_name localhost;
        ssl_certificate {server};
        ssl_certificate_key {key};
        ssl_client_certificate {ca};
        ssl_verify_client on;
        ssl_protocols TLSv1.2 TLSv1.3;
        default_type application/json;
        location / {{
            return 200 '{{"subject": "$ssl_client_s_dn", "issuer": "$ssl_client_i_dn", "serial": "$ssl_client_serial", \
"tls_version": "$ssl_protocol", "cipher": "$ssl_cipher"}}';
        }}
    }}
}}
"""


def free_port() -> int:
    """A port of loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def kind() -> str:
    """What will play the partner."""
    return "nginx" if _nginx() else "Python's ssl"


def start(folder: Path, port: int, certificates: Certificates) -> subprocess.Popen[bytes]:
    """The partner on loopback, listening.

    Raises:
        DemoError: it did not come up; says what it printed.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    nginx = _nginx()
    if nginx:
        command = _nginx_command(nginx, folder, port, certificates)
    else:
        files = [certificates.server, certificates.server_key, certificates.ca]
        command = [sys.executable, "-m", "openmid.demo.partner", str(port), *map(str, files)]
    with (folder / "partner.log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    _wait(process, port, folder / "partner.log")
    return process


def _nginx() -> str | None:
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")


def _nginx_command(nginx: str, folder: Path, port: int, certificates: Certificates) -> list[str]:
    values = {"server": certificates.server, "key": certificates.server_key, "ca": certificates.ca}
    configuration = folder / "nginx.conf"
    configuration.write_text(NGINX.format(folder=folder, port=port, **values))
    return [nginx, "-e", str(folder / "error.log"), "-p", str(folder), "-c", str(configuration)]


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    process.kill()
    raise DemoError(f"the partner did not come up on port {port}: {log.read_text(errors='replace').strip()[-500:]}")


class _Handler(BaseHTTPRequestHandler):
    """Answers every GET with what the TLS session says of the client."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """The same object as nginx's."""
        assert isinstance(self.connection, ssl.SSLSocket)
        seen = self.connection.getpeercert() or {}
        cipher = self.connection.cipher() or ("", "", 0)
        names = {part: _rfc4514(seen.get(part, ())) for part in ("subject", "issuer")}
        answer = names | {
            "serial": seen.get("serialNumber"),
            "tls_version": self.connection.version(),
            "cipher": cipher[0],
        }
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


SHORT_NAMES = {"commonName": "CN", "organizationName": "O", "countryName": "C"}


def _rfc4514(name: Any) -> str:
    """A name of `getpeercert()`, most specific part first, as nginx writes it."""
    parts = [f"{SHORT_NAMES.get(kind, kind)}={value}" for rdn in name for kind, value in rdn]
    return ",".join(reversed(parts))


def _serve(port: int, certificate: str, key: str, ca: str) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=ca)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(certificate, key)
    server = ThreadingHTTPServer(("127.0.0.1", port), _Handler)
    # The handshake happens in the connection's own thread, so that one silent client stops nobody.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.serve_forever()


if __name__ == "__main__":
    _serve(int(sys.argv[1]), *sys.argv[2:5])
