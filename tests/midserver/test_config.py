"""agent/config.xml: read strictly, changed in place."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openmid.midserver.config import Config, agent_folder
from openmid.midserver.errors import ConfigError

TEXT = """<?xml version="1.0" encoding="UTF-8"?>
<parameters>
  <!-- <parameter name="url" value="commented out"/> stays -->
  <parameter   name='url'
     value='https://one/?a=1&amp;b=2' />
  <parameter name="empty" value=""/>
  <parameter name="bare"/>
  <egress>
    <allow host="127.0.0.1" port="8443"/>
  </egress>
</parameters>
"""


def config(tmp_path: Path, text: str = TEXT) -> Config:
    (tmp_path / "config.xml").write_text(text)
    return Config.read(tmp_path)


def test_parameters_are_read(tmp_path: Path) -> None:
    found = config(tmp_path)
    assert found.parameter("url") == "https://one/?a=1&b=2"
    assert [found.parameter(name, "default") for name in ("empty", "bare", "absent")] == ["default"] * 3
    assert [element.tag for element in found.elements("egress")] == ["allow"]


def test_a_value_is_changed_where_it_stands(tmp_path: Path) -> None:
    found = config(tmp_path)
    (tmp_path / "config.xml").chmod(0o640)
    found.set_parameter("url", 'https://two/"&<')
    found.set_parameter("bare", "dressed")
    found.set_parameter("new", "1")
    found.save()
    again = Config.read(tmp_path)
    assert again.parameter("url") == 'https://two/"&<'
    assert (again.parameter("bare"), again.parameter("new")) == ("dressed", "1")
    text = (tmp_path / "config.xml").read_text()
    assert '<!-- <parameter name="url" value="commented out"/> stays -->' in text
    assert "<parameter   name='url'" in text
    assert (tmp_path / "config.xml").stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.xml"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(value=st.text(st.characters(min_codepoint=32, max_codepoint=0xD7FF), max_size=30))
def test_any_value_comes_back(tmp_path: Path, value: str) -> None:
    found = config(tmp_path)
    found.set_parameter("url", value)
    assert found.parameter("url") == value
    assert found.parameter("empty", "still") == "still"


@pytest.mark.parametrize("folder", [".", "agent"])
def test_dir_may_name_either_folder(tmp_path: Path, folder: str) -> None:
    (tmp_path / "agent").mkdir()
    (tmp_path / "agent" / "config.xml").write_text(TEXT)
    assert agent_folder(tmp_path / folder) == tmp_path / "agent"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("<parameters>", "not well-formed"),
        ("<other/>", "begins with <other>"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><parameters/>', "document type declaration"),
    ],
)
def test_what_is_not_a_configuration_has_its_sentence(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        config(tmp_path, text)


def test_an_empty_folder_has_its_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no MID Server in"):
        Config.read(tmp_path)


@pytest.mark.parametrize(("value", "enforced"), [("true", True), ("false", False), ("", False)])
def test_the_mode_is_read(tmp_path: Path, value: str, enforced: bool) -> None:
    text = f'<parameters><parameter name="mid.fips.enforced" value="{value}"/></parameters>'
    assert config(tmp_path, text).fips_enforced is enforced


@pytest.mark.parametrize("value", ["True", "yes", "tru", " true"])
def test_a_typing_mistake_never_switches_the_mode_off(tmp_path: Path, value: str) -> None:
    text = f'<parameters><parameter name="mid.fips.enforced" value="{value}"/></parameters>'
    with pytest.raises(ConfigError, match=r"mid\.fips\.enforced"):
        _ = config(tmp_path, text).fips_enforced


@pytest.mark.parametrize("value", ["0", "1001", "many", "-1", "2.5"])
def test_numbers_have_bounds(tmp_path: Path, value: str) -> None:
    found = config(tmp_path, f'<parameters><parameter name="threads.max" value="{value}"/></parameters>')
    with pytest.raises(ConfigError, match=r"threads\.max"):
        found.number("threads.max", 25, 1, 1000)


def test_another_encoding_has_its_sentence(tmp_path: Path) -> None:
    (tmp_path / "config.xml").write_bytes("<parameters><!-- Zürich --></parameters>".encode("latin-1"))
    with pytest.raises(ConfigError, match="is not written in UTF-8"):
        Config.read(tmp_path)


@pytest.mark.parametrize(
    "url", ["http://instance", "https://", "https://instance:99999", "https://instance:x", "instance"]
)
def test_what_is_no_url_of_an_instance_has_its_sentence(tmp_path: Path, url: str) -> None:
    from openmid.midserver.instance_client import InstanceClient

    (tmp_path / "config.xml").write_text(f'<parameters><parameter name="url" value="{url}"/></parameters>')
    with pytest.raises(ConfigError, match='the parameter "url"') as raised:
        InstanceClient.of(Config.read(tmp_path))
    assert "https://" in raised.value.hint
