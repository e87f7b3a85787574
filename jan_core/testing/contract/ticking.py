"""Whether the event loop goes on while something is asked: a clock in the loop, and one in a thread beside it.

Both are of one process. So a machine that is slow, or stands still, holds up the two alike, and is not taken for an
implementation that holds up the loop.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable

TICK = 0.01
"""Seconds between two ticks, at least."""
HELD_UP = 30
"""Ticks of the thread without one of the loop, from which on the loop counts as held up."""


async def held_up(work: Callable[[], Awaitable[object]]) -> int:
    """Do some work, and return how many ticks of the thread there were at most between two of the loop.

    Raises:
        Exception: what the work raised.
    """
    behind, most = 0, 0
    done = threading.Event()

    def watch() -> None:
        nonlocal behind, most
        while not done.wait(TICK):
            behind += 1
            most = max(most, behind)

    async def tick() -> None:
        nonlocal behind
        while True:
            behind = 0
            await asyncio.sleep(TICK)

    beside = threading.Thread(target=watch, name="jan-contract-ticks", daemon=True)
    ticking = asyncio.create_task(tick())
    await asyncio.sleep(0)
    beside.start()
    try:
        await work()
        await asyncio.sleep(0)
        return most
    finally:
        done.set()
        beside.join()
        ticking.cancel()
        await asyncio.gather(ticking, return_exceptions=True)
