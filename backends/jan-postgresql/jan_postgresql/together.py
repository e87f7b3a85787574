"""Questions that come at the same time, asked in one statement."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

LONGEST = 0.02
"""Seconds that a question waits for the statement before it, at most; then a further one is sent beside it."""


class Together:
    """Asks for many keys at once which of them there are.

    While one statement is under way, the keys that are asked for gather, and the next one asks for all of them. Under
    load that costs a part of a statement each; alone, a key is asked for at once. Every answer is from after its
    question.

    Args:
        ask: does the statement: of the given keys, those that there are.
    """

    def __init__(self, ask: Callable[[Sequence[str]], Awaitable[set[str]]]) -> None:
        self._ask = ask
        self._waiting: dict[str, list[asyncio.Future[bool]]] = {}
        self._under_way: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def has(self, key: str) -> bool:
        """Whether there is a key.

        Raises:
            Exception: what the statement raised.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[bool] = loop.create_future()
        self._waiting.setdefault(key, []).append(answer)
        if not self._under_way:
            self._send()
        elif self._timer is None:
            self._timer = loop.call_later(LONGEST, self._send)
        return await answer

    def _send(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting:
            asked, self._waiting = self._waiting, {}
            task = asyncio.create_task(self._answer(asked))
            self._under_way.add(task)
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            self._send()

    async def _answer(self, asked: dict[str, list[asyncio.Future[bool]]]) -> None:
        try:
            found = await self._ask([*asked])
        except asyncio.CancelledError:
            for answer in (one for answers in asked.values() for one in answers):
                answer.cancel()
            raise
        except Exception as error:
            for answer in (one for answers in asked.values() for one in answers):
                if not answer.done():
                    answer.set_exception(error)
                    answer.exception()  # somebody who waited may have gone
            return
        for key, answers in asked.items():
            for answer in answers:
                if not answer.done():
                    answer.set_result(key in found)
