"""The three places of keystore and password, paths, ports, truststores."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from xml.sax.saxutils import quoteattr

import pytest
import structlog
import trustme

from openmid.keystore import KeyStore
from openmid.midserver import agent_key, profiles, redact, secure_values
from openmid.midserver.client_identity import ProfileError
from openmid.midserver.config import Config
from openmid.midserver.egress import Egress
from openmid.midserver.errors import ConfigError
from openmid.midserver.http import Host, RestRunner
from openmid.midserver.protocol_registry import OpenedProfile, ProtocolRegistry
from openmid.wire.messages import Profile
from openmid.wire.probes import RestProbe
from openmid.wire.sealing import SealedFor, seal
from tests.midserver.conftest import PASSWORD, Authority, write_bcfks
from tests.midserver.partner import Partner

PROTOCOL = "mid.httpclient.protocol.mauth."
EMPTY = OpenedProfile("p1", "mauth", "", 443, "")


def config(agent: Path, **parameters: str) -> Config:
    """A config.xml with these parameters; passwords are secure."""
    rows = "".join(
        f"<parameter name={quoteattr(name)} value={quoteattr(value)} secure='{str('password' in name).lower()}'/>"
        for name, value in parameters.items()
    )
    agent.mkdir(exist_ok=True)
    (agent / "config.xml").write_text(f'<parameters>{rows}<egress><allow host="127.0.0.1"/></egress></parameters>')
    made = Config.read(agent)
    secure_values.protect(made)
    return made


class Registries:
    """Registries of a test, closed at its end."""

    def __init__(self) -> None:
        self.made: list[ProtocolRegistry] = []

    def make(self, config: Config) -> ProtocolRegistry:
        self.made.append(ProtocolRegistry(config.agent, Egress.of(config), enforced=False, config=config))
        return self.made[-1]


@pytest.fixture
async def registries() -> AsyncIterator[Registries]:
    made = Registries()
    yield made
    for registry in made.made:
        await registry.close()


async def loaded(registry: ProtocolRegistry, profile: OpenedProfile) -> str:
    """The subject of the certificate that a profile loaded, or why it did not."""
    await registry.apply([profile])
    status = registry.statuses()[0]
    return status.subject if not status.error else f"{status.error_code}: {status.error}"


async def test_config_xml_has_keystore_port_and_password(tmp_path: Path, bcfks: Path, registries: Registries) -> None:
    made = config(
        tmp_path, **{f"{PROTOCOL}path": str(bcfks), f"{PROTOCOL}port": "8443", f"{PROTOCOL}password": PASSWORD}
    )
    registry = registries.make(made)
    assert "mymtlsclientcert" in await loaded(registry, EMPTY)
    assert registry.client("mauth")[1] == 8443
    assert PASSWORD not in (tmp_path / "config.xml").read_text()


async def test_without_a_port_in_config_xml_the_profiles_counts(
    tmp_path: Path, bcfks: Path, registries: Registries
) -> None:
    registry = registries.make(config(tmp_path, **{f"{PROTOCOL}path": str(bcfks), f"{PROTOCOL}password": PASSWORD}))
    await registry.apply([OpenedProfile("p1", "mauth", "", 9443, "")])
    assert registry.client("mauth")[1] == 9443


async def test_config_xml_never_overrides_a_profile_and_the_status_says_so(
    tmp_path: Path, authority: Authority, bcfks: Path, registries: Registries
) -> None:
    other = write_bcfks(tmp_path / "other.bcfks", authority.ca.issue_cert("o.example", common_name="other"))
    registry = registries.make(config(tmp_path, **{f"{PROTOCOL}path": str(bcfks), f"{PROTOCOL}password": PASSWORD}))
    with structlog.testing.capture_logs() as logs:
        assert "CN=other" in await loaded(registry, OpenedProfile("p1", "mauth", str(other), 443, PASSWORD))
    said = "mid.httpclient.protocol.mauth.path in config.xml is not used: the profile has a keystore of its own"
    assert registry.statuses()[0].note == said
    assert any(said in entry["event"] for entry in logs)


async def test_only_its_own_protocol_is_served_by_config_xml(
    tmp_path: Path, bcfks: Path, registries: Registries
) -> None:
    registry = registries.make(config(tmp_path, **{f"{PROTOCOL}path": str(bcfks), f"{PROTOCOL}password": PASSWORD}))
    assert await loaded(registry, OpenedProfile("p2", "other", "", 443, "")) == (
        "keystore_path_missing: the MID Protocol Profile other has no Keystore path, "
        "and agent/config.xml no mid.httpclient.protocol.other.path"
    )


async def test_a_profile_with_a_password_alone_does_not_take_config_xmls_keystore(
    tmp_path: Path, bcfks: Path, registries: Registries
) -> None:
    registry = registries.make(config(tmp_path, **{f"{PROTOCOL}path": str(bcfks), f"{PROTOCOL}password": PASSWORD}))
    said = await loaded(registry, OpenedProfile("p1", "mauth", "", 443, PASSWORD))
    assert said == "keystore_path_missing: the MID Protocol Profile mauth has no Keystore path"


async def test_a_port_that_is_none_spoils_this_protocol_alone(
    tmp_path: Path, bcfks: Path, registries: Registries
) -> None:
    made = config(tmp_path, **{f"{PROTOCOL}path": str(bcfks), f"{PROTOCOL}port": "many"})
    registry = registries.make(made)
    await registry.apply([EMPTY, OpenedProfile("p2", "good", str(bcfks), 443, PASSWORD)])
    assert {status.protocol: status.error_code for status in registry.statuses()} == {
        "good": "",
        "mauth": "config_invalid",
    }


async def test_a_protocol_that_no_profile_has_is_told_of_once(tmp_path: Path, registries: Registries) -> None:
    registry = registries.make(config(tmp_path, **{"mid.httpclient.protocol.muath.path": "x"}))
    with structlog.testing.capture_logs() as logs:
        await registry.apply([])
        await registry.apply([])
    assert [entry["event"] for entry in logs] == [
        "config.xml speaks of the protocol muath, and no MID Protocol Profile of that name applies here"
    ]


def test_paths_are_absolute_or_relative_to_the_agent_folder(tmp_path: Path) -> None:
    def path(text: str) -> Path:
        return profiles.place(OpenedProfile("p", "mauth", text, 443, ""), tmp_path, None).path

    assert path("security/a.bcfks") == tmp_path / "security/a.bcfks"
    assert path("/etc/a.bcfks") == Path("/etc/a.bcfks")


async def test_a_path_that_is_none_has_its_sentence(tmp_path: Path, registries: Registries) -> None:
    registry = registries.make(config(tmp_path))
    assert "keystore" in await loaded(registry, OpenedProfile("p1", "mauth", "a\0b", 443, ""))


def test_what_the_instance_sends_is_opened(tmp_path: Path) -> None:
    key = agent_key.load_or_create(tmp_path, "mid-test")
    bound = SealedFor("m" * 32, "mid_protocol_profile", "p1", "password")
    sent = Profile(
        "p1", "mauth", "", seal("mid/partner", key.public_key, bound), external_credential_store=True, alias="a"
    )
    found = profiles.opened(key, "m" * 32, sent)
    assert (found.password, found.external, found.alias, found.problem) == ("mid/partner", True, "a", "")
    assert "mid/partner" not in repr(found)
    assert "something else" in profiles.opened(key, "n" * 32, sent).problem


# Truststores


def pem(path: Path, authority: Authority) -> str:
    path.write_text(authority.pem)
    return str(path)


def bcfks_truststore(path: Path, authority: Authority) -> str:
    store = KeyStore()
    store.set_certificate("ca", ssl.PEM_cert_to_DER_cert(authority.pem))
    store.save(path, PASSWORD)
    return str(path)


@pytest.mark.parametrize("prefix", ["mid.httpclient.truststore.", f"{PROTOCOL}truststore."])
@pytest.mark.parametrize("kind", ["PEM", "BCFKS"])
async def test_a_truststore_counts_instead_of_the_systems_authorities(
    tmp_path: Path, authority: Authority, partner: Partner, bcfks: Path, prefix: str, kind: str, registries: Registries
) -> None:
    write = pem if kind == "PEM" else bcfks_truststore
    parameters = {f"{prefix}path": write(tmp_path / "trust", authority)}
    if kind == "BCFKS":
        parameters[f"{prefix}password"] = PASSWORD
    made = config(tmp_path / "agent", **parameters)
    registry = registries.make(made)
    runner = RestRunner(registry, Host("mid-test", made.path, False))
    await registry.apply([OpenedProfile("p1", "mauth", str(bcfks), 443, PASSWORD)])
    result = await runner.run(RestProbe(f"mauth://localhost:{partner.port}/"))
    assert result.status_code == 200, result.failure


async def test_who_is_not_in_the_truststore_is_not_trusted_and_it_is_named(
    tmp_path: Path, partner: Partner, bcfks: Path, registries: Registries
) -> None:
    other = pem(tmp_path / "trust.pem", Authority(trustme.CA()))
    made = config(tmp_path / "agent", **{"mid.httpclient.truststore.path": other})
    registry = registries.make(made)
    runner = RestRunner(registry, Host("mid-test", made.path, False))
    await registry.apply([OpenedProfile("p1", "mauth", str(bcfks), 443, PASSWORD)])
    failure = (await runner.run(RestProbe(f"mauth://localhost:{partner.port}/"))).failure
    assert failure
    assert failure.code == "server_untrusted"
    assert other in failure.message + failure.remedy


async def test_a_protocols_truststore_that_changes_is_read_again(
    tmp_path: Path, authority: Authority, partner: Partner, bcfks: Path, registries: Registries
) -> None:
    trust = tmp_path / "trust.pem"
    pem(trust, Authority(trustme.CA()))
    made = config(tmp_path / "agent", **{f"{PROTOCOL}truststore.path": str(trust)})
    registry = registries.make(made)
    runner = RestRunner(registry, Host("mid-test", made.path, False))
    await registry.apply([OpenedProfile("p1", "mauth", str(bcfks), 443, PASSWORD)])
    probe = RestProbe(f"mauth://localhost:{partner.port}/")
    assert (await runner.run(probe)).failure
    pem(trust, authority)
    await registry.refresh()
    assert (await runner.run(probe)).status_code == 200


async def test_a_truststore_that_does_not_open_stops_its_protocol_alone(
    tmp_path: Path, bcfks: Path, registries: Registries
) -> None:
    registry = registries.make(config(tmp_path / "agent", **{f"{PROTOCOL}truststore.path": str(tmp_path / "gone.pem")}))
    await registry.apply(
        [
            OpenedProfile("p1", "mauth", str(bcfks), 443, PASSWORD),
            OpenedProfile("p2", "other", str(bcfks), 443, PASSWORD),
        ]
    )
    mauth, other = registry.statuses()
    assert (mauth.error_code, other.error_code) == ("truststore", "")
    assert f"the truststore {tmp_path / 'gone.pem'} cannot be used" in mauth.error


def test_the_mid_servers_truststore_that_does_not_open_stops_its_start(tmp_path: Path) -> None:
    made = config(tmp_path / "agent", **{"mid.httpclient.truststore.path": str(tmp_path / "gone.pem")})
    with pytest.raises(ConfigError, match=r"the truststore .* cannot be used"):
        ProtocolRegistry(made.agent, Egress.of(made), enforced=False, config=made)


# The external credential store, as a profile uses it


class Safe:
    """A store of somebody's own, in the words of config.xml: tests.midserver.test_profiles:Safe."""

    secrets: dict[str, str | Exception] = {}  # noqa: RUF012

    def __init__(self, options: object) -> None:
        pass

    def secret(self, name: str) -> str:
        found = self.secrets[name]
        if isinstance(found, Exception):
            raise found
        return found


@pytest.fixture
def safe() -> type[Safe]:
    Safe.secrets = {"partner": PASSWORD}
    return Safe


def with_safe(agent: Path) -> Config:
    return config(agent, **{"mid.external_credential_store": f"{__name__}:Safe"})


def of_store(path: Path, name: str = "partner") -> OpenedProfile:
    return OpenedProfile("p1", "mauth", str(path), 443, name, external=True)


async def test_the_external_store_has_the_password(
    tmp_path: Path, bcfks: Path, safe: type[Safe], registries: Registries
) -> None:
    assert "mymtlsclientcert" in await loaded(registries.make(with_safe(tmp_path)), of_store(bcfks))


async def test_without_a_store_the_sentence_names_the_parameter(
    tmp_path: Path, bcfks: Path, registries: Registries
) -> None:
    said = await loaded(registries.make(config(tmp_path)), of_store(bcfks))
    assert said == "external_store: this MID Server has no external credential store"


async def test_a_store_that_fails_is_told_of_without_its_secrets(
    tmp_path: Path, bcfks: Path, safe: type[Safe], registries: Registries
) -> None:
    redact.learn("canary-in-the-safe")
    safe.secrets["partner"] = RuntimeError("no door for canary-in-the-safe")
    said = await loaded(registries.make(with_safe(tmp_path)), of_store(bcfks))
    assert said == f"external_store: the external credential store failed: RuntimeError: no door for {redact.MASK}"


async def test_a_secret_that_was_rotated_with_its_keystore_is_read_anew(
    tmp_path: Path, authority: Authority, safe: type[Safe], registries: Registries
) -> None:
    """The keystore comes first, its password a moment later: until then the old certificate stays in use."""
    path = write_bcfks(tmp_path / "client.bcfks", authority.ca.issue_cert("a.example", common_name="first"))
    registry = registries.make(with_safe(tmp_path / "agent"))
    assert "CN=first" in await loaded(registry, of_store(path))
    write_bcfks(path, authority.ca.issue_cert("b.example", common_name="second"), "another password")
    await registry.refresh()
    status = registry.statuses()[0]
    assert (status.loaded, status.error_code) == (True, "keystore_password")
    assert "CN=first" in status.subject
    safe.secrets["partner"] = "another password"
    async with asyncio.timeout(30):
        while "CN=second" not in registry.statuses()[0].subject:
            await asyncio.sleep(0.02)


def test_a_wrong_place_raises_what_a_call_can_tell(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="has no Keystore path"):
        profiles.place(EMPTY, tmp_path, None)


async def test_a_call_waits_for_a_keystore_that_is_loaded_for_the_first_time(
    tmp_path: Path,
    authority: Authority,
    partner: Partner,
    bcfks: Path,
    safe: type[Safe],
    registries: Registries,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A store that is far away: the configuration is not held up, and neither are calls of other protocols."""
    opens = threading.Event()
    monkeypatch.setattr("openmid.midserver.protocol_registry.PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr(Safe, "secret", lambda *_: opens.wait() and PASSWORD)
    made = with_safe(tmp_path / "agent")
    registry = registries.make(made)
    runner = RestRunner(registry, Host("mid-test", made.path, False))
    await registry.apply([of_store(bcfks), OpenedProfile("p2", "other", str(bcfks), 443, PASSWORD)])
    address = f"//localhost:{partner.port}/"
    waits = asyncio.create_task(runner.run(RestProbe(f"mauth:{address}", ca_certificates=authority.pem)))
    other = await runner.run(RestProbe(f"other:{address}", ca_certificates=authority.pem))
    assert (other.status_code, waits.done()) == (200, False)
    opens.set()
    assert (await waits).status_code == 200
