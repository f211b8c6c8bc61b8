"""One client identity (or none) towards every partner: a pool of connections, and one TLS context for each CA bundle."""

from __future__ import annotations

import ssl
from collections import OrderedDict

from yarl import URL

from openmid.midserver import proxy, tls
from openmid.midserver.certificate import CertificateFacts
from openmid.midserver.client_identity import ClientIdentity
from openmid.midserver.connector import Connector
from openmid.midserver.egress import Egress
from openmid.midserver.exchange import Destination

MOST_CONTEXTS, MOST_DESTINATIONS = 64, 1024


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
        self._destinations: dict[tuple[str, int | None, str], Destination] = {}
        self._connector: Connector | None = None
        self._users = 0
        self._retired = False
        self.facts = self.identity.facts if self.identity else CertificateFacts()
        """The client certificate's; empty without one."""

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
            self._destinations.clear()  # they hold theirs
        return context

    def _new(self, ca_certificates: str) -> ssl.SSLContext:
        context = tls.client_context(ca_certificates or self._trusted, enforced=self._enforced)
        if self.identity is not None:
            tls.present(context, self.identity.key, self.identity.chain)
        return context

    def destination(self, target: URL, ca_certificates: str, through: proxy.Proxy) -> Destination:
        """The way to the origin of `target`.

        Raises:
            ValueError: as `context`.
        """
        key = target.raw_host or "", target.port, ca_certificates
        found = self._destinations.get(key)
        if found is None:
            if len(self._destinations) >= MOST_DESTINATIONS:
                self._destinations.clear()
            towards = through.towards(target.host or "")
            found = self._destinations[key] = Destination(target.origin(), self.context(ca_certificates), **towards)
        return found

    def acquire(self) -> Connector:
        """The pool."""
        if self._connector is None:
            self._connector = Connector(self._egress)
        self._users += 1
        return self._connector

    async def release(self) -> None:
        """The counterpart of `acquire`."""
        self._users -= 1
        if self._retired:
            await self._close_if_done()

    async def retire(self) -> None:
        """Nobody new will come."""
        self._retired = True
        await self._close_if_done()

    async def _close_if_done(self) -> None:
        if self._retired and not self._users and self._connector is not None:
            connector, self._connector = self._connector, None
            await connector.close()
