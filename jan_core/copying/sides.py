"""The two apps of a copy, and what is read from them in pages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jan_core.schemas.pages import PageQuery
from jan_core.schemas.threads import ThreadsQuery

if TYPE_CHECKING:
    from jan_core.app import Jan

AT_ONCE = 4
"""Threads whose messages or runs are copied at the same time."""
PAGE = 100
"""Objects of a page."""


@dataclass(frozen=True, slots=True)
class Sides:
    """From where to where.

    Attributes:
        source: it is only read.
        target: what is missing is put into it.
        step: told of what was compared: the endpoint's name, how many objects, and how many of its total.
    """

    source: Jan
    target: Jan
    step: Callable[[str, int, int], None]

    def have_lines(self, endpoint: str) -> bool:
        """Whether both have the objects of an endpoint as lines."""
        modules = (getattr(self.source, endpoint), getattr(self.target, endpoint))
        return all(one.supports(name) for one in modules for name in ("export", "restore"))

    async def each_thread(self, work: Callable[[str], Awaitable[None]]) -> None:
        """Do something for each thread of the source, for some of them at the same time.

        Args:
            work: given the id of a thread.

        Raises:
            Exception: the first that `work` raised; the others were cancelled.
        """
        slots = asyncio.Semaphore(AT_ONCE)

        async def one(thread_id: str) -> None:
            try:
                await work(thread_id)
            finally:
                slots.release()

        try:
            async with asyncio.TaskGroup() as group:
                async for page in listed(self.source, "threads"):
                    for thread in page:
                        await slots.acquire()
                        group.create_task(one(thread.id))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from errors


def listed(jan: Jan, endpoint: str) -> AsyncGenerator[list[Any], None]:
    """All assistants, or all threads, oldest first, in pages."""
    kind = ThreadsQuery if endpoint == "threads" else PageQuery
    return pages(lambda after: getattr(jan, endpoint).list(kind(limit=PAGE, order="asc", after=after)))


async def pages(page_after: Callable[[str | None], Awaitable[Any]]) -> AsyncGenerator[list[Any], None]:
    """What is on each page of a listing.

    Args:
        page_after: gives the page behind an id; the first one for None.
    """
    after = None
    while True:
        page = await page_after(after)
        if page.data:
            yield page.data
        after = page.last_id
        if not page.has_more or after is None:
            return
