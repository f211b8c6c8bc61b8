"""The part of the switch that handles keys, run in a process of its own that is already enforced: what it writes is
written through the provider, with approved algorithms only.

    python -m openmid.midserver.fips_material AGENT SCRATCH

SCRATCH is laid out like an agent folder. It gets security/agent_keystore (if AGENT has one: a new key `mid` beside the
old one, `previous`) and security/truststore.bcfks (if AGENT's truststore is PEM); both are read again. Nothing in AGENT
is changed. Exit status 1 with a sentence and a hint on two lines of stderr.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from openmid.fips import activation
from openmid.fips.errors import FipsError
from openmid.midserver.config import Config, write_atomic
from openmid.midserver.errors import MidError, StartError
from openmid.midserver.fips_backup import STAGED

TRUSTSTORE = "security/truststore.bcfks"
TRUSTSTORE_PATH, TRUSTSTORE_PASSWORD = "mid.https.truststore.path", "mid.https.truststore.password"


def main(words: list[str]) -> int:
    """Exit status 0, or 1 with a sentence and a hint on stderr."""
    agent, scratch = map(Path, words)
    try:
        activation.enter(agent / STAGED)
        from openmid.keystore import KeystoreError
    except FipsError as error:
        return _failed(error)
    try:
        config = Config.read(agent)
        _new_key(config, scratch)
        _convert_truststore(config, scratch)
    except (KeystoreError, FipsError, MidError, OSError) as error:
        return _failed(error)
    return 0


def _failed(error: Exception) -> int:
    sys.stderr.write(f"{error}\n{getattr(error, 'hint', '')}\n")
    return 1


def _new_key(config: Config, scratch: Path) -> None:
    """A new key pair made by the provider; none before the MID Server's first start, which makes it."""
    from openmid.midserver import agent_key

    if not (config.agent / agent_key.KEYSTORE).exists():
        return
    name = config.parameter("name")
    (scratch / agent_key.SECRET).symlink_to(config.agent / agent_key.SECRET)  # no second copy of a secret
    for known in (agent_key.KEYSTORE, agent_key.ANNOUNCING):
        if (config.agent / known).exists():
            shutil.copy2(config.agent / known, scratch / known)
    agent_key.create(scratch, name)
    agent_key.load_or_create(scratch, name)  # what was written opens again


def _convert_truststore(config: Config, scratch: Path) -> None:
    """The same certificates in a BCFKS store, under the password by which the MID Server will look for it."""
    from openmid import keystore

    value = config.parameter(TRUSTSTORE_PATH)
    path = config.agent / value
    if not value or keystore.detect(path) == "BCFKS":
        return
    _expect_pem(config, path)
    password = config.parameter(TRUSTSTORE_PASSWORD) or _secret(config.agent, scratch)
    certificates = keystore.load(path, None, "PEM").certificates()
    made = keystore.KeyStore()
    for number, entry in enumerate(certificates.values(), 1):
        made.set_certificate(f"instance-ca-{number}", entry.certificate)
    made.save(scratch / TRUSTSTORE, password)
    again = keystore.load(scratch / TRUSTSTORE, password, "BCFKS").certificates()
    if [entry.certificate for entry in again.values()] != [entry.certificate for entry in certificates.values()]:
        raise StartError(f"the truststore {path} was not converted whole")


def _expect_pem(config: Config, path: Path) -> None:
    from openmid import keystore

    kind = keystore.detect(path)
    if kind == "PEM":
        return
    to = path.with_suffix(".bcfks")
    command = keystore.conversion_command(
        path, kind, to, config.agent / "jre/bin/keytool", config.agent / "lib/bc-fips.jar"
    )
    raise StartError(
        f"the truststore {path} is {kind}, and in FIPS Enforced Mode only BCFKS is opened",
        f"convert it and set {TRUSTSTORE_PATH} in config.xml to {to}: {command}",
    )


def _secret(agent: Path, scratch: Path) -> str:
    """The password in security/secret.key; made in `scratch` where there is none yet."""
    from openmid.fips import keys
    from openmid.midserver.agent_key import SECRET

    if (agent / SECRET).exists():
        return (agent / SECRET).read_text().strip()
    if not (scratch / SECRET).exists():
        write_atomic(scratch / SECRET, keys.random_bytes(32).hex().encode())
    return (scratch / SECRET).read_text().strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
