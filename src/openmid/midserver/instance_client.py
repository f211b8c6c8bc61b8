"""The way to the instance: HTTPS POSTs of the wire's messages, trusting only what config.xml names."""

from __future__ import annotations

import asyncio
import ssl
import sys
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from openmid.diagnosis import Evidence, diagnose
from openmid.keystore import KeystoreError
from openmid.midserver import bodies, redact, secret_key, tls, truststore
from openmid.midserver.bodies import BadCoding
from openmid.midserver.config import Config
from openmid.midserver.connector import CURRENT, Attempt, Connector
from openmid.midserver.errors import ConfigError, InstanceRefused, InstanceUnreachable, StartError
from openmid.midserver.evidence import gather
from openmid.midserver.exchange import DEFAULTS, Destination, exchange, head
from openmid.midserver.proxy import NONE, Proxy
from openmid.wire.codec import WireError, decode, encode
from openmid.wire.messages import Refusal
from openmid.wire.version import CHANNEL

T = TypeVar("T")
ANSWER_SECONDS = 15
# A cause's remedy speaks of a connection to a partner; only these hold for the way to the instance as well.
OF_TRUST = {"server_untrusted", "server_self_signed", "server_certificate_expired", "server_certificate_not_yet_valid"}
LOOK = 'check that the instance runs, and the parameter "url" in agent/config.xml'
TOO_LARGE = "what stands in front of the instance does not take bodies of this size"
TOO_LARGE_HINT = "let it take 64 MB: in nginx client_max_body_size 64m"
TRUSTSTORE = "mid.https.truststore.path"


class InstanceClient:
    """One instance. Every failure is an InstanceUnreachable (try again) or an InstanceRefused (do not)."""

    def __init__(
        self, url: str, context: ssl.SSLContext, trusted_by: Path, through: Proxy = NONE, config_path: str = ""
    ) -> None:
        self.url = url.rstrip("/")
        parts = urlsplit(self.url)
        self._base = Evidence("request", parts.hostname or "", parts.port or 443, trust="truststore",
                              truststore=str(trusted_by), mid="on this host", timeout_ms=ANSWER_SECONDS * 1000,
                              config_path=config_path, proxy_user=through.user)  # fmt: skip
        self._context = context
        self._proxy = through.towards(self._base.host)
        self._authorization: dict[str, str] = {}
        self._destination = Destination(URL(self.url).origin(), context, **self._proxy)
        self._connector: Connector | None = None
        self._session: aiohttp.ClientSession | None = None

    @classmethod
    def of(cls, config: Config) -> InstanceClient:
        """The client that a config.xml describes.

        Raises:
            ConfigError: no URL, or not an https one.
            StartError: the truststore does not open.
        """
        url = config.required("url")
        if not _is_https(url):
            raise ConfigError(f'the parameter "url" in {config.path} is "{url}"', "an https:// URL belongs there")
        path = config.agent / config.required(TRUSTSTORE)
        password = config.parameter("mid.https.truststore.password") or secret_key.read(config.agent)
        try:
            context = tls.client_context(truststore.trusted(path, password), enforced=config.fips_enforced)
        except (KeystoreError, OSError, ValueError) as error:
            raise StartError(
                f"the truststore {path} cannot be used: {error}", f"put the instance's CA into {path}"
            ) from error
        return cls(url, context, path, Proxy.of(config), str(config.path))

    def authorise(self, mid_sys_id: str, credential: str) -> None:
        """Send this credential with every request from now on."""
        self._authorization = {"Authorization": f"Bearer {mid_sys_id}.{redact.learn(credential)}"}

    async def call(self, path: str, message: object, answer: type[T], *, held_ms: int = 0) -> T:
        """The instance's answer to one message; the instance may hold it for `held_ms`.

        Raises:
            InstanceUnreachable: no answer, or a broken one.
            InstanceRefused: the instance says no.
        """
        status, body = await self._post(path, encode(message), ANSWER_SECONDS + held_ms / 1000)
        try:
            if status == 200:
                return decode(body, answer)
            refusal = decode(body, Refusal)
        except WireError as error:
            if status == 413:
                raise InstanceRefused(TOO_LARGE, TOO_LARGE_HINT, code="too_large", status=status) from error
            sentence = f"{self.url} answers {status}, and not as an instance of this version does"
            raise InstanceUnreachable(sentence, 'check the parameter "url" in agent/config.xml') from error
        if status >= 500 or status == 429:
            raise InstanceUnreachable(f"the instance answers {status}: {refusal.message}", refusal.hint)
        raise InstanceRefused(refusal.message, refusal.hint, code=refusal.code, status=status)

    async def _post(self, path: str, body: bytes, seconds: float) -> tuple[int, bytes]:
        attempt = Attempt(self._base.host)
        token = CURRENT.set(attempt)
        headers = [("Content-Type", "application/json"), *self._authorization.items()]
        said = head("POST", URL(self.url + CHANNEL + path), headers, len(body))
        try:
            async with asyncio.timeout(seconds):
                answer = await exchange(self._pool(), self._destination, "POST", said, body)
                try:
                    return answer.status, await bodies.whole(answer, sys.maxsize)
                finally:
                    await answer.finish()
        except (aiohttp.ClientError, HttpProcessingError, BadCoding, OSError) as error:
            cause = diagnose(gather(error, attempt, self._base))
            remedy = cause.remedy if cause.code in OF_TRUST or cause.code.startswith("proxy_") else LOOK
            raise InstanceUnreachable(f"the instance cannot be reached: {cause.message}", remedy) from error
        finally:
            CURRENT.reset(token)

    def stream(self, method: str, path: str, *, headers: dict[str, str] | None = None, **arguments: Any) -> Any:
        """One request below CHANNEL whose body no message holds, as `aiohttp.ClientSession.request` returns it; its errors
        are aiohttp's. `attachments.InstanceAttachments` is who asks."""
        return self._opened().request(
            method,
            self.url + CHANNEL + path,
            headers={**self._authorization, **(headers or {})},
            ssl=self._context,
            allow_redirects=False,
            **self._proxy,
            **arguments,
        )

    def _pool(self) -> Connector:
        if self._connector is None:
            self._connector = Connector(None)
        return self._connector

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=self._pool(), cookie_jar=aiohttp.DummyCookieJar(), headers=DEFAULTS
            )
        return self._session

    async def close(self) -> None:
        """Close the pool."""
        if self._session is not None:
            await self._session.close()
        elif self._connector is not None:
            await self._connector.close()


def _is_https(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme == "https" and bool(parts.hostname) and parts.port != 0 and bool(URL(url).origin().host)
    except ValueError:  # the port, or a host that no name can be
        return False
