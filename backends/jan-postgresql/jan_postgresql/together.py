"""What is asked for at the same time, done in one statement."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

LONGEST = 0.02
"""Seconds that something waits for the statement before it, at most; then a further one is sent beside it."""
MOST = 64
"""Items of one statement, at most."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class Together(Generic[Item, Result]):
    """Gathers what comes while one statement is under way, and does it all in the next one.

    Under load that costs a part of a statement each; alone, an item is sent at once. Every statement begins after all
    of its items came. Whoever gives up takes nothing from the others.

    Args:
        work: does the statement: of some items, in the order in which they came, the result of each.
    """

    def __init__(self, work: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]]) -> None:
        self._work = work
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._under_way: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def one(self, item: Item) -> Result:
        """The result of an item.

        Raises:
            Exception: what the statement raised.
        """
        loop = asyncio.get_running_loop()
        result: asyncio.Future[Result] = loop.create_future()
        self._waiting.append((item, result))
        if not self._under_way:
            self._send()
        elif self._timer is None:
            self._timer = loop.call_later(LONGEST, self._send)
        return await result

    def _send(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting:
            some, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            task = asyncio.create_task(self._do(some))
            self._under_way.add(task)
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            self._send()

    async def _do(self, some: Sequence[tuple[Item, asyncio.Future[Result]]]) -> None:
        try:
            results = await self._work([item for item, _ in some])
        except asyncio.CancelledError:
            for _, result in some:
                result.cancel()
            raise
        except Exception as error:
            for _, result in some:
                if not result.done():
                    result.set_exception(error)
            return
        for (_, result), found in zip(some, results, strict=True):
            if not result.done():
                result.set_result(found)
