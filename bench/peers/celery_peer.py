"""Celery + Redis + requests. The worker is `celery -A celery_peer worker`; as a program: rounds, as rounds.py says."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import requests
from celery import Celery
from rounds import serve

REDIS, URL, FOLDER = os.environ["BENCH_REDIS"], os.environ["BENCH_URL"], os.environ["BENCH_FOLDER"]
app = Celery("bench", broker=f"redis://127.0.0.1:{REDIS}/0", backend=f"redis://127.0.0.1:{REDIS}/0")
app.conf.update(
    worker_prefetch_multiplier=4,
    result_expires=600,
    broker_pool_limit=300,
    redis_max_connections=600,
    task_default_queue="bench",
)
_own = threading.local()


def _session() -> requests.Session:
    """One for each thread or process: connections are kept."""
    if not hasattr(_own, "session"):
        _own.session = requests.Session()
        _own.session.trust_env = False
        _own.session.cert = (f"{FOLDER}/client.pem", f"{FOLDER}/client-clear.key")
        _own.session.verify = f"{FOLDER}/ca.pem"
    return _own.session


@app.task(name="call")
def call() -> dict[str, object]:
    """The job."""
    answer = _session().get(URL)
    return {"status": answer.status_code, "body": answer.text}


def _round(count: int, at_a_time: int) -> list[float]:
    latencies: list[float] = []

    def one(_: int) -> None:
        began = time.perf_counter()
        assert call.delay().get(timeout=60)["status"] == 200
        latencies.append(time.perf_counter() - began)

    with ThreadPoolExecutor(at_a_time) as pool:
        list(pool.map(one, range(count)))
    return latencies


if __name__ == "__main__":
    serve(_round)
