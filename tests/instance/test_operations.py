"""Rotating the key, backups, purging: with a running instance where the sentence is about one."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import sqlite3
import tarfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone

from openmid.cli.instance import sentences
from openmid.instance.connections.models import MidProtocolProfile
from openmid.instance.ecc.models import EccQueueItem
from openmid.instance.ecc.writer import writer
from openmid.instance.errors import InstanceError
from openmid.instance.folder import Folder, Listen
from openmid.instance.mid.models import FipsProof
from openmid.instance.operations import backup as module
from openmid.instance.operations import retention, rotation
from openmid.instance.operations.backup import backup, restore
from openmid.instance.records import clock
from openmid.instance.records.secrets import SecretError, reveal
from openmid.instance.setup import initialise
from tests.instance.partners import Api, Mid
from tests.instance.test_commands import Running, free_port, openmid
from tests.instance.test_walk import records

SECRET = "correct horse battery"


@pytest.fixture
def profile(instance: Folder) -> Iterator[MidProtocolProfile]:
    before = (instance.secrets / "field.key").read_bytes()
    MidProtocolProfile(protocol="mauth", keystore_path="/x", password=SECRET).save()
    yield MidProtocolProfile.objects.get()
    (instance.secrets / "field.key").write_bytes(before)


def test_after_a_rotation_only_the_new_key_opens(instance: Folder, profile: MidProtocolProfile) -> None:
    old = instance.secret("field.key")
    assert rotation.rotate(instance) == 1
    new = instance.secret("field.key")
    assert old not in new
    again = MidProtocolProfile.objects.get()
    assert again.password != profile.password
    assert reveal(again, "password") == SECRET
    (instance.secrets / "field.key").write_text(old)
    with pytest.raises(SecretError):
        reveal(again, "password")


def test_a_secret_that_was_under_way_during_a_rotation_opens_after_it(
    instance: Folder, profile: MidProtocolProfile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Encrypted before, committed after every record was encrypted anew: PostgreSQL lets the rotation not see it."""

    def executions(read: str, keep: str) -> int:
        MidProtocolProfile._base_manager.filter(pk=profile.pk).update(password=profile.password)
        return 0

    monkeypatch.setattr(rotation, "_executions", executions)
    rotation.rotate(instance)
    assert len(instance.secret("field.key").split()) == 1
    assert reveal(MidProtocolProfile.objects.get(), "password") == SECRET


def test_what_root_writes_stays_the_instances_own(tmp_path: Path) -> None:
    """`sudo openmid instance rotate-key` must not take the key from the instance; nor `init` instance.json."""
    user = 65534 if os.geteuid() == 0 else os.geteuid()
    folder = Folder(tmp_path / "instance")
    folder.path.mkdir()
    for path in (folder.path, folder.secrets):
        path.mkdir(exist_ok=True)
        os.chown(path, user, -1)
    folder.write_listen(Listen())
    for value in ("first", "second"):
        folder.keep_secret("field.key", value)
    assert {path.stat().st_uid for path in (folder.settings, folder.secrets / "field.key")} == {user}
    assert (folder.secrets / "field.key").stat().st_mode & 0o777 == 0o600


def test_a_rotation_that_was_killed_half_way_has_lost_nothing(
    instance: Folder, profile: MidProtocolProfile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(model: object, known: object) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(rotation, "_again", killed)
        with pytest.raises(KeyboardInterrupt):
            rotation.rotate(instance)
    assert len(instance.secret("field.key").split()) == 2
    assert reveal(MidProtocolProfile.objects.get(), "password") == SECRET
    assert rotation.rotate(instance) == 1
    assert len(instance.secret("field.key").split()) == 1
    assert reveal(MidProtocolProfile.objects.get(), "password") == SECRET


def test_a_backup_of_a_running_instance_is_restored(tmp_path: Path) -> None:
    folder, file, again = tmp_path / "one", tmp_path / "one.tar.gz", tmp_path / "two"
    openmid("init", str(folder), "--port", str(free_port()))
    running = Running(folder)
    token = openmid("token", "create", "t", "--user", "admin", "--dir", str(folder)).stdout.strip()
    asks = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    assert running.request("POST", "/api/now/table/sys_alias", {"name": "kept"}, **asks)[0] == 201
    done = openmid("backup", str(file), "--dir", str(folder), "--with-secrets")
    assert "files" in done.stdout
    assert file.stat().st_mode & 0o777 == 0o600
    running.stop()
    openmid("restore", str(file), str(again))
    openmid("init", str(again))
    running = Running(again)
    status, answer = running.request("GET", "/api/now/table/sys_alias", None, **asks)
    assert status == 200
    assert b'"kept"' in answer
    running.stop()


def test_a_backup_leaves_secrets_out_unless_asked(tmp_path: Path) -> None:
    folder, file, again = tmp_path / "one", tmp_path / "one.tar.gz", tmp_path / "two"
    openmid("init", str(folder))
    assert "keep a copy of that folder elsewhere" in openmid("backup", str(file), "--dir", str(folder)).stderr
    secrets = [each.read_bytes().strip() for each in (folder / "secrets").iterdir()]
    assert len(secrets) == 3
    with tarfile.open(file) as tar:
        assert not [name for name in tar.getnames() if name.startswith("secrets")]
        held = b"".join(tar.extractfile(name).read() for name in tar.getmembers() if name.isfile())  # type: ignore[union-attr]
    assert not [secret for secret in secrets if secret in held]
    assert "is there already" in openmid("backup", str(file), "--dir", str(folder), expect=1).stderr
    assert "copy the instance's folder secrets/" in openmid("restore", str(file), str(again)).stderr
    assert "secrets/" in openmid("init", str(again), expect=1).stderr


def test_a_backup_has_each_attachment_once_and_not_what_went_away_meanwhile(
    instance: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An attachment's unfinished file takes its place, or goes, between a look into the folder and at the file."""
    place, original = instance.path / "attachments" / "aa", tarfile.TarFile.gettarinfo
    place.mkdir(parents=True)
    (place / "aa1.part").write_text("unfinished")
    (place / "aa2").write_text("whole")

    def gettarinfo(tar: tarfile.TarFile, name: Path, *others: object) -> tarfile.TarInfo:
        if str(name).endswith(".part"):
            Path(name).unlink()
        return original(tar, name, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(tarfile.TarFile, "gettarinfo", gettarinfo)
    names = backup(instance, tmp_path / "x.tar.gz", secrets=False)
    shutil.rmtree(instance.path / "attachments")
    assert [name for name in names if name.startswith("attachments/aa/")] == ["attachments/aa/aa2"]


@pytest.mark.parametrize("copied_first", [True, False])
def test_a_backup_during_a_rotation_has_the_key_of_its_database(
    instance: Folder, profile: MidProtocolProfile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, copied_first: bool
) -> None:
    def copied(_: Path, target: Path) -> Path:
        if not copied_first:
            rotation.rotate(instance)
        rows.append(MidProtocolProfile.objects.get())
        if copied_first:
            rotation.rotate(instance)
        target.touch()
        return target

    rows: list[MidProtocolProfile] = []
    sqlite3.connect(instance.database).close()
    monkeypatch.setattr(module, "_copied", copied)
    backup(instance, tmp_path / "x.tar.gz", secrets=True)
    restore(tmp_path / "x.tar.gz", Folder(tmp_path / "two"))
    shutil.copy(tmp_path / "two" / "secrets" / "field.key", instance.secrets / "field.key")
    assert reveal(rows[0], "password") == SECRET


def test_a_backup_for_which_there_is_no_room_says_so(instance: Folder, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    database = sqlite3.connect(instance.database)
    database.execute("CREATE TABLE IF NOT EXISTS large AS SELECT randomblob(100000) AS data")
    database.commit()
    database.close()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        with pytest.raises(InstanceError, match="cannot be copied"):
            backup(instance, tmp_path / "full" / "x.tar.gz", secrets=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        instance.database.unlink()
    assert not list((tmp_path / "full").iterdir())


def test_a_restore_that_was_killed_half_way_leaves_no_instance(
    instance: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def extractall(tar: tarfile.TarFile, *arguments: Any, **options: Any) -> None:
        original(tar, *arguments, **options)
        raise KeyboardInterrupt

    original = tarfile.TarFile.extractall
    backup(instance, tmp_path / "x.tar.gz", secrets=True)
    monkeypatch.setattr(tarfile.TarFile, "extractall", extractall)
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)  # nobody tidies up after SIGKILL
    with pytest.raises(KeyboardInterrupt):
        restore(tmp_path / "x.tar.gz", Folder(tmp_path / "two"))
    assert (tmp_path / "two" / "secrets" / "field.key").exists()
    with pytest.raises(InstanceError, match="neither empty nor an instance's folder"):
        initialise(tmp_path / "two", Listen())


def test_nobody_else_can_read_what_was_restored(instance: Folder, tmp_path: Path) -> None:
    backup(instance, tmp_path / "x.tar.gz", secrets=True)
    (tmp_path / "two").mkdir(mode=0o755)
    restore(tmp_path / "x.tar.gz", Folder(tmp_path / "two"))
    assert [(tmp_path / "two" / name).stat().st_mode & 0o777 for name in (".", "secrets")] == [0o700, 0o700]


def test_what_root_restores_is_the_folders_owners(instance: Folder, tmp_path: Path) -> None:
    user = 65534 if os.geteuid() == 0 else os.geteuid()
    backup(instance, tmp_path / "x.tar.gz", secrets=True)
    (tmp_path / "two").mkdir()
    os.chown(tmp_path / "two", user, -1)
    restore(tmp_path / "x.tar.gz", Folder(tmp_path / "two"))
    assert {path.stat().st_uid for path in ((tmp_path / "two"), *(tmp_path / "two").rglob("*"))} == {user}


def test_the_disk_and_senseless_numbers_are_answered_with_a_sentence(tmp_path: Path) -> None:
    folder, file = tmp_path / "one#1", tmp_path / "one.tar.gz"
    openmid("init", str(folder))
    openmid("backup", str(file), "--dir", str(folder))
    assert "Not a directory" in openmid("restore", str(file), str(file), expect=1).stderr
    assert "0 executions" in openmid("purge", "--older-than", "1000000", "--dir", str(folder)).stdout
    assert "purge: 0 executions older than 1000000 days" in openmid("audit", "--dir", str(folder)).stdout


def test_a_full_disk_is_no_traceback_of_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    @sentences
    def command() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(SystemExit):
        command()
    assert capsys.readouterr().err.startswith("openmid: No space left on device\nhint: see the disk")


@pytest.mark.parametrize("damage", ["not an archive", "cut", "another archive", "outside"])
def test_a_file_that_is_no_backup_leaves_nothing_behind(instance: Folder, tmp_path: Path, damage: str) -> None:
    file, target = tmp_path / "x.tar.gz", tmp_path / "restored"
    sqlite3.connect(instance.database).close()
    backup(instance, file, secrets=False)
    if damage == "not an archive":
        file.write_bytes(b"nothing")
    elif damage == "cut":
        file.write_bytes(file.read_bytes()[:-200])
    else:
        with tarfile.open(file, "w:gz") as tar:
            tar.add(instance.settings, "backup.json" if damage == "outside" else "something")
            if damage == "outside":
                tar.add(instance.settings, "../../outside")
    with pytest.raises(InstanceError):
        restore(file, Folder(target))
    assert not target.exists()
    assert not (tmp_path.parent / "outside").exists()


def test_what_is_older_than_its_retention_goes_and_the_rest_stays(
    api: Api, mid: Mid, monkeypatch: pytest.MonkeyPatch
) -> None:
    from openmid.instance.actions.models import Execution, StepExecution

    records(api)
    for _ in range(3):
        api.execute("call")
        mid.deliver(mid.job())
    assert (Execution.objects.count(), EccQueueItem.objects.count()) == (3, 6)
    assert retention.purge(1).executions == 0
    later = clock.now() + 2 * retention.DAY_US
    monkeypatch.setattr(clock, "jump", lambda: 0)  # or the server would follow, and stay there
    monkeypatch.setattr(clock, "now", lambda: later)
    mid.heartbeat()
    api.execute("call")
    mid.deliver(mid.job())
    assert retention.purge(1).executions == 3
    assert (Execution.objects.count(), StepExecution.objects.count(), EccQueueItem.objects.count()) == (1, 1, 2)


def test_what_nobody_can_use_goes_also_where_everything_is_kept(instance: Folder) -> None:
    for key, seconds in (("ended", -1), ("lasts", 60)):
        Session.objects.create(
            session_key=key, session_data="", expire_date=timezone.now() + timedelta(seconds=seconds)
        )
    place = instance.path / "attachments" / "bb"
    place.mkdir(parents=True)
    (place / "b1").symlink_to("went away")
    (place / "b2").write_text("no record knows it")
    os.utime(place / "b2", (0, 0))
    assert retention.tidy(0) == retention.Purged()
    assert list(Session.objects.values_list("session_key", flat=True)) == ["lasts"]
    assert [each.name for each in place.iterdir()] == ["b1"]
    shutil.rmtree(instance.path / "attachments")


def test_proofs_that_nobody_rests_on_go_once_there_are_many(
    api: Api, mid: Mid, monkeypatch: pytest.MonkeyPatch
) -> None:
    records(api)
    FipsProof.objects.bulk_create(FipsProof(sys_id=f"{n:032x}", proof="{}") for n in range(250))
    api.execute("call")
    mid.deliver(mid.job())
    writer().run(
        lambda connection: connection.change("UPDATE step_execution SET fips_proof = :proof", proof=f"{7:032x}")
    )
    writer().run(lambda connection: connection.change("UPDATE ecc_agent SET fips_proof_id = :proof", proof=f"{8:032x}"))
    retention.purge(1)
    assert FipsProof.objects.count() == 250
    monkeypatch.setattr(retention, "MANY_PROOFS", 100)
    retention.purge(1)
    assert sorted(FipsProof.objects.values_list("sys_id", flat=True)) == [f"{7:032x}", f"{8:032x}"]
