"""An instance for each test: a freshly migrated database, copied; users; and, where asked for, a server on loopback.

Django is set up when this file is imported, on a folder of this process's own, so that test modules can import models.
"""

from __future__ import annotations

import asyncio
import atexit
import itertools
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from asgiref.local import Local

from openmid.instance.folder import Folder, Listen

FOLDER = Folder(Path(tempfile.mkdtemp(prefix="openmid-tests-")))
atexit.register(shutil.rmtree, FOLDER.path, ignore_errors=True)
for secret in ("field.key", "django.key"):
    FOLDER.secret(secret, create=True)
FOLDER.write_listen(Listen())
os.environ["OPENMID_INSTANCE_DIR"] = str(FOLDER.path)
os.environ["DJANGO_SETTINGS_MODULE"] = "openmid.instance.settings"

import django  # noqa: E402

django.setup()

from django.conf import settings  # noqa: E402
from django.db import connection, connections  # noqa: E402
from pytest_django.plugin import DjangoDbBlocker  # noqa: E402

from openmid.instance import databases  # noqa: E402
from openmid.instance.serve import Protocol, Server  # noqa: E402
from tests.instance.partners import Api, Mid, Reply  # noqa: E402
from tests.postgresql import Cluster, running  # noqa: E402

settings.OPENMID_FOLDER = FOLDER.path  # in a worker of xdist the settings were read under the controller's
settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # quick: these passwords guard nothing
PASSWORDS = {"alice": "alice's password", "charlie": "charlie's password"}


SQLITE, POSTGRESQL = "sqlite", "postgresql"
both = pytest.mark.parametrize("instance", [SQLITE, POSTGRESQL], indirect=True)
"""A test that runs once on each database. A module of such tests says `on_both_databases = True`."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if getattr(metafunc.module, "on_both_databases", False) and "instance" in metafunc.fixturenames:
        metafunc.parametrize("instance", [SQLITE, POSTGRESQL], indirect=True)


def _use(default: dict[str, Any]) -> None:
    from openmid.instance.records.wakeups import wakeups

    connections.close_all()
    known = connections.databases["default"]
    if known["ENGINE"] != default["ENGINE"]:
        connections._connections = Local(connections.thread_critical)  # type: ignore[attr-defined]
    known.update(default)
    connection.settings_dict.update(default)
    wakeups.stopping = False


def _sqlite(path: Path) -> dict[str, Any]:
    return databases._sqlite(str(path))


def _migrate() -> None:
    from django.core.management import call_command

    from openmid.instance.access.roles import create_roles, create_user

    call_command("migrate", verbosity=0)
    create_roles()
    create_user("alice", "admin", PASSWORDS["alice"])
    create_user("charlie", "mid_server", PASSWORDS["charlie"])


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory, django_db_blocker: DjangoDbBlocker) -> Path:
    """A database with roles, alice (admin) and charlie (mid_server)."""
    path = tmp_path_factory.mktemp("database") / "migrated.sqlite3"
    with django_db_blocker.unblock():
        _use(_sqlite(path))
        _migrate()
        connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connections.close_all()
    return path


@pytest.fixture(scope="session")
def cluster(django_db_blocker: DjangoDbBlocker) -> Iterator[Cluster]:
    """A PostgreSQL cluster whose database `migrated` is as SQLite's."""
    with running() as found:
        found.sql("CREATE DATABASE migrated")
        with django_db_blocker.unblock():
            _use(databases._postgresql(FOLDER, found.url("migrated")))
            _migrate()
            connections.close_all()
        yield found


_count = itertools.count()


@pytest.fixture
def instance(request: pytest.FixtureRequest, tmp_path: Path, django_db_blocker: DjangoDbBlocker) -> Iterator[Folder]:
    """An instance whose database is this test's own; SQLite unless the test is `both`."""
    from openmid.instance.access import authentication, throttle
    from openmid.instance.ecc.writer import close_writer

    default = _sqlite(tmp_path / "openmid.sqlite3")
    if getattr(request, "param", SQLITE) == SQLITE:
        shutil.copy(request.getfixturevalue("migrated"), default["NAME"])
    else:
        cluster: Cluster = request.getfixturevalue("cluster")
        name = f"test{next(_count)}"
        cluster.sql(f"CREATE DATABASE {name} TEMPLATE migrated")
        default = databases._postgresql(FOLDER, cluster.url(name))
    with django_db_blocker.unblock():
        _use(default)
        yield FOLDER
        close_writer()
        connections.close_all()
    authentication._right.clear()
    throttle.throttle.clear()


@pytest.fixture
def serving(instance: Folder) -> Iterator[tuple[str, Server]]:
    """The whole application on loopback, without TLS: its URL, and the server."""
    from openmid.instance.asgi import application

    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(application(), http=Protocol, log_config=None, lifespan="on", timeout_graceful_shutdown=2)
    running = Server(config)
    started = threading.Event()
    loop = asyncio.new_event_loop()

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(running.serve(sockets=[listener]))
        loop.close()

    original = running.startup

    async def startup(sockets: list[socket.socket] | None = None) -> None:
        await original(sockets)
        started.set()

    running.startup = startup  # type: ignore[method-assign]
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert started.wait(20)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}", running
    running.handle_exit(15, None)
    thread.join(20)
    assert not thread.is_alive()


@pytest.fixture
def server(serving: tuple[str, Server]) -> str:
    """The server's URL."""
    return serving[0]


@pytest.fixture
def api(server: str) -> Api:
    """The server's API as alice uses it, with a token."""
    from django.contrib.auth.models import User

    from openmid.instance.access.models import ApiToken

    return Api(server, f"Bearer {ApiToken.issue('test', User.objects.get(username='alice'))}")


@pytest.fixture
def mid(api: Api) -> Mid:
    """A MID Server that is enrolled, validated and Up."""
    from openmid.instance.mid.models import EnrolmentToken

    found = Mid(api.url, "mid1")
    assert found.enrol(EnrolmentToken.issue("mid1")[1]).status == 200
    assert validate(api, found).status == 200
    assert found.heartbeat().status == 200
    return found


def validate(api: Api, found: Mid) -> Reply:
    """An administrator confirms the MID Server's fingerprint."""
    return api.post(f"/api/v1/mid-servers/{found.name}/validate", {"fingerprint": found.fingerprint})
