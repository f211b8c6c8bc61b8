"""The stores themselves: environment, files, and one of somebody else's that behaves badly."""

from __future__ import annotations

import asyncio
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest

from openmid.midserver import redact
from openmid.midserver.errors import ConfigError, SecretUnavailable
from openmid.midserver.external_local import Environment, Files
from openmid.midserver.external_store import ExternalSecrets, Options
from tests.midserver.test_profiles import config


def options(agent: Path, **values: str) -> Options:
    return Options(agent, False, values)


def test_the_environment_hands_out_only_what_has_its_prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENMID_SECRET_PARTNER", "word")
    monkeypatch.setenv("PRIVATE", "not yours")
    assert Environment(options(tmp_path)).secret("PARTNER") == "word"
    with pytest.raises(SecretUnavailable, match="no variable OPENMID_SECRET_PRIVATE"):
        Environment(options(tmp_path)).secret("PRIVATE")


def test_a_file_is_read_without_its_line_end(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "partner").write_bytes(b" word \r\n")
    assert Files(options(tmp_path, folder=str(tmp_path))).secret("deep/partner") == " word "


def test_systemds_credentials_are_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "partner").write_text("word")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert Files(options(tmp_path)).secret("partner") == "word"


@pytest.mark.parametrize("name", ["", "../secret", "a/../../secret", "/etc/passwd", "a\0b"])
def test_a_name_leads_out_of_the_folder_nowhere(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_text("not yours")
    (tmp_path / "in").mkdir()
    with pytest.raises(SecretUnavailable, match="is not the name of a secret"):
        Files(options(tmp_path, folder="in")).secret(name)


def test_what_cannot_be_a_secret_has_its_sentence(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"x" * 65537)
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    store = Files(options(tmp_path, folder="."))
    for name, says in (
        ("large", "too large"),
        ("binary", "is not text"),
        ("gone", "cannot be read"),
        (".", "cannot be"),
    ):
        with pytest.raises(SecretUnavailable, match=says):
            store.secret(name)


@pytest.mark.parametrize("kind", ["nope", "no.such.module:Class", "openmid.midserver.config:Nope", ":", "vault:"])
def test_a_store_that_is_none_stops_the_start(tmp_path: Path, kind: str) -> None:
    with pytest.raises(ConfigError, match="the external credential store .* cannot be used"):  # noqa: RUF043
        ExternalSecrets.of(config(tmp_path, **{"mid.external_credential_store": kind}))


def test_its_parameters_are_opened(tmp_path: Path) -> None:
    made = config(tmp_path, **{"mid.external_credential_store": f"{__name__}:Remembers",
                               "mid.external_credential_store.password": "sesame word"})  # fmt: skip
    assert "sesame" not in made.path.read_text()
    ExternalSecrets.of(made)
    assert Remembers.options.get("password") == "sesame word"


class Remembers:
    options: Options

    def __init__(self, options: Options) -> None:
        Remembers.options = options


class Hangs:
    def __init__(self) -> None:
        self.go = threading.Event()

    def secret(self, name: str) -> str:
        self.go.wait()
        return name


async def test_a_store_that_never_answers_is_left_alone_after_its_time() -> None:
    store = Hangs()
    secrets = ExternalSecrets(store, seconds=0.05)
    try:
        said = await asyncio.gather(*(secrets.secret("x") for _ in range(10)), return_exceptions=True)
    finally:
        store.go.set()
    assert {type(one) for one in said} == {SecretUnavailable}
    assert sum("has not answered within" in str(one) for one in said) == 8  # no more threads than that
    assert threading.active_count() < 30


async def test_an_empty_secret_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENMID_SECRET_EMPTY", "")
    with pytest.raises(SecretUnavailable, match="is empty"):
        await ExternalSecrets(Environment(options(tmp_path))).secret("EMPTY")


async def test_what_a_store_hands_out_is_masked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENMID_SECRET_PARTNER", "canary of the environment")
    await ExternalSecrets(Environment(options(tmp_path))).secret("PARTNER")
    assert redact.clean("a canary of the environment") == f"a {redact.MASK}"


def test_the_example_in_the_docs_is_a_store(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs/mid-server.md").read_text()
    code = text[text.index("    from openmid.midserver.errors") : text.index("### Trust")]
    names: dict[str, Any] = {}
    exec(textwrap.dedent(code), names)
    (tmp_path / "partner.txt").write_text("word\n")
    store = names["Safe"](options(tmp_path, folder="."))
    assert store.secret("partner") == "word"
    with pytest.raises(SecretUnavailable, match="the safe has no other"):
        store.secret("other")
