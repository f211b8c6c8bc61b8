"""config.xml's parameters with secure="true": encrypted where they stand, at the start after somebody typed them.

`encrypted:v1:` and base64 of nonce (12 bytes), cipher text and tag: AES-256-GCM (SP 800-38D). The key is derived from
secret.key (HKDF-SHA256, RFC 5869), and the parameter's name is bound as associated data: a value that is moved to another
parameter, or to another MID Server, does not open. What that protects and what not stands in docs/mid-server.md.
"""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from openmid.fips import keys
from openmid.midserver import redact, secret_key
from openmid.midserver.config import ENCRYPTED, FILE, Config
from openmid.midserver.errors import ConfigError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

log = structlog.get_logger()

NONCE = 12
PURPOSE = b"openmid config.xml secure values v1"
_SECRET_NAMES = re.compile(r"\.password$")


def protect(config: Config) -> list[str]:
    """Encrypt what is in clear, and write the file; once a start. Returns the names of the parameters.

    A file that cannot be written (somebody mounted it so) is used as it is, with a warning.

    Raises:
        ConfigError: an encrypted value does not open.
    """
    for name, value in config.parameters().items():
        if value.startswith(ENCRYPTED):
            config.parameter(name)  # one sentence now, instead of a riddle later
        elif value and _SECRET_NAMES.search(name):
            redact.learn(value)
    names = config.encrypt(lambda name, value: sealed(config.agent, name, value))
    if names:
        try:
            config.save()
            log.info(f"encrypted in {config.path}: {', '.join(names)}")
        except ConfigError as error:
            log.warning(
                f"{', '.join(names)}: still in clear: {error}", remedy="let the MID Server's user write the file"
            )
    _warn_of_clear(config)
    return names


def _warn_of_clear(config: Config) -> None:
    for name, value in config.parameters().items():
        if value and _SECRET_NAMES.search(name) and not value.startswith(ENCRYPTED):
            log.warning(f"{name} in {config.path} is in clear", remedy='write secure="true" beside it, and restart')


def sealed(agent: Path, name: str, value: str) -> str:
    """`value` as it will stand in the file."""
    nonce = keys.random_bytes(NONCE)
    secret = secret_key.read(agent) or secret_key.make(agent)
    cipher = _cipher(secret).encrypt(nonce, redact.learn(value).encode(), _bound(name))
    return ENCRYPTED + base64.b64encode(nonce + cipher).decode()


def opened(agent: Path, name: str, value: str) -> str:
    """The clear value.

    Raises:
        ConfigError: damaged, moved, or encrypted under another secret.key.
    """
    from cryptography.exceptions import InvalidTag

    try:
        raw = base64.b64decode(value.removeprefix(ENCRYPTED), validate=True)
        clear = _cipher(secret_key.read(agent)).decrypt(raw[:NONCE], raw[NONCE:], _bound(name))
        return redact.learn(clear.decode())
    except (InvalidTag, ValueError) as error:
        raise ConfigError(
            f'the encrypted value of "{name}" in {agent / FILE} does not open with {secret_key.place(agent)}',
            'type the value again, with secure="true" beside it: the next start encrypts it',
        ) from error


def _cipher(secret: str) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return AESGCM(HKDF(SHA256(), 32, salt=None, info=PURPOSE).derive(secret.encode()))


def _bound(name: str) -> bytes:
    return f"{PURPOSE.decode()}\n{name}".encode()
