"""One client identity (or none) towards every partner: a pooled session, and one TLS context for each CA bundle."""

from __future__ import annotations

import ssl
from collections import OrderedDict

import aiohttp

from openmid import __version__
from openmid.midserver import tls
from openmid.midserver.certificate import CertificateFacts
from openmid.midserver.client_identity import ClientIdentity
from openmid.midserver.connector import Connector
from openmid.midserver.egress import Egress

MOST_CONTEXTS = 64
LONGEST_HEADER = 32 * 1024  # of at most 128


class TlsClient:
    """Use it between `acquire` and `release`; `retire` closes it once the last user has released it."""

    def __init__(
        self,
        identity: ClientIdentity | None,
        egress: Egress,
        *,
        enforced: bool,
        trusted: str | bytes = "",
        trusted_by: str = "",
    ) -> None:
        """`trusted` are the certificates of the truststore `trusted_by`, for calls that bring no CA certificates; without
        one the system's authorities count."""
        self.identity = identity
        self.trusted_by = trusted_by
        self._trusted = trusted
        self._egress = egress
        self._enforced = enforced
        self._contexts: OrderedDict[str, ssl.SSLContext] = OrderedDict()
        self._session: aiohttp.ClientSession | None = None
        self._users = 0
        self._retired = False

    @property
    def facts(self) -> CertificateFacts:
        """The client certificate's; empty without one."""
        return self.identity.facts if self.identity else CertificateFacts()

    def context(self, ca_certificates: str) -> ssl.SSLContext:
        """The context that trusts `ca_certificates` (PEM), or what is trusted by default. aiohttp pools by context.

        Raises:
            ValueError: the certificates are not PEM, or OpenSSL refuses the client's key.
        """
        context = self._contexts.get(ca_certificates)
        if context is None:
            context = self._contexts[ca_certificates] = self._new(ca_certificates)
        self._contexts.move_to_end(ca_certificates)
        if len(self._contexts) > MOST_CONTEXTS:
            self._contexts.popitem(last=False)
        return context

    def _new(self, ca_certificates: str) -> ssl.SSLContext:
        context = tls.client_context(ca_certificates or self._trusted, enforced=self._enforced)
        if self.identity is not None:
            tls.present(context, self.identity.key, self.identity.chain)
        return context

    def acquire(self) -> aiohttp.ClientSession:
        """The session: no cookies, nothing from the environment."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=Connector(self._egress),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": f"openmid/{__version__}", "Accept": "*/*"},
                skip_auto_headers=("Accept-Encoding", "Content-Type"),
                auto_decompress=False,  # bodies.py does, and bounds it
                max_field_size=LONGEST_HEADER,
            )
        self._users += 1
        return self._session

    async def release(self) -> None:
        """The counterpart of `acquire`."""
        self._users -= 1
        await self._close_if_done()

    async def retire(self) -> None:
        """Nobody new will come."""
        self._retired = True
        await self._close_if_done()

    async def _close_if_done(self) -> None:
        if self._retired and not self._users and self._session is not None:
            session, self._session = self._session, None
            await session.close()
