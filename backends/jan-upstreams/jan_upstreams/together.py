"""Several streams at once, as one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from typing import TypeVar

T = TypeVar("T")

AT_ONCE = 8
"""Streams of one request that are read at once, at most."""
AHEAD = 16
"""Pieces that are read before they are asked for, at most."""


async def together(begin: Sequence[Callable[[], AsyncIterator[T]]]) -> AsyncIterator[tuple[int, T]]:
    """The pieces of streams as they come, each with the number of its stream.

    Closing the iterator closes them; so does an error of one, which is raised.

    Args:
        begin: each makes a stream; some are begun when others have ended.
    """
    if len(begin) == 1:
        async with AsyncExitStack() as stack:
            alone = begin[0]()
            stack.push_async_callback(alone.aclose)  # type: ignore[attr-defined]
            async for piece in alone:
                yield 0, piece
        return
    pieces: asyncio.Queue[tuple[int, T] | None] = asyncio.Queue(AHEAD)
    places = asyncio.Semaphore(AT_ONCE)

    async def read(number: int) -> None:
        async with places, AsyncExitStack() as stack:
            stream = begin[number]()
            stack.push_async_callback(stream.aclose)  # type: ignore[attr-defined]
            async for piece in stream:
                await pieces.put((number, piece))

    async def read_all() -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(len(begin)):
                    group.create_task(read(number))
        finally:
            await pieces.put(None)

    reading = asyncio.create_task(read_all())
    try:
        # What one of them refuses is known before anything is told: each that was begun has its first piece by then.
        first: list[tuple[int, T]] = []
        begun: set[int] = set()
        found = None
        while len(begun) < min(len(begin), AT_ONCE) and (found := await pieces.get()) is not None:
            begun.add(found[0])
            first.append(found)
        if found is None:
            await _raised(reading)
        for one in first:
            yield one
        while found is not None and (found := await pieces.get()) is not None:
            yield found
        await _raised(reading)
    finally:
        reading.cancel()
        while not reading.done():  # whatever is being put must find room
            while not pieces.empty():
                pieces.get_nowait()
            await asyncio.wait([reading], timeout=0.01)
        if not reading.cancelled():
            reading.exception()


async def _raised(reading: asyncio.Task[None]) -> None:
    try:
        await reading
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
