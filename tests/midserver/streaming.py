"""A process that sends an attachment to a partner and saves the answer as one, and says what memory that took."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from pathlib import Path

import aiohttp
from msgspec import Raw, to_builtins

from openmid.midserver.attachments import InstanceAttachments
from openmid.midserver.http import Host, RestRunner
from openmid.wire.messages import Job
from openmid.wire.probes import Attachment, ProbeResult, RestProbe
from tests.midserver.conftest import Mid


def peak() -> int:
    """Bytes. getrusage would tell of the process that started this one as well."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


async def stream(partner: int, instance: int, size: int, trusted: str) -> tuple[ProbeResult, int]:
    with tempfile.TemporaryDirectory() as folder:
        mid = Mid(Path(folder) / "agent")
        async with aiohttp.ClientSession() as session:
            attachments = InstanceAttachments(
                lambda method, path, **more: session.request(method, f"http://127.0.0.1:{instance}{path}", **more)
            )
            runner = RestRunner(mid.registry, Host("mid", Path("x"), False), attachments=attachments)
            url = f"https://localhost:{partner}/"
            job = Job("j", "l", 0, Raw(b"{}"))
            before = peak()
            probe = RestProbe(
                url,
                method="PUT",
                attachment=Attachment("a1", size),
                save_as="x",
                ca_certificates=trusted,
                timeout_ms=600_000,
            )
            result = await runner.run(probe, job)
            grown = peak() - before
        await mid.registry.close()
    return result, grown


if __name__ == "__main__":
    found, more = asyncio.run(stream(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.stdin.read()))
    stored = found.attachment.size_bytes if found.attachment else 0
    print(json.dumps({"failure": to_builtins(found.failure), "size": stored, "grown": more}))
