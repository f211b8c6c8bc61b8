"""Where the database is: its URL, its password, and what `openmid instance init --database` says."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from openmid.instance import databases
from openmid.instance.errors import FolderError
from openmid.instance.folder import Folder, Listen
from tests.instance.test_commands import openmid
from tests.postgresql import Cluster, running

REFUSED = {
    "postgresql://user:geheim@host/name": "holds a password",
    "postgresql://user@host/name?password=geheim": "holds a password",
    "postgresql://user@host/name?sslkey=/k&sslpassword=geheim": "holds a password",
    "mysql://user@host/name": "does not begin with postgresql://",
    "postgresql://user@host": "names no database",
    "postgresql://user@host:port/name": "cannot be read",
    "postgresql://user@host/name?pool=true": "cannot be read",
}


@pytest.mark.parametrize("url", REFUSED)
def test_a_url_that_will_not_do_is_refused_before_anything_is_made(tmp_path: Path, url: str) -> None:
    done = openmid("init", str(tmp_path / "new"), "--database", url, expect=1)
    assert REFUSED[url] in done.stderr
    assert "geheim" not in done.stderr
    assert not (tmp_path / "new").exists()


def settings(tmp_path: Path, url: str) -> dict[str, object]:
    folder = Folder(tmp_path)
    folder.write_listen(Listen())
    folder.write_database(url)
    return databases.django_settings(folder)


def test_a_url_is_djangos_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings(tmp_path, "postgresql://us%40er@[::1]:5433/na%2Fme?sslmode=verify-full&connect_timeout=9")
    names = ("ENGINE", "USER", "HOST", "PORT", "NAME", "PASSWORD")
    assert [found[each] for each in names] == ["django.db.backends.postgresql", "us@er", "::1", "5433", "na/me", ""]
    assert found["OPTIONS"] == databases.DEFAULTS | {"sslmode": "verify-full", "connect_timeout": "9"}
    service = settings(tmp_path, "postgresql:///?service=openmid")
    assert (service["HOST"], service["NAME"]) == ("", "")
    Folder(tmp_path).keep_secret(databases.FILE, "from the file")
    assert settings(tmp_path, "postgresql:///name")["PASSWORD"] == "from the file"
    monkeypatch.setenv(databases.PASSWORD, "from the environment")
    assert settings(tmp_path, "postgresql:///name")["PASSWORD"] == "from the environment"


def test_a_folder_on_sqlite_stays_there(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write_listen(Listen())
    folder.database.touch()
    with pytest.raises(FolderError, match="are in SQLite"):
        databases.prepare(folder, "postgresql://host/name")


@pytest.fixture(scope="module")
def guarded() -> Cluster:
    """A server that wants a password."""
    with running() as found:
        found.sql("CREATE ROLE keeper LOGIN PASSWORD 'geheim'")
        found.sql("CREATE DATABASE kept OWNER keeper")
        (found.folder / "data" / "pg_hba.conf").write_text("host all all 127.0.0.1/32 scram-sha-256\n")
        found.restart("fast")
        yield found


def test_the_password_of_init_is_kept_for_the_other_commands(
    guarded: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, url = tmp_path / "new", guarded.url("kept", "keeper")
    monkeypatch.setenv("PGPASSFILE", "/dev/null")
    refused = openmid("init", str(folder), "--database", url, expect=1).stderr
    assert "the database server is away" in refused
    assert "no password supplied" in refused
    monkeypatch.setenv(databases.PASSWORD, "geheim")
    openmid("init", str(folder), "--database", url)
    monkeypatch.delenv(databases.PASSWORD)
    kept = folder / "secrets" / "database.password"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert "geheim" not in (folder / "instance.json").read_text()
    openmid("token", "create", "t", "--user", "admin", "--dir", str(folder))
    guarded.stop("fast")
    try:
        said = openmid("token", "create", "u", "--user", "admin", "--dir", str(folder), expect=1).stderr
    finally:
        guarded.start()
    assert said.startswith("openmid: the instance's database server does not answer\nhint: see that PostgreSQL runs")


def test_an_instance_on_sqlite_never_loads_libpq(tmp_path: Path) -> None:
    openmid("init", str(tmp_path / "new"))
    look = (
        "import sys; from pathlib import Path; from openmid.instance import setup; "
        f"setup.use(Path({str(tmp_path / 'new')!r})); import openmid.instance.asgi as asgi; asgi.application(); "
        "from openmid.instance.ecc.writer import writer; writer().run(lambda connection: None); "
        "print(sys.modules.get('psycopg'), 'libpq' in Path('/proc/self/maps').read_text())"
    )
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["None", "False"]
