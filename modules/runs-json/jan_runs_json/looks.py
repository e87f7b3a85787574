"""When it is time to look again: one timer for all who wait, however many do."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable


class Looks:
    """The next look for everybody, or for one name at once. It is used from one event loop.

    Args:
        seconds: from one look to the next.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._waiting: list[tuple[str, asyncio.Future[None]]] = []
        self._timer: asyncio.TimerHandle | None = None

    def next(self, name: str) -> asyncio.Future[None]:
        """What is done at the next look, or when `now` is called for this name before."""
        loop = asyncio.get_running_loop()
        if self._timer is None:
            self._timer = loop.call_later(self._seconds, self._look)
        woken: asyncio.Future[None] = loop.create_future()
        self._waiting.append((name, woken))
        return woken

    def now(self, name: str) -> None:
        """Let those look at once who wait under this name."""
        _wake(woken for one, woken in self._waiting if one == name)

    def all_now(self, beginning: str) -> None:
        """Let those look at once whose names begin like this."""
        _wake(woken for one, woken in self._waiting if one.startswith(beginning))

    def _look(self) -> None:
        self._timer = None
        waiting, self._waiting = self._waiting, []
        _wake(woken for _, woken in waiting)


def _wake(waiting: Iterable[asyncio.Future[None]]) -> None:
    for woken in waiting:
        if not woken.done():
            woken.set_result(None)
