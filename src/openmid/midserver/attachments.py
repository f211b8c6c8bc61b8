"""Bodies that are too large for a message: streamed from the instance and to it, a chunk at a time.

`GET {CHANNEL}/attachments/{sys_id}` gives the bytes, `POST {CHANNEL}/attachments?job=&lease=&file_name=&content_type=`
takes them (chunked) and answers `{"sys_id", "size_bytes"}`; both with the MID Server's own credential, and only for jobs
that it holds a lease on.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import aiohttp
import msgspec

from openmid.midserver.call_error import CallError
from openmid.midserver.connector import CURRENT, Attempt
from openmid.wire.codec import WireError, decode
from openmid.wire.messages import Refusal
from openmid.wire.probes import Attachment

PATH = "/attachments"
SILENCE_SECONDS = 60
LARGEST_ANSWER = 64 * 1024

Ask = Callable[..., AbstractAsyncContextManager[aiohttp.ClientResponse]]
"""`InstanceClient.stream`: (method, path below CHANNEL, **what aiohttp's request takes)."""


class AttachmentClient(Protocol):
    """Where attachments lie."""

    def open(self, sys_id: str) -> AsyncGenerator[bytes, None]:
        """An attachment's bytes, in order.

        Raises:
            CallError: attachment_unavailable.
        """

    async def store(
        self, job: str, lease: str, file_name: str, content_type: str, chunks: AsyncIterator[bytes]
    ) -> Attachment:
        """A new attachment of a job's outcome.

        Raises:
            CallError: attachment_not_stored.
            Exception: whatever `chunks` raises.
        """


class _Stored(msgspec.Struct, frozen=True):
    sys_id: str
    size_bytes: int


class InstanceAttachments:
    """The instance's."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def open(self, sys_id: str) -> AsyncGenerator[bytes, None]:
        """As `AttachmentClient`."""
        asking = self._ask("GET", f"{PATH}/{sys_id}", timeout=_patience())
        try:
            response = await _apart(asking.__aenter__())
            try:
                if response.status != 200:
                    raise CallError("attachment_unavailable", f"{sys_id} is not given out: {await _refusal(response)}")
                async for chunk in response.content.iter_any():
                    yield chunk
            finally:
                response.close()
        except (aiohttp.ClientError, OSError) as error:
            raise CallError("attachment_unavailable", f"{sys_id} did not come: {_words(error)}") from error

    async def store(
        self, job: str, lease: str, file_name: str, content_type: str, chunks: AsyncIterator[bytes]
    ) -> Attachment:
        """As `AttachmentClient`."""
        source = _Source(chunks)
        params = {"job": job, "lease": lease, "file_name": file_name, "content_type": content_type}
        asking = self._ask(
            "POST",
            PATH,
            params=params,
            data=source.read(),
            headers={"Content-Type": "application/octet-stream"},
            timeout=_patience(),
        )
        try:
            stored: Attachment = await _apart(self._stored(asking, file_name, content_type))
        except (aiohttp.ClientError, OSError, WireError) as error:
            if source.error is not None:
                raise source.error from source.error.__cause__  # the partner's, or a limit's
            raise CallError("attachment_not_stored", _words(error)) from error
        return stored

    @staticmethod
    async def _stored(
        asking: AbstractAsyncContextManager[aiohttp.ClientResponse], file_name: str, content_type: str
    ) -> Attachment:
        async with asking as response:
            if response.status not in (200, 201):
                raise CallError("attachment_not_stored", await _refusal(response))
            stored = decode(await response.content.read(LARGEST_ANSWER), _Stored)
            return Attachment(stored.sys_id, stored.size_bytes, content_type, file_name)


class _Source:
    """Chunks on their way, and what went wrong with them rather than with the way."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self.error: Exception | None = None

    async def read(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._chunks:
                yield chunk
        except Exception as error:
            self.error = error
            raise


async def _apart(asked: Awaitable[Any]) -> Any:
    """What happens on the way to the instance is no evidence for the call to the partner."""
    token = CURRENT.set(Attempt("the instance"))
    try:
        return await asked
    finally:
        CURRENT.reset(token)


def _patience() -> aiohttp.ClientTimeout:
    """As long as bytes come. How long the call may take is the call's own affair."""
    return aiohttp.ClientTimeout(total=None, sock_connect=SILENCE_SECONDS, sock_read=SILENCE_SECONDS)


async def _refusal(response: aiohttp.ClientResponse) -> str:
    try:
        refusal = decode(await response.content.read(LARGEST_ANSWER), Refusal)
    except WireError:
        return f"the instance answers {response.status}"
    return f"{refusal.message} ({response.status})"


def _words(error: Exception) -> str:
    return " ".join((str(error) or type(error).__name__).split())[:300]
