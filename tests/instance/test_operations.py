"""Rotating the key, backups, purging: with a running instance where the sentence is about one."""

from __future__ import annotations

import sqlite3
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from openmid.instance.connections.models import MidProtocolProfile
from openmid.instance.ecc.models import EccQueueItem
from openmid.instance.ecc.writer import writer
from openmid.instance.errors import InstanceError
from openmid.instance.folder import Folder
from openmid.instance.mid.models import FipsProof
from openmid.instance.operations import retention, rotation
from openmid.instance.operations.backup import backup, restore
from openmid.instance.records import clock
from openmid.instance.records.secrets import SecretError, reveal
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
