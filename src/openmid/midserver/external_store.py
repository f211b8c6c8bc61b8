"""External credential stores: the instance knows a secret's name, this host fetches the secret itself.

`mid.external_credential_store` in config.xml names the store: `vault`, `environment`, `file`, or `package.module:Class` for
one of your own. Such a class has these two methods, and may block: it is called in a thread of its own, within a time.

    class Safe:
        def __init__(self, options: Options) -> None:
            self._address = options.required("address")  # mid.external_credential_store.address

        def secret(self, name: str) -> str:
            '''The secret. Raises SecretUnavailable with a sentence, never with a secret in it.'''
            return fetch(self._address, name)
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Protocol, Self

from openmid.midserver import redact
from openmid.midserver.config import Config
from openmid.midserver.errors import ConfigError, SecretUnavailable

STORE = "mid.external_credential_store"
BUILT_IN = {
    "vault": "openmid.midserver.external_vault:Vault",
    "environment": "openmid.midserver.external_local:Environment",
    "file": "openmid.midserver.external_local:Files",
}
SECONDS, MOST_AT_ONCE = 30.0, 8


@dataclass(frozen=True)
class Options:
    """The parameters of config.xml that begin with `mid.external_credential_store.`, without that; opened."""

    agent: Path
    enforced: bool
    values: Mapping[str, str]

    def get(self, name: str, default: str = "") -> str:
        """A parameter's value."""
        return self.values.get(name) or default

    def required(self, name: str) -> str:
        """A parameter that has to be there.

        Raises:
            ConfigError: it is not.
        """
        value = self.get(name)
        if not value:
            raise ConfigError(f'config.xml has no value for the parameter "{STORE}.{name}"', "add it, and restart")
        return value

    def path(self, name: str) -> Path:
        """A required path; a relative one starts in the agent folder."""
        return self.agent / self.required(name)


class ExternalStore(Protocol):
    """One store. It is made once, at the start: ConfigError says what is wrong with its parameters."""

    def secret(self, name: str) -> str:
        """The secret of that name. Raises SecretUnavailable."""


class ExternalSecrets:
    """The store of this MID Server, if it has one."""

    def __init__(self, store: ExternalStore | None, seconds: float = SECONDS) -> None:
        self._store = store
        self._seconds = seconds
        self._running = 0

    @classmethod
    def of(cls, config: Config) -> Self:
        """The store that config.xml names, or none.

        Raises:
            ConfigError: there is no such store, or its parameters are not what it needs.
        """
        kind = config.parameter(STORE)
        if not kind:
            return cls(None)
        begin = f"{STORE}."
        names = [name for name in config.parameters() if name.startswith(begin)]
        values = {name.removeprefix(begin): config.parameter(name) for name in names}
        return cls(_class(kind)(Options(config.agent, config.fips_enforced, values)))

    async def secret(self, name: str) -> str:
        """The secret of that name, masked in every log from now on.

        Raises:
            SecretUnavailable: there is no store, no such secret, no answer in time.
        """
        if self._store is None:
            raise SecretUnavailable(
                "this MID Server has no external credential store",
                f'set the parameter "{STORE}" in config.xml and restart, or leave External credential store off',
            )
        if self._running >= MOST_AT_ONCE:
            raise SecretUnavailable(
                "the external credential store does not answer", "see its own log; it is asked again"
            )
        try:
            async with asyncio.timeout(self._seconds):
                found = await self._in_thread(self._store, name)
        except TimeoutError:
            sentence = f"the external credential store has not answered within {self._seconds:.0f} s"
            raise SecretUnavailable(sentence, "see its own log; it is asked again") from None
        if not found:
            raise SecretUnavailable(f'the secret "{name}" in the external credential store is empty', "give it a value")
        return redact.learn(found)

    async def _in_thread(self, store: ExternalStore, name: str) -> str:
        """In a daemon thread: a store that never answers neither holds up the others nor the end of the process."""
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[str] = loop.create_future()

        def settle(outcome: str | BaseException) -> None:
            self._running -= 1
            if answered.done():
                return
            if isinstance(outcome, str):
                answered.set_result(outcome)
            else:
                answered.set_exception(outcome)

        self._running += 1
        threading.Thread(target=_ask, args=[store, name, loop, settle], daemon=True).start()
        return await answered


def _ask(
    store: ExternalStore,
    name: str,
    loop: asyncio.AbstractEventLoop,
    settle: Callable[[str | BaseException], None],
) -> None:
    outcome: str | BaseException
    try:
        outcome = store.secret(name)
    except (SecretUnavailable, ConfigError) as error:
        outcome = SecretUnavailable(str(error), error.hint)
    except Exception as error:  # a store of somebody else's
        words = redact.clean(f"{type(error).__name__}: {error}")
        outcome = SecretUnavailable(f"the external credential store failed: {words}", "see its own log")
    if not loop.is_closed():
        loop.call_soon_threadsafe(settle, outcome)


def _class(kind: str) -> Callable[[Options], ExternalStore]:
    module, _, name = BUILT_IN.get(kind, kind).partition(":")
    try:
        found: Callable[[Options], ExternalStore] = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f'the external credential store "{kind}" cannot be used: {error}',
            f'"{STORE}" in config.xml is {", ".join(BUILT_IN)}, or a class that this Python can import',
        ) from error
    return found
