"""Waiting for an engine whose queue is full: asking again, ever less often, for as long as the run may wait."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from jan_core.errors import Busy

T = TypeVar("T")

FIRST_PAUSE = 0.1
"""Seconds before a full queue is asked a second time; twice as long before each further time."""
LONGEST_PAUSE = 5.0
"""Seconds between two of them, at most."""


async def patient(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask until the queue has room. It has no end of its own: the run's is that it is cancelled, or expires.

    Args:
        ask: asks once.

    Returns:
        What it gave.

    Raises:
        Exception: what `ask` raises, but `Busy`.
    """
    pause = FIRST_PAUSE
    while True:
        try:
            return await ask()
        except Busy:
            # Not all at the same moment: those who were refused together would be refused together again.
            await asyncio.sleep(pause * random.uniform(0.75, 1.25))
            pause = min(2 * pause, LONGEST_PAUSE)
