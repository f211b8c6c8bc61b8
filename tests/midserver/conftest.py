"""A certification authority, a partner that demands a client certificate, and keystores that hold one."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)

from openmid.keystore import KeyStore
from openmid.midserver.config import Config
from openmid.midserver.egress import Egress
from openmid.midserver.http import Host, RestRunner
from openmid.midserver.protocol_registry import OpenedProfile, ProtocolRegistry
from openmid.midserver.proxy import Proxy
from tests.midserver.partner import Partner

PASSWORD = "correct horse battery"


@dataclass
class Authority:
    """A CA of the test's own, and what it issues."""

    ca: trustme.CA

    @property
    def pem(self) -> str:
        return self.ca.cert_pem.bytes().decode()

    def server_context(self, *names: str, client_ca: trustme.CA | None = None) -> ssl.SSLContext:
        """A server that demands a client certificate of `client_ca` (this CA)."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(*(names or ("localhost", "127.0.0.1"))).configure_cert(context)
        (client_ca or self.ca).configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
        return context


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority(trustme.CA(organization_name="Test CA"))


def pkcs8(leaf: trustme.LeafCert) -> bytes:
    key = load_pem_private_key(leaf.private_key_pem.bytes(), None)
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def chain(leaf: trustme.LeafCert) -> list[bytes]:
    return [ssl.PEM_cert_to_DER_cert(pem.bytes().decode()) for pem in leaf.cert_chain_pems]


def write_bcfks(path: Path, leaf: trustme.LeafCert, password: str = PASSWORD) -> Path:
    store = KeyStore()
    store.set_private_key("client", pkcs8(leaf), chain(leaf))
    store.save(path, password)
    return path


def write_pkcs12(path: Path, leaf: trustme.LeafCert, password: str = PASSWORD) -> Path:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, load_der_private_key

    key = load_der_private_key(pkcs8(leaf), None)
    certificate = x509.load_der_x509_certificate(chain(leaf)[0])
    protection = BestAvailableEncryption(password.encode())
    path.write_bytes(pkcs12.serialize_key_and_certificates(b"client", key, certificate, None, protection))  # type: ignore[arg-type]
    return path


@pytest.fixture(scope="session")
def client(authority: Authority) -> trustme.LeafCert:
    return authority.ca.issue_cert("client.example", common_name="mymtlsclientcert")


@pytest.fixture(scope="session")
def bcfks(tmp_path_factory: pytest.TempPathFactory, client: trustme.LeafCert) -> Path:
    """The client's keystore under PASSWORD."""
    return write_bcfks(tmp_path_factory.mktemp("keystore") / "client.bcfks", client)


def make_config(agent: Path, egress: str = '<allow host="127.0.0.1"/>', more: str = "") -> Config:
    """The smallest config.xml, with loopback opened."""
    agent.mkdir(exist_ok=True)
    (agent / "config.xml").write_text(f"<parameters><egress>{egress}</egress>{more}</parameters>", "utf-8")
    return Config.read(agent)


class Mid:
    """A MID Server's insides without its instance: a registry and a runner."""

    def __init__(self, agent: Path, egress: str = '<allow host="127.0.0.1"/>', more: str = "") -> None:
        self.config = make_config(agent, egress, more)
        self.proxy = Proxy.of(self.config)
        self.registry = ProtocolRegistry(self.config.agent, Egress.of(self.config), enforced=False)
        self.runner = RestRunner(self.registry, Host("mid-test", self.config.path, False), through=self.proxy)

    async def register(
        self, keystore: Path, password: str = PASSWORD, protocol: str = "mauth", port: int = 443
    ) -> None:
        await self.registry.apply([OpenedProfile("p1", protocol, str(keystore), port, password)])


@pytest.fixture
async def mid(tmp_path: Path) -> AsyncIterator[Mid]:
    made = Mid(tmp_path / "agent")
    yield made
    await made.registry.close()


@pytest.fixture
async def partner(authority: Authority) -> AsyncIterator[Partner]:
    async with Partner(authority.server_context()) as running:
        yield running
