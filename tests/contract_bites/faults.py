"""Mistakes that implementations of several endpoints can make: put in front of a reference, they make it wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from jan_core.schemas.models import ModelLocation
from jan_core.testing.memory import ModelsInMemory


class InATask:
    """Writes in a task of its own, which nobody ends before the app is closed. `right` gives what it writes."""

    right: Callable[[Any], AsyncIterator[Any]]

    def __init__(self, jan: Any) -> None:
        super().__init__(jan)  # type: ignore[call-arg]
        self.tasks: list[asyncio.Task[Any]] = []

    async def __aexit__(self, *error: Any) -> None:
        for task in self.tasks:
            task.cancel()

    async def create_stream(self, body: Any) -> AsyncIterator[Any]:
        pieces: asyncio.Queue[Any] = asyncio.Queue()

        async def write() -> None:
            try:
                async for chunk in self.right(body):
                    await pieces.put(chunk)
                await pieces.put(None)
            except Exception as error:
                await pieces.put(error)

        self.tasks.append(asyncio.create_task(write()))
        while (piece := await pieces.get()) is not None:
            if isinstance(piece, Exception):
                raise piece
            yield piece


class LeftOpen:
    """Never closes what it reads from: whatever that holds, a slot or a lock, is held for ever."""

    right: Callable[[Any], AsyncIterator[Any]]

    def __init__(self, jan: Any) -> None:
        super().__init__(jan)  # type: ignore[call-arg]
        self.left: list[AsyncIterator[Any]] = []

    async def create_stream(self, body: Any) -> AsyncIterator[Any]:
        self.left.append(self.right(body))
        async for chunk in self.left[-1]:
            yield chunk


class Lenient(ModelsInMemory):
    """Finds every model: what is put in the place of the app's models, which the kernel asks before the engine.

    Args:
        located: told a name that is no model's; it may refuse it.
    """

    def __init__(self, located: Callable[[str], None] = lambda model: None) -> None:
        super().__init__()
        self._located = located

    async def locate(self, model: str) -> ModelLocation:
        if model not in self.engines:
            self._located(model)
        return await super().locate("scripted")
