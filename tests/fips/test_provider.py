"""Finding a provider, telling one from other files, staging it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from openmid.fips import distribution, libcryptos, openssl
from openmid.fips import provider as room
from openmid.fips.errors import ProviderNotFound, ProviderRefused, StagingFailed
from openmid.fips.provider import Provider, Staged, certificate_statement, describe, find_provider, stage
from tests import parts


def other_provider() -> Path:
    words = openssl.run("version", "-m", conf=openssl.NO_CONFIGURATION).stdout.decode()
    legacy = Path(words.split('"')[1]) / "legacy.so"
    if not legacy.exists():
        parts.missing("OpenSSL's legacy.so", "libssl3, or openssl-provider-legacy")
    return legacy


def test_the_facts_come_from_the_module_itself(provider: Provider) -> None:
    assert "FIPS" in provider.name
    assert provider.version.startswith("3.")
    assert provider.build
    assert describe(provider.path) == provider


def test_a_module_under_any_file_name_is_accepted(provider: Provider, tmp_path: Path) -> None:
    named = tmp_path / "my module.bin"
    named.write_bytes(provider.path.read_bytes())
    assert find_provider(named).version == provider.version


def test_another_provider_of_openssl_is_refused_by_its_name() -> None:
    with pytest.raises(ProviderRefused, match=r"is not a FIPS module .*: it is OpenSSL Legacy Provider"):
        find_provider(other_provider())


@pytest.mark.parametrize("content", [b"", b"not a module", b"\x7fELF" + bytes(60)])
def test_a_file_that_is_no_module_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "fips.so"
    path.write_bytes(content)
    with pytest.raises(ProviderRefused, match="is not a FIPS module that this machine's OpenSSL can load"):
        find_provider(path)


def test_a_damaged_module_is_refused(provider: Provider, tmp_path: Path) -> None:
    path = tmp_path / "fips.so"
    content = provider.path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ProviderRefused):
        describe(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProviderRefused, match=r"nowhere\.so is not there"):
        find_provider(tmp_path / "nowhere.so")


def test_the_environment_names_a_provider(provider: Provider, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    named = tmp_path / "fips.so"
    named.write_bytes(provider.path.read_bytes())
    monkeypatch.setenv("OPENMID_FIPS_PROVIDER", str(named))
    assert find_provider().path == named
    monkeypatch.setenv("OPENMID_FIPS_PROVIDER", str(tmp_path / "absent.so"))
    with pytest.raises(ProviderRefused, match=r"absent\.so"):
        find_provider()


def test_every_place_searched_is_named_when_there_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong" / "fips.so"
    wrong.parent.mkdir()
    wrong.write_text("not a module")
    monkeypatch.delenv("OPENMID_FIPS_PROVIDER", raising=False)
    monkeypatch.setattr(room, "PLACES", ())
    monkeypatch.setattr(
        openssl, "run", lambda *words, **_: pytest.fail("asked") if words[0] != "version" else _no_folder()
    )
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(room, "_places", lambda _: iter([tmp_path / "a" / "fips.so", tmp_path / "b" / "fips.so"]))
    with pytest.raises(ProviderNotFound) as raised:
        find_provider()
    assert f"{tmp_path}/a/fips.so, {tmp_path}/b/fips.so" in str(raised.value)
    assert raised.value.hint == distribution.advice()


def _no_folder() -> None:
    return None


@pytest.mark.parametrize(
    ("release", "advice"),
    [
        ({"ID": "debian", "VERSION_ID": "12"}, "scripts/build-fips-provider"),
        ({"ID": "debian", "VERSION_ID": "13"}, "apt-get install openssl-provider-fips"),
        ({"ID": "debian"}, "apt-get install openssl-provider-fips"),
        ({"ID": "ubuntu", "ID_LIKE": "debian", "VERSION_ID": "24.04"}, "pro enable fips-updates"),
        ({"ID": "rocky", "ID_LIKE": "rhel centos fedora", "VERSION_ID": "9.4"}, "dnf install openssl-fips-provider"),
        ({"ID": "amzn", "ID_LIKE": "fedora", "VERSION_ID": "2023"}, "openssl-fips-provider-latest"),
        ({}, "OPENMID_FIPS_PROVIDER"),
    ],
)
def test_the_advice_names_the_distributions_package(release: dict[str, str], advice: str) -> None:
    assert advice in distribution.advice(release)


def test_the_certificate_statement_is_plain() -> None:
    assert "is known to carry a FIPS 140-3 certificate" in certificate_statement("3.1.2", built_here=False)
    assert "is not one that is known" in certificate_statement("3.0.20", built_here=False)
    assert "the same code without a certificate" in certificate_statement("3.1.2", built_here=True)


def test_each_libcrypto_gets_a_copy_of_its_own(provider: Provider, staged: Staged) -> None:
    module = provider.path.read_bytes()
    confs = {staged.ssl_conf, staged.cryptography_conf}
    assert len(confs) == (2 if libcryptos.cryptography_has_its_own() else 1)
    for conf in confs:
        copy = conf.with_name("fips.so")
        assert copy.read_bytes() == module
        assert copy.stat().st_ino != provider.path.stat().st_ino
        text = conf.with_name("fipsmodule.cnf").read_text()
        assert f"module = {copy}" in text
        assert "install-status" not in text  # the self-tests run at every load
    assert not any(path.stat().st_mode & 0o022 for path in staged.folder.rglob("*"))


def test_the_record_says_what_was_staged(provider: Provider, staged: Staged) -> None:
    record = staged.record()
    assert (record.name, record.version, record.build) == (provider.name, provider.version, provider.build)
    assert record.sha256 == hashlib.sha256(provider.path.read_bytes()).hexdigest()
    assert len(bytes.fromhex(record.mac.replace(":", ""))) == 32
    assert record.source == str(provider.path)


def test_staging_again_replaces_everything(provider: Provider, staged: Staged) -> None:
    staged.ssl_conf.write_text("")
    (staged.folder / "left-over").write_text("")
    again = stage(provider, staged.folder)
    assert "fips=yes" in again.ssl_conf.read_text()
    assert sorted(path.name for path in staged.folder.parent.iterdir()) == ["fips"]
    assert not (staged.folder / "left-over").exists()


def test_a_folder_that_cannot_be_written_is_named(provider: Provider, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StagingFailed, match=r"cannot be staged in .*/file/fips"):
        stage(provider, tmp_path / "file" / "fips")


def test_a_name_that_openssl_cannot_carry_is_refused(provider: Provider, tmp_path: Path) -> None:
    with pytest.raises(StagingFailed, match="control character"):
        stage(provider, tmp_path / "a\nb" / "fips")


def test_a_folder_that_stage_did_not_write_has_no_record(tmp_path: Path) -> None:
    with pytest.raises(StagingFailed, match=r"provider\.json is missing or damaged"):
        Staged(tmp_path).record()


def test_the_environment_for_openssl_has_nothing_else_that_steers_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENSSL_MODULES", "/elsewhere")
    made = openssl.environment(Path("/x/openssl.cnf"))
    assert made["OPENSSL_CONF"] == "/x/openssl.cnf"
    assert "OPENSSL_MODULES" not in made
    assert made["PATH"] == os.environ["PATH"]


def test_a_provider_in_the_mid_servers_own_lib_comes_first(
    provider: Provider, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("OPENMID_FIPS_PROVIDER", raising=False)
    (tmp_path / "fips.so").write_bytes(provider.path.read_bytes())
    assert find_provider(beside=tmp_path).path == tmp_path / "fips.so"
