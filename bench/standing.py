"""A whole openmid for a bench: instance, MID Server in FIPS Enforced Mode, nginx with a client certificate demanded."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import common

from openmid.demo import certificates, partner, processes, walk
from openmid.demo.certificates import Certificates
from openmid.demo.stage import Stage
from openmid.demo.walk import Walk
from openmid.midserver.config import Config

ACTION = "Call partner"
THREADS = 256


@dataclass(frozen=True)
class Standing:
    """What runs, and how it is called."""

    walk: Walk
    nginx: int
    token: str

    @property
    def execute(self) -> str:
        return f"{self.walk.url}/api/v1/actions/{ACTION.replace(' ', '%20')}/execute"

    @property
    def partner(self) -> str:
        return f"https://localhost:{self.walk.partner_port}/"

    @property
    def ca(self) -> Path:
        return self.walk.instance / "tls/ca.pem"

    def pids(self) -> dict[str, int]:
        """By name, the processes whose CPU is counted."""
        return {"instance": self._instance(), "mid_server": self.mid(), "nginx": self.nginx}

    def mid(self) -> int:
        """The MID Server's pid."""
        return int((self.walk.agent / "work/mid.pid").read_text().split()[0])

    def _instance(self) -> int:
        command = f"instance\0run\0{self.walk.instance}\0".encode()
        for pid in common.tree(os.getpid()):
            with contextlib.suppress(OSError):
                if command in Path(f"/proc/{pid}/cmdline").read_bytes():
                    return pid
        sys.exit("the instance has ended")

    def load(self, stack: contextlib.ExitStack, kind: str = "execute") -> common.Side:
        """The load generator: executes the action and waits for its end, by kept TLS connections; `batch`: eight at once."""
        words = [kind, self.execute, self.ca, self.token]
        return common.Side([sys.executable, common.HERE / "load.py", *words], stack)


def start_nginx(folder: Path, made: Certificates, port: int) -> subprocess.Popen[bytes]:
    """The partner of every side: 1 KB of JSON, mutual TLS."""
    folder.mkdir(mode=0o700)
    values = {"server": made.server, "key": made.server_key, "ca": made.ca, "answer": common.ANSWER}
    (folder / "nginx.conf").write_text(common.NGINX.format(folder=folder, port=port, **values))
    command = [common.program("nginx", "nginx"), "-e", str(folder / "error.log"), "-p", str(folder)]
    return processes.start(
        [*command, "-c", str(folder / "nginx.conf")], folder / "log", lambda: (folder / "nginx.pid").exists()
    )


def clear_key(made: Certificates) -> None:
    """The peers read their key in clear: client-clear.key beside client.pem, 0600."""
    target = made.ca.parent / "client-clear.key"
    words = ["openssl", "pkey", "-in", made.ca.parent / "client.key", "-passin", "env:P", "-out", target]
    subprocess.run(words, env={**os.environ, "P": made.password}, check=True)
    target.chmod(0o600)


@contextlib.contextmanager
def standing(folder: Path, threads: int = THREADS, *, fips: bool = True) -> Iterator[Standing]:
    """The walk up to its records; ours runs `threads` calls at once of each priority."""
    with contextlib.ExitStack() as stack:
        this = Walk(folder, Stage(to_stderr=True, without_fips=not fips), fips=fips, stack=stack)
        walk.start_instance(this)
        walk.install_mid(this)
        if fips:
            walk.enforce_fips(this)
        walk.convert_keystore(this)
        nginx = _start_partner(this, threads)
        walk.make_records(this)
        token = processes.openmid(
            "instance", "token", "create", "bench", "--dir", str(this.instance), "--user", walk.ADMIN
        )
        yield Standing(this, nginx, token)


def _start_partner(this: Walk, threads: int) -> int:
    assert this.certificates
    this.partner_port = partner.free_port()
    nginx = start_nginx(this.folder / "partner", this.certificates, this.partner_port)
    this.stack.callback(processes.stop, nginx)
    walk.stop_mid(this)
    path = this.agent / "config.xml"
    rule = f'<allow host="127.0.0.1" port="{this.partner_port}"/>'
    path.write_text(path.read_text().replace("</egress>", f"  {rule}\n  </egress>", 1))
    config = Config.read(this.agent)
    for name in ("threads.interactive.max", "threads.expedited.max", "threads.max"):
        config.set_parameter(name, str(threads))
    config.save()
    walk.start_mid(this)
    return nginx.pid


__all__ = ["Standing", "certificates", "clear_key", "standing", "start_nginx"]
