"""Who comes first goes first: coroutines that want to change one thing wait here, and not in threads of a pool."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """A queue for each name, in one event loop; it holds nothing of a name that nobody waits for or has."""

    def __init__(self) -> None:
        self._turns: dict[str, tuple[asyncio.Lock, list[None]]] = {}

    def __len__(self) -> int:
        """How many names somebody waits for or has."""
        return len(self._turns)

    @asynccontextmanager
    async def of(self, name: str) -> AsyncIterator[None]:
        """Wait for those that asked for this name before, and keep others waiting while the block runs."""
        lock, waiting = self._turns.setdefault(name, (asyncio.Lock(), []))
        waiting.append(None)
        try:
            async with lock:
                yield
        finally:
            waiting.pop()
            if not waiting:
                del self._turns[name]
