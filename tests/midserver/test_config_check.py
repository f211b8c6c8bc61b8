"""What is said of a config.xml and a folder that are not as somebody meant them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from openmid.midserver import config_check
from tests.midserver.conftest import make_config

DOCS = Path(__file__).parents[2] / "docs" / "mid-server.md"


def said(agent: Path, more: str = "") -> list[str]:
    with capture_logs() as logs:
        config_check.look(make_config(agent, more=more))
    return [f"{each['event']}; {each['remedy']}" for each in logs]


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("treads.max", "threads.max is meant?"),
        ("mid.proxy.user", "mid.proxy.username is meant?"),
        ("mid.httpclient.protocol.mauth.pasword", "take it out"),
        ("mid.poll.time", "take it out"),
    ],
)
def test_a_parameter_that_nobody_reads_is_told_of(tmp_path: Path, name: str, remedy: str) -> None:
    (sentence,) = said(tmp_path / "agent", f'<parameter name="{name}" value="3"/>')
    assert sentence.startswith(f'the parameter "{name}" in {tmp_path}')
    assert remedy in sentence


def test_what_is_read_is_not(tmp_path: Path) -> None:
    names = ("mid.httpclient.protocol.mauth.truststore.path", "mid.external_credential_store.url", "threads.max")
    assert said(tmp_path / "agent", "".join(f'<parameter name="{name}" value="3"/>' for name in names)) == []


def test_the_docs_name_each_one() -> None:
    table = DOCS.read_text().partition("## config.xml")[2].partition("### Egress")[0]
    written = set(re.findall(r"`([\w.]+)`", table))
    for name in config_check.KNOWN:
        short = name[name.rindex(".") :] if "." in name else name
        assert name in written or short in written or short.lstrip(".") in written, name


@pytest.mark.parametrize("name", ["security", "security/secret.key", "work"])
def test_a_folder_that_is_open_to_others_is_told_of(tmp_path: Path, name: str) -> None:
    agent = tmp_path / "agent"
    for folder in ("security", "work"):
        (agent / folder).mkdir(mode=0o700, parents=True)
    (agent / "security" / "secret.key").touch(0o600)
    assert said(agent) == []
    (agent / name).chmod(0o755)
    assert said(agent) == [f"other users may look into {agent / name}; chmod go= {agent / name}"]
