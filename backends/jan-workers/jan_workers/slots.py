"""The bounded queue in front of a model's slots: first come, first served, and 429 when it is full."""

from __future__ import annotations

import asyncio
from collections import deque

from jan_core.errors import Busy


class Slots:
    """So many requests at once, so many waiting, no more.

    Args:
        count: slots there are.
        queue: requests that may wait.
        name: the model's id, for the error's message.
    """

    def __init__(self, count: int, queue: int, name: str) -> None:
        self.count = count
        self.free = count
        self._queue = queue
        self._name = name
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._seconds = 1.0

    @property
    def busy(self) -> int:
        """Slots in use."""
        return self.count - self.free

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return sum(1 for _, future in self._waiting if not future.done())

    async def take(self, wanted: int) -> None:
        """Wait for `wanted` slots (1 to `count`), in turn. A cancelled wait leaves the queue.

        Raises:
            Busy: the queue is full. `Retry-After` is an estimate from how long requests have taken.
        """
        if not self._waiting and self.free >= wanted:
            self.free -= wanted
            return
        if self.waiting >= self._queue:
            seconds = round(self._seconds * (self.waiting + 1) / self.count)
            raise Busy(
                f"The model {self._name!r} answers {self.count} requests at once and {self.waiting} wait already; "
                "ask again later.",
                retry_after=min(60, max(1, seconds)),
            )
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((wanted, future))
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self.free += wanted  # it was our turn just as we were cancelled
            self._hand_out()
            raise

    def give_back(self, count: int, seconds: float | None = None) -> None:
        """Free slots again.

        Args:
            count: how many.
            seconds: how long the request had them, for the estimate in `Retry-After`.
        """
        self.free += count
        if seconds is not None:
            self._seconds = 0.8 * self._seconds + 0.2 * seconds
        self._hand_out()

    def _hand_out(self) -> None:
        while self._waiting:
            wanted, future = self._waiting[0]
            if future.done():
                self._waiting.popleft()
            elif self.free >= wanted:
                self._waiting.popleft()
                self.free -= wanted
                future.set_result(None)
            else:
                return
