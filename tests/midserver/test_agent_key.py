"""The MID Server's own key: opens what is for it, and nothing else."""

from __future__ import annotations

import base64
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from joserfc import jwe
from joserfc.jwk import RSAKey

from openmid.midserver import agent_key, redact
from openmid.midserver.agent_key import AgentKey
from openmid.midserver.errors import SealedSecretRefused, StartError
from openmid.midserver.process import fingerprint
from openmid.wire.sealing import SealedFor, seal

BOUND = SealedFor("mid", "mid_protocol_profile", "record", "password")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, AgentKey]:
    agent = tmp_path_factory.mktemp("agent")
    return agent, agent_key.load_or_create(agent, "mid-test")


def test_it_opens_what_is_for_it_and_learns_to_mask_it(made: tuple[Path, AgentKey]) -> None:
    agent, key = made
    assert key.open(seal("a very secret word", key.public_key, BOUND), BOUND) == "a very secret word"
    assert redact.clean("said a very secret word") == "said ********"
    assert key.fingerprint == fingerprint(agent)
    assert "very" not in repr(key)


def test_it_is_the_same_key_at_the_next_start(made: tuple[Path, AgentKey]) -> None:
    agent, key = made
    assert agent_key.load_or_create(agent, "mid-test").public_key == key.public_key


@pytest.mark.parametrize(
    "other",
    [{"mid": "other"}, {"table": "other"}, {"record": "other"}, {"column": "other"}],
    ids=lambda d: next(iter(d)),
)
def test_a_secret_that_was_moved_does_not_open(made: tuple[Path, AgentKey], other: dict[str, str]) -> None:
    _, key = made
    with pytest.raises(SealedSecretRefused, match="something else"):
        key.open(seal("secret", key.public_key, replace(BOUND, **other)), BOUND)


def forged(header: dict[str, object], key: AgentKey, algorithms: list[str]) -> str:
    registry = jwe.JWERegistry(algorithms=algorithms, strict_check_header=False)
    return jwe.encrypt_compact(header, b"secret", RSAKey.import_key(key.public_key), registry=registry)


@pytest.mark.parametrize(
    "change", [{"alg": "RSA-OAEP"}, {"enc": "A128GCM"}, {"zip": "DEF"}, {"extra": "1"}, {"crit": ["x"]}], ids=str
)
def test_other_algorithms_and_headers_are_refused(made: tuple[Path, AgentKey], change: dict[str, object]) -> None:
    _, key = made
    header = {"alg": "RSA-OAEP-256", "enc": "A256GCM", "kid": key.fingerprint, **vars(BOUND), **change}
    algorithms = [str(header["alg"]), str(header["enc"]), *(["DEF"] if "zip" in header else [])]
    header.pop("crit", None)
    sealed = forged(header, key, algorithms)
    if "crit" in change:
        rest = sealed.partition(".")[2]
        rebuilt = base64.urlsafe_b64encode(json.dumps({**header, **change}).encode()).decode().rstrip("=")
        sealed = f"{rebuilt}.{rest}"
    with pytest.raises(SealedSecretRefused):
        key.open(sealed, BOUND)


@pytest.mark.parametrize("place", range(5))
def test_a_changed_secret_does_not_open(made: tuple[Path, AgentKey], place: int) -> None:
    _, key = made
    parts = seal("secret", key.public_key, BOUND).split(".")
    middle = len(parts[place]) // 2
    parts[place] = parts[place][:middle] + ("A" if parts[place][middle] != "A" else "B") + parts[place][middle + 1 :]
    with pytest.raises(SealedSecretRefused):
        key.open(".".join(parts), BOUND)


@pytest.mark.parametrize("garbage", ["", "a", "a.b.c.d.e", "....", "é.b.c.d.e", "W10.b.c.d.e"])
def test_garbage_does_not_open(made: tuple[Path, AgentKey], garbage: str) -> None:
    with pytest.raises(SealedSecretRefused):
        made[1].open(garbage, BOUND)


def test_with_a_new_key_the_previous_one_still_opens_until_it_is_dropped(
    made: tuple[Path, AgentKey], tmp_path: Path
) -> None:
    shutil.copytree(made[0], tmp_path / "agent")
    agent, old = tmp_path / "agent", made[1]
    sealed = seal("to the old key", old.public_key, BOUND)
    first = agent_key.create(agent, "mid-test")
    second = agent_key.create(agent, "mid-test")
    assert len({old.public_key, first, second}) == 3
    key = agent_key.load_or_create(agent, "mid-test")
    assert key.public_key == second
    assert key.open(sealed, BOUND) == "to the old key"
    key.drop_previous()
    again = agent_key.load_or_create(agent, "mid-test")
    assert not again.has_previous
    with pytest.raises(SealedSecretRefused, match="a key that this MID Server does not have"):
        again.open(sealed, BOUND)


def test_files_are_for_their_owner_only(made: tuple[Path, AgentKey]) -> None:
    for name in (agent_key.KEYSTORE, agent_key.SECRET):
        assert (made[0] / name).stat().st_mode & 0o777 == 0o600


def test_another_secret_key_has_its_sentence(made: tuple[Path, AgentKey], tmp_path: Path) -> None:
    shutil.copytree(made[0], tmp_path / "agent")
    (tmp_path / "agent" / agent_key.SECRET).write_text("something else")
    with pytest.raises(StartError, match="cannot be opened"):
        agent_key.load_or_create(tmp_path / "agent", "mid-test")
