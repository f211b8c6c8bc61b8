"""A PostgreSQL cluster of a test's own, in a temporary folder, on loopback; as `postgres` where the tests run as root."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import psycopg

from tests import parts

USER = "openmid"
# Nothing is on a disk here but for the test that kills the server; a crash of PostgreSQL alone loses nothing either way.
SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
fsync = off
max_connections = 60
shared_buffers = 16MB
max_wal_size = 64MB
autovacuum = off
"""


class Cluster:
    """`start`, `stop`, `restart` and databases of a cluster in `folder`."""

    def __init__(self, folder: Path, settings: str = "") -> None:
        self.folder = folder
        self.programs = parts.postgresql()
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
        self._run("initdb", "--no-sync", "--auth=trust", f"--username={USER}", "--encoding=UTF8", "--locale=C.UTF-8")
        with (folder / "data" / "postgresql.conf").open("a") as file:
            file.write(f"{SETTINGS}port = {self.port}\n{settings}")

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        self._run("pg_ctl", "start", "--wait", "--silent", "--log", str(self.folder / "log"))

    def stop(self, mode: str = "immediate") -> None:
        """`immediate` is as if the server crashed."""
        self._run("pg_ctl", "stop", "--wait", "--silent", "--mode", mode)

    def restart(self, mode: str = "immediate") -> None:
        """Stop and start."""
        self.stop(mode)
        self.start()

    def url(self, name: str, user: str = USER) -> str:
        """The URL of a database."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{name}"

    def sql(self, statement: str, name: str = "postgres") -> list[tuple[object, ...]]:
        """Run a statement; its rows."""
        with psycopg.connect(self.url(name), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def _run(self, program: str, *words: str) -> None:
        command: Sequence[str] = [str(self.programs / program), "-D", str(self.folder / "data"), *words]
        if os.geteuid() == 0:
            command = ["runuser", "-u", "postgres", "--", *command]
        with (self.folder / "out").open("wb") as output:  # a pipe would be the server's too, and not end
            done = subprocess.run(command, cwd="/", stdout=output, stderr=subprocess.STDOUT, check=False)
        assert done.returncode == 0, (self.folder / "out").read_text()


@contextlib.contextmanager
def running(settings: str = "") -> Iterator[Cluster]:
    """A cluster that runs."""
    folder = Path(tempfile.mkdtemp(prefix="openmid-postgresql-"))
    folder.chmod(0o755)
    try:
        cluster = Cluster(folder, settings)
        cluster.start()
        try:
            yield cluster
        finally:
            with contextlib.suppress(AssertionError):
                cluster.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
