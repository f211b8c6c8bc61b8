"""HashiCorp Vault (and OpenBao, which speaks the same): KV version 2 or 1, by a token file or by AppRole.

A secret's name is `path#field`; without a field it is `password`. Each fetch reads the token or the secret_id anew, so
that what an agent of Vault's renews on disk counts at once. TLS is that of every other call: Python's own `ssl`, under the
FIPS provider in enforced mode, with the certificate always verified.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import hvac
import requests
from hvac import exceptions
from requests.adapters import HTTPAdapter

from openmid.keystore import KeystoreError
from openmid.midserver import redact, tls, truststore
from openmid.midserver.errors import ConfigError, SecretUnavailable
from openmid.midserver.external_store import STORE, Options

TIMEOUTS = (5.0, 10.0)
"""Seconds to connect, and to wait for each part of the answer."""
_PATH = re.compile(r"(?!.*(^|/)\.\.?(/|$))[\w.@ -]+(/[\w.@ -]+)*")


class Vault:
    """One Vault. Options: url, ca, mount, kv_version, namespace; token_file, or role_id, secret_id_file, approle_mount."""

    def __init__(self, options: Options) -> None:
        self._url = options.required("url").rstrip("/")
        if urlsplit(self._url).scheme != "https" or not urlsplit(self._url).hostname:
            raise ConfigError(f'the parameter "{STORE}.url" is "{self._url}"', "an https:// URL belongs there")
        self._version = options.get("kv_version", "2")
        if self._version not in ("1", "2"):
            raise ConfigError(f'the parameter "{STORE}.kv_version" is "{self._version}"', "1 or 2 belongs there")
        self._mount = options.get("mount", "secret")
        self._namespace = options.get("namespace") or None
        self._role = options.get("role_id")
        self._secret = options.path("secret_id_file" if self._role else "token_file")
        self._role_mount = options.get("approle_mount", "approle")
        self._context = _context(options)

    def secret(self, name: str) -> str:
        """The field of the secret."""
        path, _, field = name.partition("#")
        field = field or "password"
        if not _PATH.fullmatch(path):
            raise SecretUnavailable(
                f'"{name}" is not the name of a secret in Vault', "it looks like mid/partner#password"
            )
        with requests.Session() as session:
            session.trust_env = False  # no proxy, no .netrc, no other authorities from the environment
            session.mount("https://", _Adapter(self._context))
            data = self._asked(lambda: self._read(self._client(session), path), path)
        value = data.get(field)
        if not isinstance(value, str):
            raise SecretUnavailable(
                f'the secret {path} in Vault at {self._url} has no text in the field "{field}"', "name it as path#field"
            )
        return value

    def _client(self, session: requests.Session) -> Any:
        # An empty token, lest hvac looks for one in the environment and the user's home.
        client = hvac.Client(
            self._url,
            token="",
            session=session,
            timeout=TIMEOUTS,  # goes to requests as it is
            allow_redirects=False,  # a token goes to nobody else
            namespace=self._namespace,
        )
        word = self._word()
        if self._role:
            client.auth.approle.login(self._role, word, mount_point=self._role_mount)
            redact.learn(client.token or "", passing=True)
        else:
            client.token = word
        return client

    def _word(self) -> str:
        """The token, or AppRole's secret_id."""
        try:
            return redact.learn(self._secret.read_text("ascii").strip())
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise SecretUnavailable(
                f"{self._secret} cannot be read: {reason}", "put it there, readable for the MID Server's user only"
            ) from error

    def _read(self, client: Any, path: str) -> dict[str, Any]:
        kv = client.secrets.kv
        if self._version == "1":
            found = kv.v1.read_secret(path, mount_point=self._mount)["data"]
        else:
            found = kv.v2.read_secret_version(path, mount_point=self._mount, raise_on_deleted_version=True)["data"][
                "data"
            ]
        if not isinstance(found, dict):
            raise TypeError("no secret in the answer")
        return found

    def _asked(self, ask: Callable[[], dict[str, Any]], path: str) -> dict[str, Any]:
        """The answer, or one sentence for each way of not getting it. Vault's own words hold no secret."""
        vault = f"Vault at {self._url}"
        try:
            return ask()
        except exceptions.InvalidPath:
            sentence, hint = (
                f"{vault} has no secret {path} in {self._mount}",
                f"check its name, {STORE}.mount and .kv_version",
            )
        except (exceptions.Forbidden, exceptions.Unauthorized):
            sentence, hint = (
                f"{vault} does not let this MID Server read {path}",
                f"check its policy, and {self._secret}",
            )
        except exceptions.InvalidRequest as error:
            sentence, hint = f"{vault} refuses: {error.errors or error}", f"check {STORE}.role_id and {self._secret}"
        except exceptions.VaultError as error:
            sentence, hint = (
                f"{vault} cannot answer: {error.errors or type(error).__name__}",
                "is it sealed, or starting?",
            )
        except requests.exceptions.SSLError as error:
            sentence, hint = _untrusted(vault, error)
        except requests.exceptions.Timeout:
            sentence, hint = f"{vault} does not answer in time", "check that it runs, and firewalls on the way"
        except requests.exceptions.RequestException:
            sentence, hint = f"{vault} cannot be reached", f"check that it runs, and {STORE}.url"
        except (KeyError, TypeError, ValueError):
            sentence, hint = f"{vault} does not answer as Vault does", f"check {STORE}.url and .kv_version"
        raise SecretUnavailable(redact.clean(sentence), hint)


class _Adapter(HTTPAdapter):
    """requests with a TLS context of ours, to which it adds no authorities of its own."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._context, **kwargs)

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        conn.cert_reqs, conn.ca_certs, conn.ca_cert_dir = "CERT_REQUIRED", None, None


def _context(options: Options) -> ssl.SSLContext:
    path = Path(options.agent, options.get("ca")) if options.get("ca") else None
    try:
        return tls.client_context(truststore.trusted(path, "") if path else "", enforced=options.enforced)
    except (KeystoreError, OSError, ValueError) as error:
        raise ConfigError(f"{path}, which {STORE}.ca names, cannot be used: {error}", "a PEM certificate") from error


def _untrusted(vault: str, error: Exception) -> tuple[str, str]:
    """OpenSSL's words out of requests' and urllib3's."""
    found = re.search(r"certificate verify failed: ([^(\"']+)", str(error))
    if found:
        return f"{vault} is not trusted: {found[1].strip()}", f"put its CA into the file of {STORE}.ca"
    reason = re.search(r"\[SSL: (\w+)\]", str(error))
    words = reason[1].replace("_", " ").lower() if reason else "the handshake fails"
    return f"there is no TLS with {vault}: {words}", "it has to offer TLS 1.2 or 1.3 with what this MID Server allows"
