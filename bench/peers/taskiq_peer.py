"""taskiq + Redis + aiohttp. The worker is `taskiq worker taskiq_peer:broker`; as a program: rounds, as rounds.py says."""

from __future__ import annotations

import asyncio
import os
import ssl
import time

import aiohttp
from rounds import serve
from taskiq import TaskiqEvents, TaskiqState
from taskiq_redis import ListQueueBroker, RedisAsyncResultBackend

REDIS, URL, FOLDER = os.environ["BENCH_REDIS"], os.environ["BENCH_URL"], os.environ["BENCH_FOLDER"]
ASKS_EVERY_S = 0.005
"""taskiq's results are asked for, not announced; its default is 0.2 s."""
_results: RedisAsyncResultBackend = RedisAsyncResultBackend(f"redis://127.0.0.1:{REDIS}/1", result_ex_time=600)
broker = ListQueueBroker(f"redis://127.0.0.1:{REDIS}/1").with_result_backend(_results)
_session: list[aiohttp.ClientSession] = []


@broker.on_event(TaskiqEvents.WORKER_STARTUP)
async def _start(_: TaskiqState) -> None:
    context = ssl.create_default_context(cafile=f"{FOLDER}/ca.pem")
    context.load_cert_chain(f"{FOLDER}/client.pem", f"{FOLDER}/client-clear.key")
    _session.append(aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context, limit=0)))


@broker.task(task_name="call")
async def call() -> dict[str, object]:
    """The job."""
    async with _session[0].get(URL) as answer:
        return {"status": answer.status, "body": await answer.text()}


async def _all(count: int, at_a_time: int) -> list[float]:
    latencies: list[float] = []
    left = iter(range(count))

    async def one() -> None:
        for _ in left:
            began = time.perf_counter()
            task = await call.kiq()
            found = await task.wait_result(check_interval=ASKS_EVERY_S, timeout=60)
            assert found.return_value["status"] == 200, found.error
            latencies.append(time.perf_counter() - began)

    await asyncio.gather(*(one() for _ in range(at_a_time)))
    return latencies


if __name__ == "__main__":
    with asyncio.Runner() as runner:
        runner.run(broker.startup())
        serve(lambda count, at_a_time: runner.run(_all(count, at_a_time)))
