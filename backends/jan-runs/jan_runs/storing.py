"""Messages that a run stores in its thread, which may be deleted at any moment."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from jan_core.errors import NotFound

if TYPE_CHECKING:
    from jan_core.app import Jan
    from jan_core.schemas.messages import Message

T = TypeVar("T")


async def put(jan: Jan, thread_id: str, messages: Sequence[Message]) -> None:
    """Store messages in a thread, each in place of one of the same id, and see that none outlives the thread.

    What began is done to its end: who is cancelled meanwhile is cancelled then.

    Args:
        jan: gives the messages and the threads.
        thread_id: the thread.
        messages: in the order in which they are to be there.

    Raises:
        NotFound: the thread is gone (`thread_not_found`), or was deleted meanwhile. Nothing of it is left.
        JanError: one could not be stored; those before it are.
    """
    await _to_end(_put(jan, thread_id, messages))


async def _put(jan: Jan, thread_id: str, messages: Sequence[Message]) -> None:
    begun = False
    try:
        for message in messages:
            await jan.threads.check(thread_id)
            begun = True
            await jan.messages.put(message)
    finally:
        if begun:
            await _check_still(jan, thread_id)


async def _check_still(jan: Jan, thread_id: str) -> None:
    """Who deleted the thread removed its messages, but none that were stored after that."""
    try:
        await jan.threads.check(thread_id)
    except NotFound:
        await jan.messages.clear(thread_id)
        raise


async def _to_end(work: Coroutine[Any, Any, T]) -> T:
    task = asyncio.create_task(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        if not task.cancelled():
            task.exception()  # nobody is there to hear of it
        raise cancelled
    return task.result()
