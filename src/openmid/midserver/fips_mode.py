"""The switch: FIPS Enforced Mode on, off, and what stands.

`on` makes everything new beside the old (the staged provider, the new keystores), proves it in a fresh process, and
only then puts it in place; the atomic replacement of config.xml is the commit point. Before it the MID Server is as it
was. Whatever fails puts everything back. `off` undoes what `on` changed, and only that.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from openmid.fips import activation
from openmid.fips import provider as providers
from openmid.fips.errors import FipsError
from openmid.fips.proof import Proof, prove_in_fresh_process
from openmid.fips.provider import Staged, StagedRecord
from openmid.midserver.config import FILE, FIPS_ENFORCED, Config, agent_folder
from openmid.midserver.errors import ConfigError, MidError
from openmid.midserver.fips_backup import MANIFEST, SECURITY, Backup
from openmid.midserver.fips_material import STAGED, TRUSTSTORE, TRUSTSTORE_PATH
from openmid.midserver.process import PUBLIC_KEY, Lock, running_pid

KEYSTORE, SECRET = "security/agent_keystore", "security/secret.key"  # as in agent_key, which imports cryptography
CHANGED = (FILE, KEYSTORE, PUBLIC_KEY, TRUSTSTORE)
ENFORCED, OFF, BROKEN = "enforced", "off", "broken"
SCRATCH = ".switch-"
SCRIPT = "agent/bin/scripts/set-fips-enforced-mode.sh"


class SwitchError(MidError):
    """Raised when the switch was refused, or failed and put everything back."""


class Broken(MidError):
    """Raised when FIPS Enforced Mode is set and not in force."""


@dataclass(frozen=True)
class Status:
    """How it stands: `mode` is `enforced`, `off` or `broken`; a proof was made unless it is off."""

    mode: str
    reason: str = ""
    provider: StagedRecord | None = None
    proof: Proof | None = None


@dataclass(frozen=True)
class Outcome:
    """What a switch did, in absolute paths; `already` when there was nothing to do."""

    mode: str
    already: bool = False
    modified: tuple[Path, ...] = ()
    created: tuple[Path, ...] = ()
    removed: tuple[Path, ...] = ()
    backups: tuple[Path, ...] = ()
    kept: tuple[str, ...] = ()
    status: Status | None = None


def status(folder: Path) -> Status:
    """How it stands, proved in a fresh process. Raises ConfigError when there is no MID Server in `folder`."""
    agent = agent_folder(folder)
    try:
        if not Config.read(agent).fips_enforced:
            return Status(OFF)
        record = Staged(agent / STAGED).record()
    except (FipsError, ConfigError) as error:
        return Status(BROKEN, str(error))
    proof = prove_in_fresh_process(agent / STAGED)
    return Status(ENFORCED if proof.enforced else BROKEN, proof.reason, record, proof)


def switch_on(folder: Path, provider: Path | None = None) -> Outcome:
    """Enforce. `provider` names a fips.so; without it the usual places are searched.

    Raises:
        SwitchError: refused, or failed and everything put back.
        Broken: it is on already, and not in force.
        FipsError, ConfigError, AlreadyRunning: each with its sentence; nothing was changed.
    """
    agent = agent_folder(folder)
    _expect_stopped(agent)
    _expect_owner(agent)
    with _exclusively(agent):
        config = Config.read(agent)
        if config.fips_enforced:
            return _already_on(agent)
        found = providers.find_provider(provider)
        with _scratch(agent) as scratch:
            return _on(config, found, scratch)


def _already_on(agent: Path) -> Outcome:
    now = status(agent)
    if now.mode != ENFORCED:
        raise Broken(f"FIPS Enforced Mode is on already, and broken: {now.reason}", f"{SCRIPT} off, then on")
    return Outcome(ENFORCED, already=True, status=now)


def _on(config: Config, found: providers.Provider, scratch: Path) -> Outcome:
    agent = config.agent
    backup = Backup.make(agent, "on", CHANGED)
    try:
        providers.stage(found, agent / STAGED)
        _make_material(agent, scratch)
        _expect_proof(prove_in_fresh_process(agent / STAGED))
        modified, created = _put_in_place(config, scratch, backup)
        now = status(agent)
        _expect_proof(now.proof)
    except BaseException as error:
        _put_back(agent, backup)
        if isinstance(error, OSError):
            raise SwitchError(_put_back_sentence(f"{error.filename} cannot be written: {error.strerror}")) from error
        if isinstance(error, (MidError, FipsError)):
            raise SwitchError(_put_back_sentence(str(error)), error.hint) from error
        raise
    created = [*created, *sorted(path for path in (agent / STAGED).rglob("*") if path.is_file())]
    backups = (*backup.copies(), backup.folder / MANIFEST)
    return Outcome(ENFORCED, False, tuple(modified), tuple(created), (), backups, (), now)


def _put_back_sentence(reason: str) -> str:
    return f"FIPS Enforced Mode was not switched on, and everything was put back: {reason}"


def _make_material(agent: Path, scratch: Path) -> None:
    """New keystores, written in a fresh process that is enforced, into `scratch`."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "openmid.midserver.fips_material", str(agent), str(scratch)],
        env=activation.environment(agent / STAGED),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        rows = done.stderr.strip("\n").split("\n")
        told = done.returncode == 1 and not done.stderr.startswith("Traceback")
        raise SwitchError(
            rows[0] if told else f"the new keystores were not made: {rows[-1]}", *rows[1:2] if told else ()
        )


def _expect_proof(proof: Proof | None) -> None:
    if proof is None or not proof.enforced:
        raise SwitchError(proof.reason if proof else "there is no proof")


def _put_in_place(config: Config, scratch: Path, backup: Backup) -> tuple[list[Path], list[Path]]:
    """Move what was made into place, config.xml last. A keystore with the new and the old key serves either mode."""
    agent = config.agent
    modified, created = [], []
    for name in (SECRET, TRUSTSTORE, KEYSTORE, PUBLIC_KEY):
        made = scratch / name
        if not made.is_file() or made.is_symlink():
            continue
        if not (agent / name).exists():
            backup.manifest.created[name] = ""
            backup.save()
            created.append(agent / name)
        else:
            modified.append(agent / name)
        made.replace(agent / name)
    changes = {FIPS_ENFORCED: "true"}
    if agent / TRUSTSTORE in (*created, *modified):
        changes[TRUSTSTORE_PATH] = TRUSTSTORE
    for name, value in changes.items():
        backup.manifest.parameters[name] = [config.parameter(name), value]
        config.set_parameter(name, value)
    config.save()
    backup.note_changes()
    return [*modified, config.path], created


def _put_back(agent: Path, backup: Backup) -> None:
    _restore(backup, "on")
    shutil.rmtree(agent / STAGED, ignore_errors=True)


def _restore(backup: Backup, word: str) -> None:
    try:
        backup.restore_all()
    except OSError as error:
        raise SwitchError(
            f"FIPS Enforced Mode was not switched {word}, and {error.filename} could not be put back: {error.strerror}",
            f"copy the files in {backup.folder} back by hand; its {MANIFEST} says where each belongs",
        ) from error


def switch_off(folder: Path) -> Outcome:
    """No longer enforce. What was edited since `on` stays.

    Raises:
        SwitchError, ConfigError, AlreadyRunning: each with its sentence.
    """
    agent = agent_folder(folder)
    _expect_stopped(agent)
    _expect_owner(agent)
    with _exclusively(agent):
        config = Config.read(agent)
        if not config.fips_enforced:
            return Outcome(OFF, already=True)
        backup = Backup.make(agent, "off", CHANGED)
        try:
            return _off(config, backup)
        except OSError as error:
            _restore(backup, "off")
            sentence = f"{error.filename} cannot be written: {error.strerror}"
            raise SwitchError(
                f"FIPS Enforced Mode was not switched off, and everything was put back: {sentence}"
            ) from error


def _off(config: Config, backup: Backup) -> Outcome:
    agent, undone, kept = config.agent, Backup.last(config.agent, "on"), []
    modified, removed = [], []
    if undone is None:
        kept.append("no backup of the switch is left, so only the mode itself is switched off")
    for name in (KEYSTORE, PUBLIC_KEY):
        if undone is None or undone.saved(name) is None:
            continue
        if undone.unchanged_since(name):
            undone.restore(name)
            modified.append(agent / name)
        elif name == KEYSTORE:
            kept.append(f"{agent / name}: the instance knows the key in it")
            break
    _configuration_as_before(config, undone)
    modified.append(config.path)
    still_used = Config.read(agent).parameter(TRUSTSTORE_PATH) == TRUSTSTORE
    if undone is not None and TRUSTSTORE in undone.manifest.created and not still_used:
        if undone.unchanged_since(TRUSTSTORE):
            (agent / TRUSTSTORE).unlink()
            removed.append(agent / TRUSTSTORE)
        else:
            kept.append(f"{agent / TRUSTSTORE}: it was changed since")
    backup.note_changes()
    removed += sorted(path for path in (agent / STAGED).rglob("*") if path.is_file())
    shutil.rmtree(agent / STAGED, ignore_errors=True)  # last: until here everything can be put back
    return Outcome(OFF, False, tuple(modified), (), tuple(removed), tuple(backup.copies()), tuple(kept), Status(OFF))


def _configuration_as_before(config: Config, undone: Backup | None) -> None:
    """The file as it was when nobody edited it since; else only the parameters that `on` set and nobody changed."""
    if undone is not None and undone.unchanged_since(FILE):
        undone.restore(FILE)
        return
    changes = undone.manifest.parameters if undone is not None else {}
    for name, (before, after) in (changes | {FIPS_ENFORCED: ["false", "true"]}).items():
        if config.parameter(name) == after:
            config.set_parameter(name, before)
    config.save()


def _expect_stopped(agent: Path) -> None:
    pid = running_pid(agent)
    if pid is not None:
        raise SwitchError(f"the MID Server in {agent} is running (pid {pid})", "stop it first: agent/bin/mid.sh stop")


def _expect_owner(agent: Path) -> None:
    """Written by another user, even root, the files would no longer be the MID Server's."""
    owner = (agent / FILE).stat().st_uid
    if os.geteuid() != owner:
        name = _user(owner)
        raise SwitchError(f"{agent} belongs to the user {name}, not to {_user(os.geteuid())}", f"run it as {name}")
    for path in (agent, agent / SECURITY, agent / "work"):
        if not os.access(path, os.W_OK | os.X_OK):
            raise SwitchError(f"{path} cannot be written by the user {_user(owner)}", f"chmod u+rwx {path}")


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


@contextmanager
def _exclusively(agent: Path) -> Iterator[None]:
    """Nobody starts this MID Server, or switches it, meanwhile. What a killed switch left half-made goes."""
    lock = Lock(agent)
    try:
        for pattern in (f"{SCRATCH}*", ".fips-*"):  # ours, and those of provider.stage
            for folder in (agent / SECURITY).glob(pattern):
                shutil.rmtree(folder, ignore_errors=True)
        yield
    finally:
        lock.release()


@contextmanager
def _scratch(agent: Path) -> Iterator[Path]:
    """A folder beside the real one, laid out like an agent folder, for files that are moved when all is proved."""
    with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=agent / SECURITY) as name:
        (Path(name) / SECURITY).mkdir()
        yield Path(name)
