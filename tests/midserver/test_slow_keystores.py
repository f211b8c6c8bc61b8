"""Keystores that take their time (a file system that hangs, a store that is far away), and what happens meanwhile."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from openmid.midserver.client_identity import ProfileError
from openmid.midserver.profiles import OpenedProfile, Place
from openmid.midserver.tls_client import TlsClient
from openmid.wire.probes import RestProbe
from tests.midserver.conftest import PASSWORD, Authority, Mid


def profile(sys_id: str, keystore: Path) -> OpenedProfile:
    return OpenedProfile(sys_id, "mauth", str(keystore), 443, PASSWORD)


async def test_a_call_waits_for_its_keystore_no_longer_than_it_has_time(
    mid: Mid, authority: Authority, bcfks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be made when the keystore comes at last: its lease is lost by then, and its outcome recorded."""

    async def hang(*_: object) -> TlsClient:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(mid.registry._loader, "client", hang)
    applying = asyncio.create_task(mid.register(bcfks))
    await asyncio.sleep(0)
    asked = RestProbe("mauth://localhost:1/", ca_certificates=authority.pem, timeout_ms=100)
    result = await asyncio.wait_for(mid.runner.run(asked), 20)
    assert result.failure
    assert result.failure.code == "keystore_loading"
    applying.cancel()


async def test_a_record_that_was_replaced_while_it_loaded_does_not_lend_its_certificate_to_the_next(
    mid: Mid, bcfks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loader, asked, go = mid.registry._loader, asyncio.Event(), asyncio.Event()
    load = loader.client

    async def slow(wanted: OpenedProfile, place: Place) -> TlsClient:
        if wanted.sys_id == "first":
            asked.set()
            await go.wait()
        return await load(wanted, place)

    monkeypatch.setattr(loader, "client", slow)
    first = asyncio.create_task(mid.registry.apply([profile("first", bcfks)]))
    await asked.wait()
    first.cancel()
    second = asyncio.create_task(mid.registry.apply([profile("second", tmp_path / "is-not-there.bcfks")]))
    while mid.registry._by_protocol["mauth"].profile.sys_id != "second":
        await asyncio.sleep(0)
    go.set()
    await asyncio.wait_for(second, 20)
    with pytest.raises(ProfileError, match=r"is-not-there\.bcfks"):
        mid.registry.client("mauth")


async def test_who_drops_a_protocol_can_be_cancelled(mid: Mid, bcfks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop that is not noticed there would let the claim loop go on."""
    ending, end = asyncio.Event(), asyncio.Event()

    async def hang(*_: object) -> TlsClient:
        try:
            await asyncio.Event().wait()
        finally:
            ending.set()
            await end.wait()
        raise AssertionError

    monkeypatch.setattr(mid.registry._loader, "client", hang)
    applying = asyncio.create_task(mid.register(bcfks))
    await asyncio.sleep(0.01)
    applying.cancel()
    dropping = asyncio.create_task(mid.registry.apply([]))
    await ending.wait()
    dropping.cancel()
    end.set()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(dropping, 20)
