"""What a host's administrator gets wrong, and the sentence that each has: by mid.sh, as a user without root's powers."""

# ruff: noqa: F811  fixtures are imported

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.midserver.fake_instance import FakeInstance
from tests.midserver.test_process import Installed, installed, instance, own_key  # noqa: F401  fixtures
from tests.parts import missing

pytestmark = pytest.mark.e2e

Mistake = Callable[[Path], object]
OWNER = "give it to the user that runs the MID Server"


def closed(name: str) -> Mistake:
    return lambda agent: (agent / name).chmod(0)


def without_logs(agent: Path) -> None:
    """Not to be written, and the files in it gone."""
    shutil.rmtree(agent / "logs")
    (agent / "logs").mkdir(0o555)


async def as_user(where: Installed, word: str) -> tuple[int, str, str]:
    """mid.sh by somebody whom permissions stop."""
    words = [where.agent / "bin" / "mid.sh", word]
    if os.geteuid() == 0:
        if not shutil.which("setpriv"):
            missing("setpriv", "util-linux")
        words = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *words]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*words, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe)
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


@pytest.mark.parametrize(
    ("mistake", "sentence", "hint"),
    [
        (closed("config.xml"), "config.xml cannot be read: Permission denied", OWNER),
        (closed("security"), "/agent/security/", OWNER),
        (closed("security/secret.key"), "secret.key cannot be read: Permission denied", OWNER),
        (closed("security/agent_keystore"), "agent_keystore may not be read by this user", OWNER),
        (closed("work"), "/agent/work", OWNER),
        (lambda agent: (agent / "work").chmod(0o500), "cannot be", OWNER),
        (without_logs, "/agent/logs", OWNER),
        (lambda agent: (agent / "config.xml").unlink(), "there is no MID Server in", "lays one out"),
    ],
)  # fmt: skip
async def test_each_mistake_is_one_sentence_and_what_to_do(
    installed: Installed, mistake: Mistake, sentence: str, hint: str
) -> None:
    mistake(installed.agent)
    try:
        status, _, err = await as_user(installed, "start")
        said, advice = err.splitlines()
        assert status == 1
        assert said.startswith("openmid: ")
        assert sentence in said
        assert advice.startswith("hint: ")
        assert hint in advice
    finally:
        for folder in ("security", "work", "logs"):
            (installed.agent / folder).chmod(0o700)


async def test_status_and_stop_of_a_folder_that_is_closed_have_their_sentence(installed: Installed) -> None:
    (installed.agent / "work").mkdir(exist_ok=True)
    (installed.agent / "work" / "mid.lock").touch(0)
    for word in ("status", "stop"):
        status, _, err = await as_user(installed, word)
        assert (status, err.splitlines()[0]) == (
            1,
            f"openmid: {installed.agent}/work/mid.lock cannot be used: Permission denied",
        )


async def test_a_folder_that_was_moved_runs_where_it_is_and_makes_the_folder_of_logs_anew(
    installed: Installed, instance: FakeInstance
) -> None:
    await installed.start()
    assert (await installed.sh("stop"))[0] == 0
    moved = Installed(installed.agent.parent.rename(installed.agent.parent.with_name("moved")) / "agent")
    shutil.rmtree(moved.agent / "logs")
    assert (await moved.start()).startswith("up")
    assert str(moved.agent) in (await moved.sh("status"))[1]
    assert (await moved.sh("stop"))[0] == 0
    (moved.agent / "security" / "credential").chmod(0)
    status, _, err = await as_user(moved, "start")
    assert (status, OWNER in err, "Traceback" in err) == (1, True, False)
    assert "credential cannot be used: Permission denied" in err
    assert "credential cannot be used" in moved.log
