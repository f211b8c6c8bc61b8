"""Who waits for the ends of executions: those that ended in one commit are read together, once."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakKeyDictionary

from openmid.instance.actions.details import ENDED, Read, Told, one, told
from openmid.instance.records.wakeups import wakeups

Answer = asyncio.Future[Told | None]


class Following:
    """Of one event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._answers: defaultdict[str, dict[Answer, Read]] = defaultdict(dict)
        self._woken: set[str] = set()

    @contextmanager
    def of(self, sys_id: str, read: Read = told) -> Iterator[Answer]:
        """The answer that comes when the execution has ended, or the instance stops. Look whether it has ended before."""
        answer: Answer = self._loop.create_future()
        with wakeups.telling(f"execution:{sys_id}", lambda: self._wake(sys_id)):
            self._answers[sys_id][answer] = read
            try:
                yield answer
            finally:
                if answer.done() and not answer.cancelled():
                    answer.exception()  # asyncio need not complain that nobody came to look
                del self._answers[sys_id][answer]
                if not self._answers[sys_id]:
                    del self._answers[sys_id]

    async def ended(self, sys_id: str, answer: Answer, seconds: float) -> Told:
        """What is told of it when it has ended, or after `seconds`.

        Raises:
            NoSuchExecutionError: it was deleted meanwhile.
        """
        limit = self._loop.call_later(seconds, _give_up, answer) if seconds and not wakeups.stopping else None
        found = await answer if limit else None
        if limit:
            limit.cancel()
        return found or one(self._answers[sys_id][answer], sys_id)

    def _wake(self, sys_id: str) -> None:
        if not self._woken:
            self._loop.call_soon(self._read)
        self._woken.add(sys_id)

    def _read(self) -> None:
        """Those that were woken since, all at once for each way to read them."""
        woken, self._woken = self._woken, set()
        by_read: defaultdict[Read, dict[Answer, str]] = defaultdict(dict)
        for sys_id in woken:
            for answer, read in self._answers.get(sys_id, {}).items():
                by_read[read][answer] = sys_id
        for read, answers in by_read.items():
            try:
                _tell(answers, read(set(answers.values())))
            except Exception as error:  # the database's: whoever waits hears of it
                for answer in answers:
                    if not answer.done():
                        answer.set_exception(error)


def _tell(answers: dict[Answer, str], found: dict[str, Told]) -> None:
    for answer, sys_id in answers.items():
        each = found.get(sys_id)
        if each is not None and not answer.done() and (each.state in ENDED or wakeups.stopping):
            answer.set_result(each)


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
