"""A TCP proxy that makes a network worse: slow, lossy, cut. It knows nothing of what it carries."""

from __future__ import annotations

import asyncio
import random
import threading

from openmid.demo.partner import free_port


class Proxy:
    """From `port` of `address` to `target` on loopback. `delay` is seconds a chunk, `bandwidth` bytes a second (0: any),
    `loss` the chance that a chunk is cut in its middle and the connection ends, `cut` holds everything back."""

    def __init__(self, target: int, rng: random.Random, address: str = "127.0.0.1") -> None:
        self.port, self.target, self.address, self._rng = free_port(), target, address, rng
        self._tasks: set[asyncio.Task[None]] = set()
        self.heal()
        self._loop = asyncio.new_event_loop()
        self._listening = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()
        self._listening.wait(10)

    def heal(self) -> None:
        self.delay, self.bandwidth, self.loss, self.cut = 0.0, 0, 0.0, False

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(asyncio.start_server(self._accept, self.address, self.port, backlog=512))
        self._listening.set()
        self._loop.run_forever()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(self._carry(reader, back), self._carry(there, writer))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                while self.cut:
                    await asyncio.sleep(0.05)
                await asyncio.sleep(self.delay + (len(data) / self.bandwidth if self.bandwidth else 0))
                if self._rng.random() < self.loss:
                    writer.write(data[: len(data) // 2])
                    writer.transport.abort()
                    return
                writer.write(data)
                await writer.drain()
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
