"""Who waits for the ends of executions: those that ended in one commit are read together, once."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakKeyDictionary

from openmid.instance.actions.details import ENDED, Told, told
from openmid.instance.records.wakeups import wakeups

Answer = asyncio.Future[Told | None]


class Following:
    """Of one event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._answers: defaultdict[str, set[Answer]] = defaultdict(set)
        self._woken: set[str] = set()

    @contextmanager
    def of(self, sys_id: str) -> Iterator[Answer]:
        """The answer that comes when the execution has ended, or the instance stops. Look whether it has ended before."""
        answer: Answer = self._loop.create_future()
        with wakeups.telling(f"execution:{sys_id}", lambda: self._wake(sys_id)):
            self._answers[sys_id].add(answer)
            try:
                yield answer
            finally:
                if answer.done() and not answer.cancelled():
                    answer.exception()  # asyncio need not complain that nobody came to look
                self._answers[sys_id].discard(answer)
                if not self._answers[sys_id]:
                    del self._answers[sys_id]

    async def ended(self, sys_id: str, answer: Answer, seconds: float) -> Told:
        """Its details when it has ended, or after `seconds`."""
        limit = self._loop.call_later(seconds, _give_up, answer) if seconds and not wakeups.stopping else None
        found = await answer if limit else None
        if limit:
            limit.cancel()
        return found or told([sys_id])[sys_id]

    def _wake(self, sys_id: str) -> None:
        if not self._woken:
            self._loop.call_soon(self._read)
        self._woken.add(sys_id)

    def _read(self) -> None:
        """Those that were woken since."""
        woken, self._woken = self._woken, set()
        try:
            found = told(woken & self._answers.keys())
        except Exception as error:
            self._tell(woken, error)
            return
        self._tell({sys_id for sys_id, each in found.items() if each.state in ENDED or wakeups.stopping}, found)

    def _tell(self, which: set[str], what: dict[str, Told] | Exception) -> None:
        for sys_id in which:
            for answer in self._answers.get(sys_id, ()):
                if answer.done():
                    continue
                if isinstance(what, Exception):
                    answer.set_exception(what)
                else:
                    answer.set_result(what[sys_id])


def _give_up(answer: Answer) -> None:
    if not answer.done():
        answer.set_result(None)


_followings: WeakKeyDictionary[asyncio.AbstractEventLoop, Following] = WeakKeyDictionary()


def following() -> Following:
    """The running loop's."""
    loop = asyncio.get_running_loop()
    found = _followings.get(loop)
    if found is None:
        found = _followings[loop] = Following()
    return found
