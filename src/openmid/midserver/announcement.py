"""A new key of the MID Server, told to the instance at once: what `fips on` and `mid rekey` do at their end.

    python -m openmid.midserver.announcement AGENT [new]

A process of its own, since in FIPS Enforced Mode whatever handles keys is started under the staged configuration. With
`new` it makes the key first. It prints one sentence; exit status 1 with a sentence and a hint on two lines of stderr.
Without the network nothing is lost: the announcement is repeated at the next start.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from openmid.fips import activation
from openmid.fips.errors import FipsError
from openmid.midserver.config import Config
from openmid.midserver.errors import MidError, StartError
from openmid.midserver.fips_backup import STAGED

CREDENTIAL = "security/credential"
SECONDS = 10.0
LATER = "it is announced at the next start"


def in_fresh_process(agent: Path, *, new: bool = False) -> str:
    """The sentence of such a process; empty where there is nobody to tell yet.

    Raises:
        StartError: no new key was made. (An announcement that does not arrive is no error.)
    """
    if not new and not (agent / CREDENTIAL).exists():
        return ""
    enforced = Config.read(agent).fips_enforced
    done = subprocess.run(
        [sys.executable, "-P", "-m", "openmid.midserver.announcement", str(agent), *(["new"] if new else [])],
        env=activation.environment(agent / STAGED) if enforced else dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        return done.stdout.strip()
    rows = done.stderr.strip("\n").split("\n")
    told = done.returncode == 1 and not done.stderr.startswith("Traceback")
    sentence = rows[0] if told else rows[-1]
    if new:
        raise StartError(f"no new key was made: {sentence}", *rows[1:2] if told else ())
    return f"the new key is not announced yet, and {LATER}: {sentence}"


def main(words: list[str]) -> int:
    """Exit status 0, or 1 with a sentence and a hint on stderr."""
    agent = Path(words[0])
    try:
        config = Config.read(agent)
        if config.fips_enforced:
            activation.enter(agent / STAGED)
        return _run(config, new=words[1:] == ["new"])
    except (FipsError, MidError) as error:
        return _failed(error)


def _run(config: Config, *, new: bool) -> int:
    from openmid.keystore import KeystoreError
    from openmid.midserver import agent_key

    try:
        if new:
            agent_key.create(config.agent, config.required("name"))
    except (KeystoreError, OSError) as error:
        return _failed(error)
    sys.stdout.write(asyncio.run(_announce(config)) + "\n")
    return 0


def _failed(error: Exception) -> int:
    sys.stderr.write(f"{error}\n{getattr(error, 'hint', '')}\n")
    return 1


async def _announce(config: Config) -> str:
    from openmid.midserver import agent_key, logs
    from openmid.midserver.egress import Egress
    from openmid.midserver.instance_client import InstanceClient
    from openmid.midserver.link import Link
    from openmid.midserver.protocol_registry import ProtocolRegistry

    logs.configure(config.agent, config.parameter("mid.log.level", "info"), console=False)  # stdout is the sentence's
    key = agent_key.load_or_create(config.agent, config.required("name"))
    if not (config.agent / CREDENTIAL).exists():
        return "this MID Server is not enrolled yet: nobody has to be told"
    try:
        client = InstanceClient.of(config)
        registry = ProtocolRegistry(config.agent, Egress.of(config), enforced=config.fips_enforced)
        try:
            async with asyncio.timeout(SECONDS):
                await Link(config, key, client, registry, None).introduce()
        finally:
            await registry.close()
            await client.close()
    except MidError as error:
        return f"the new key is not announced yet, and {LATER}: {error}"
    except TimeoutError:
        return f"the new key is not announced yet, and {LATER}: the instance does not answer"
    return f"the instance knows the new key, {key.fingerprint}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
