"""secure="true" in config.xml: encrypted in place, opened where it stands, and nowhere else."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from openmid.midserver import redact, secret_key, secure_values
from openmid.midserver.config import ENCRYPTED, Config
from openmid.midserver.errors import ConfigError

TEXT = (
    '<?xml version="1.0" encoding="UTF-8"?>\r\n<!-- <parameter name="a" value="not-me" secure="true"/> -->\r\n'
    "<parameters>\r\n"
    "\t<parameter  secure='true'\r\n     name='mid.proxy.password'   value='pa&amp;ss &quot;word&quot;' /><!-- ours -->\r\n"
    '  <parameter name="mid.httpclient.protocol.mauth.password" value="wort ü" secure="true"/>\r\n'
    '  <parameter name="anything.else" value="also secret" secure="true"></parameter>\r\n'
    '  <parameter name="empty" value="" secure="true"/>\r\n'
    '  <parameter name="threads.max" value="25"/>\r\n'
    "</parameters>\r\n"
)
CLEAR = {
    "mid.proxy.password": 'pa&ss "word"',
    "mid.httpclient.protocol.mauth.password": "wort ü",
    "anything.else": "also secret",
}


@pytest.fixture
def agent(tmp_path: Path) -> Path:
    (tmp_path / "config.xml").write_bytes(TEXT.encode())
    return tmp_path


def text(agent: Path) -> str:
    return (agent / "config.xml").read_bytes().decode()


def test_clear_values_are_encrypted_where_they_stand(agent: Path) -> None:
    (agent / "config.xml").chmod(0o640)
    config = Config.read(agent)
    assert sorted(secure_values.protect(config)) == sorted(CLEAR)
    again = Config.read(agent)
    assert {name: again.parameter(name) for name in CLEAR} == CLEAR
    assert {name: config.parameter(name) for name in CLEAR} == CLEAR
    for clear in ("pa&amp;ss", "wort", "also secret"):
        assert clear not in text(agent)
    assert (agent / "config.xml").stat().st_mode & 0o777 == 0o640
    # What is not a secret stands as its administrator wrote it.
    expected = TEXT.encode()
    stripped = text(agent)
    for name, value in again.parameters().items():
        if name in CLEAR:
            stripped = stripped.replace(value, "#")
    for clear in ("'pa&amp;ss &quot;word&quot;'", '"wort ü"', '"also secret"'):
        expected = expected.replace(clear.encode(), b'"#"')
    assert stripped.encode() == expected


def test_a_second_start_changes_nothing(agent: Path) -> None:
    secure_values.protect(Config.read(agent))
    before = text(agent)
    assert secure_values.protect(Config.read(agent)) == []
    assert text(agent) == before


def test_two_equal_values_do_not_look_equal(agent: Path) -> None:
    assert secure_values.sealed(agent, "a", "word") != secure_values.sealed(agent, "a", "word")


def test_a_value_that_was_moved_does_not_open(agent: Path) -> None:
    config = Config.read(agent)
    secure_values.protect(config)
    moved = config.parameters()["mid.proxy.password"]
    config.set_parameter("anything.else", moved)
    config.save()
    with pytest.raises(
        ConfigError, match=r'the encrypted value of "anything.else" in .*config\.xml does not open'
    ) as error:
        secure_values.protect(Config.read(agent))
    assert "type the value again" in error.value.hint


@pytest.mark.parametrize("damage", [ENCRYPTED, ENCRYPTED + "AAAA", ENCRYPTED + "no base64", ENCRYPTED + "A" * 64])
def test_damage_has_its_sentence(agent: Path, damage: str) -> None:
    secret_key.make(agent)
    config = Config.read(agent)
    config.set_parameter("anything.else", damage)
    with pytest.raises(ConfigError, match="does not open with"):
        config.parameter("anything.else")


@pytest.mark.parametrize("secret", ["", "another"])
def test_another_secret_key_has_its_sentence(agent: Path, secret: str) -> None:
    secure_values.protect(Config.read(agent))
    (agent / secret_key.FILE).write_text(secret)
    with pytest.raises(ConfigError, match=r"does not open with .*secret\.key"):
        Config.read(agent).parameter("mid.proxy.password")


def test_opened_values_are_masked(agent: Path) -> None:
    secure_values.protect(Config.read(agent))
    assert Config.read(agent).parameter("anything.else") == "also secret"
    assert redact.clean("said also secret") == "said ********"


def test_an_interrupted_write_leaves_the_file_as_it_was(agent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    secret_key.make(agent)
    monkeypatch.setattr("openmid.system.os.fsync", fails)
    config = Config.read(agent)
    secure_values.protect(config)  # goes on, with a warning
    assert text(agent) == TEXT
    assert config.parameter("anything.else") == "also secret"
    assert sorted(path.name for path in agent.iterdir()) == ["config.xml", "security"]


def test_a_password_in_clear_is_warned_of(agent: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import structlog

    (agent / "config.xml").write_text(
        '<parameters><parameter name="mid.proxy.password" value="in clear"/></parameters>'
    )
    with structlog.testing.capture_logs() as logs:
        secure_values.protect(Config.read(agent))
    assert "mid.proxy.password in" in logs[0]["event"]
    assert 'secure="true"' in logs[0]["remedy"]
    assert redact.clean("in clear") == redact.MASK


def test_a_linked_file_stays_a_link(agent: Path) -> None:
    (agent / "elsewhere").mkdir()
    (agent / "config.xml").rename(agent / "elsewhere" / "config.xml")
    (agent / "config.xml").symlink_to("elsewhere/config.xml")
    secure_values.protect(Config.read(agent))
    assert (agent / "config.xml").is_symlink()
    assert "also secret" not in text(agent)


def test_a_systemd_credential_counts_before_the_file(
    agent: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    secure_values.protect(Config.read(agent))
    credentials = tmp_path_factory.mktemp("credentials")
    shutil.move(agent / secret_key.FILE, credentials / "secret.key")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    assert Config.read(agent).parameter("anything.else") == "also secret"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", os.devnull)
    with pytest.raises(ConfigError, match="does not open"):
        Config.read(agent).parameter("anything.else")
