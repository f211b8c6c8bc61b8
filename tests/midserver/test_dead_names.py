"""A name server that does not answer, and everybody else."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

import pytest

from openmid.midserver.service import waiting_threads
from openmid.wire.probes import RestProbe
from tests.midserver.conftest import Authority, Mid
from tests.midserver.partner import raw_server
from tests.midserver.test_exchange import OK, anybody


async def test_names_that_nobody_answers_for_keep_no_other_partner_waiting(
    mid: Mid, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered, asked, ask = threading.Event(), list[str](), socket.getaddrinfo

    def resolve(host: Any, *more: Any, **named: Any) -> Any:
        if str(host).endswith(".dead.example"):
            asked.append(str(host))
            answered.wait(60)
            raise socket.gaierror(socket.EAI_AGAIN, "again")
        return ask(host, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    asyncio.get_running_loop().set_default_executor(waiting_threads())
    try:
        dead = [RestProbe(f"https://h{number}.dead.example/", timeout_ms=500) for number in range(40)]
        results = await asyncio.gather(*[mid.runner.run(probe) for probe in dead])
        assert all(result.failure for result in results)
        async with raw_server(OK, anybody(authority)) as port:
            alive = RestProbe(f"https://localhost:{port}/", ca_certificates=authority.pem)
            result = await mid.runner.run(alive)
        assert result.status_code == 200, result.failure
        assert len(set(asked)) > 6, "asyncio has room for so many"
    finally:
        answered.set()
