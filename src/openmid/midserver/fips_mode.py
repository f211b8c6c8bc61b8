"""The switch: FIPS Enforced Mode on, off, and what stands.

`on` makes everything new beside the old (the staged provider, the new keystores), proves it in a fresh process, and
only then puts it in place, and proves what stands. A journal stands from the first change to the last: removing it is
the commit. Whatever fails puts everything back; what is killed is put back by the next run or the MID Server's next
start. `off` undoes what `on` changed, and only that.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from openmid import system
from openmid.fips import activation
from openmid.fips import provider as providers
from openmid.fips.errors import FipsError
from openmid.fips.proof import Proof, prove_in_fresh_process
from openmid.fips.provider import Staged, StagedRecord
from openmid.midserver import announcement
from openmid.midserver.config import FILE, FIPS_ENFORCED, Config, agent_folder, sync_folder, write_atomic
from openmid.midserver.errors import ConfigError, MidError
from openmid.midserver.fips_backup import MANIFEST, SCRATCH, SECURITY, STAGED, Backup, SwitchError, recover, under_way
from openmid.midserver.fips_material import TRUSTSTORE, TRUSTSTORE_PATH
from openmid.midserver.process import PUBLIC_KEY, Lock, holder, running_pid

# As in agent_key and link, which import cryptography.
KEYSTORE, SECRET, ANNOUNCING = "security/agent_keystore", "security/secret.key", "security/announcing"
CHANGED = (FILE, KEYSTORE, PUBLIC_KEY, TRUSTSTORE)
ENFORCED, OFF, BROKEN = "enforced", "off", "broken"
SCRIPT = "agent/bin/scripts/set-fips-enforced-mode.sh"


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
    """What a switch did, in absolute paths; `already` when there was nothing to do. `repaired` and `kept` are sentences
    about what an earlier switch left and what this one left; `announced` about the new key and the instance."""

    mode: str
    already: bool = False
    modified: tuple[Path, ...] = ()
    created: tuple[Path, ...] = ()
    removed: tuple[Path, ...] = ()
    backups: tuple[Path, ...] = ()
    kept: tuple[str, ...] = ()
    status: Status | None = None
    repaired: tuple[str, ...] = ()
    announced: str = ""


def status(folder: Path) -> Status:
    """How it stands, proved in a fresh process. Raises ConfigError when there is no MID Server in `folder`."""
    agent = agent_folder(folder)
    action = under_way(agent)
    if action:
        pid = running_pid(agent)
        now = f"is being switched {action} (pid {pid})" if pid else f"was being switched {action} and was interrupted"
        return Status(BROKEN, f"it {now}: the next on, off or start of the MID Server puts it back as it was")
    return _stands(agent)


def _stands(agent: Path) -> Status:
    try:
        if not Config.read(agent).fips_enforced:
            return Status(OFF)
        record = Staged(agent / STAGED).record()
    except (FipsError, ConfigError) as error:
        return Status(BROKEN, str(error))
    proof = prove_in_fresh_process(agent / STAGED)
    return Status(ENFORCED if proof.enforced else BROKEN, proof.reason, record, proof)


def switch_on(folder: Path, provider: Path | None = None) -> Outcome:
    """Enforce. `provider` names a fips.so; without it agent/lib and the usual places are searched.

    Raises:
        SwitchError: refused, or failed and everything put back.
        Broken: it is on already, and not in force.
        FipsError, ConfigError, AlreadyRunning: each with its sentence; nothing was changed.
    """
    agent = agent_folder(folder)
    activation.expect_supported()
    expect_stopped(agent)
    expect_owner(agent)
    with exclusively(agent, "set-fips-enforced-mode.sh on") as repaired:
        config = Config.read(agent)
        if config.fips_enforced:
            return _already_on(agent, repaired)
        found = providers.find_provider(provider, beside=agent / "lib")
        with scratch_folder(agent) as scratch:
            done = _on(config, found, scratch)
        return replace(done, repaired=repaired, announced=announcement.in_fresh_process(agent))


def _already_on(agent: Path, repaired: tuple[str, ...]) -> Outcome:
    now = _stands(agent)
    if now.mode != ENFORCED:
        raise Broken(f"FIPS Enforced Mode is on already, and broken: {now.reason}", f"{SCRIPT} off, then on")
    return Outcome(ENFORCED, already=True, status=now, repaired=repaired)


def _on(config: Config, found: providers.Provider, scratch: Path) -> Outcome:
    agent = config.agent
    backup = Backup.make(agent, "on", CHANGED, scratch)
    try:
        backup.begin()
        backup.set_stage_aside()
        providers.stage(found, agent / STAGED)
        _make_material(agent, scratch)
        _expect_proof(prove_in_fresh_process(agent / STAGED))
        modified, created = _put_in_place(config, scratch, backup)
        now = _stands(agent)
        _expect_proof(now.proof)
        backup.commit()
    except BaseException as error:
        _put_back(backup, "on")
        if isinstance(error, (OSError, MidError, FipsError)):
            raise SwitchError(_put_back_sentence(_words(error)), getattr(error, "hint", "")) from error
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
    """Note in the manifest what will be written, then move what was made into place, config.xml last."""
    agent = config.agent
    made = [name for name in (SECRET, TRUSTSTORE, KEYSTORE, PUBLIC_KEY) if _is_made(scratch / name)]
    changes = {FIPS_ENFORCED: "true"} | ({TRUSTSTORE_PATH: TRUSTSTORE} if TRUSTSTORE in made else {})
    for name, value in changes.items():
        backup.manifest.parameters[name] = [config.parameter(name), value]
        config.set_parameter(name, value)
    for name in made:
        backup.plan(name, (scratch / name).read_bytes())
    backup.plan(FILE, config.content)
    backup.save()
    for name in made:
        (scratch / name).replace(agent / name)
    sync_folder(agent / SECURITY)
    config.save()
    created = [agent / name for name in made if name in backup.manifest.created]
    return [*(agent / name for name in made if name not in backup.manifest.created), config.path], created


def _is_made(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _put_back(backup: Backup, word: str) -> None:
    try:
        backup.put_back()
    except (OSError, ConfigError) as error:
        raise SwitchError(
            f"FIPS Enforced Mode was not switched {word}, and what was changed could not be put back: {error}",
            f"mend that and run it again; or copy the files in {backup.folder} back by hand: its {MANIFEST} says where "
            "each belongs",
        ) from error


def switch_off(folder: Path) -> Outcome:
    """No longer enforce. What was edited since `on` stays.

    Raises:
        SwitchError, ConfigError, AlreadyRunning: each with its sentence.
    """
    agent = agent_folder(folder)
    expect_stopped(agent)
    expect_owner(agent)
    with exclusively(agent, "set-fips-enforced-mode.sh off") as repaired:
        config = Config.read(agent)
        if not config.fips_enforced:
            return Outcome(OFF, already=True, repaired=repaired)
        with scratch_folder(agent) as scratch:
            backup = Backup.make(agent, "off", CHANGED, scratch)
        try:
            return replace(_off(config, backup), repaired=repaired)
        except BaseException as error:
            _put_back(backup, "off")
            if isinstance(error, (OSError, MidError)):
                raise SwitchError(
                    f"FIPS Enforced Mode was not switched off, and everything was put back: {_words(error)}"
                ) from error
            raise


def _words(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.filename} cannot be written: {error.strerror}"
    return str(error)


def _off(config: Config, backup: Backup) -> Outcome:
    agent, undone = config.agent, Backup.last(config.agent, "on")
    back, kept = _to_put_back(agent, undone)
    text = _configuration_before(config, undone, backup)
    for name, content in {**back, FILE: text}.items():
        backup.plan(name, content)
    still_used = config.parameter(TRUSTSTORE_PATH) == TRUSTSTORE
    removed = []
    if undone is not None and TRUSTSTORE in undone.manifest.created and not still_used:
        if undone.unchanged_since(TRUSTSTORE):
            removed.append(agent / TRUSTSTORE)
        else:
            kept.append(f"{agent / TRUSTSTORE}: it was changed since")
    backup.save()
    backup.begin()
    for name, content in back.items():
        write_atomic(agent / name, content, (agent / name).stat().st_mode & 0o777)
    write_atomic(config.path, text, config.path.stat().st_mode & 0o777)
    for path in removed:
        path.unlink()
    removed += [agent / STAGED / name for name in backup.manifest.staged]
    backup.set_stage_aside()
    backup.commit()
    shutil.rmtree(agent / STAGED, ignore_errors=True)  # empty folders at most
    modified = [*(agent / name for name in back), config.path]
    backups = (*backup.copies(), *(backup.folder / "fips" / name for name in backup.manifest.staged))
    return Outcome(OFF, False, tuple(modified), (), tuple(removed), backups, tuple(kept), Status(OFF))


def _to_put_back(agent: Path, undone: Backup | None) -> tuple[dict[str, bytes], list[str]]:
    """The keystore and its public key as they were before `on`, unless the instance may know the new key by now."""
    if undone is None:
        return {}, ["no backup of the switch is left, so only the mode itself is switched off"]
    if undone.saved(KEYSTORE) is None:
        return {}, []
    if not undone.unchanged_since(KEYSTORE) or (agent / ANNOUNCING).exists():
        return {}, [f"{agent / KEYSTORE}: the instance knows the key in it"]
    names = [name for name in (KEYSTORE, PUBLIC_KEY) if undone.saved(name) and undone.unchanged_since(name)]
    return {name: undone.content(name) for name in names}, []


def _configuration_before(config: Config, undone: Backup | None, backup: Backup) -> bytes:
    """The file as it was when nobody edited it since; else only the parameters that `on` set and nobody changed.

    Changes `config`, in memory only, and notes the parameters in `backup`."""
    unedited = undone is not None and undone.unchanged_since(FILE)
    changes = undone.manifest.parameters if undone is not None else {}
    for name, (before, after) in (changes | {FIPS_ENFORCED: ["false", "true"]}).items():
        if config.parameter(name) == after:
            backup.manifest.parameters[name] = [after, before]
            config.set_parameter(name, before)
    return undone.content(FILE) if undone is not None and unedited else config.content


def expect_stopped(agent: Path) -> None:
    """Raises SwitchError, with the pid, while the MID Server runs."""
    pid = running_pid(agent)
    if pid is not None and holder(agent):
        raise SwitchError(f"{holder(agent)} is under way in {agent} (pid {pid})", "wait until it has ended")
    if pid is not None:
        raise SwitchError(f"the MID Server in {agent} is running (pid {pid})", "stop it first: agent/bin/mid.sh stop")


def expect_owner(agent: Path) -> None:
    """Written by another user, even root, the files would no longer be the MID Server's."""
    owner, user = system.HERE.owner(agent / FILE), system.HERE.user()
    if user != owner:
        raise SwitchError(f"{agent} belongs to the user {owner}, not to {user}", f"run it as {owner}")
    for path in (agent, agent / SECURITY, agent / "work"):
        if not os.access(path, os.W_OK | os.X_OK):
            raise SwitchError(f"{path} cannot be written by the user {owner}", f"chmod u+rwx {path}")


@contextmanager
def exclusively(agent: Path, what: str) -> Iterator[tuple[str, ...]]:
    """Nobody starts this MID Server, or switches it, while `what` is done, as others are told. What an interrupted switch
    left is put back first: gives the sentences about it."""
    lock = Lock(agent, what)
    try:
        yield tuple(recover(agent))
    finally:
        lock.release()


@contextmanager
def scratch_folder(agent: Path) -> Iterator[Path]:
    """A folder beside the real one, laid out like an agent folder, for files that are moved when all is proved."""
    with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=agent / SECURITY) as name:
        (Path(name) / SECURITY).mkdir()
        yield Path(name)
