"""Listings of objects that are folders: pages cut out of a catalogue, every object looked at before it is shown."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, Literal, Protocol, Self, TypeVar

import anyio
import anyio.to_thread

from jan_core.errors import InvalidRequest
from jan_core.folder.catalogue import Key

T = TypeVar("T")

BUDGET = 2000
"""Objects that one request looks at, at most, to fill its page."""
SECONDS = 0.5
"""Seconds after which a page is handed out as far as it is filled."""
INLINE = 128
"""Up to so many objects are looked at without a thread, as long as none has to be read."""
_RESTARTS = 8


class Unread(Exception):
    """An object cannot be shown without reading its file."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a listing was asked for; see `jan_core.schemas.pages.PageQuery`."""

    limit: int
    order: Literal["asc", "desc"]
    after: str | None
    before: str | None


@dataclass(slots=True)
class Leaf(Generic[T]):
    """A page.

    Attributes:
        items: the objects, in the order asked for.
        has_more: further ones follow, or may follow.
        first: the cursor of its beginning; None where there is nothing.
        last: the cursor of its end.
    """

    items: list[T]
    has_more: bool
    first: str | None
    last: str | None


class Names(Protocol):
    """The names of the objects in the order of listings, as `Catalogue` knows them; see there."""

    def is_current(self) -> bool:
        """True where nothing has changed since the last `refresh`."""

    def may_have_missed(self) -> bool:
        """True where `refresh(again=True)` is worth its time although nothing shows."""

    def refresh(self, *, again: bool = False) -> None:
        """Bring the names up to date. Blocks."""

    def knows(self, name: str) -> bool:
        """True where there was an object of this name."""

    def key(self, name: str) -> Key:
        """Where a name stands in the order."""

    def names(self, after: Key | None, until: Key | None, count: int, *, newest_first: bool) -> list[str]:
        """Up to `count` names behind `after` and in front of `until`, both left out, in the given direction."""


class Shelf(Generic[T]):
    """The objects of one kind, listed.

    An async context manager. It is used from one event loop.

    Args:
        catalogue: their names.
        exists: whether an object of this name could be shown, for cursors.
        limiter: the threads that may read.
    """

    def __init__(self, catalogue: Names, exists: Callable[[str], bool], limiter: anyio.CapacityLimiter) -> None:
        self.catalogue = catalogue
        self._exists = exists
        self._limiter = limiter
        self._refreshing: asyncio.Task[None] | None = None
        self._verifying: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for task in (self._refreshing, self._verifying):
            if task is not None:
                await asyncio.wait([task])

    async def page(self, asked: Asked, look: Callable[[str, bool], T | None]) -> Leaf[T]:
        """Cut a page.

        Args:
            asked: where it begins, how long it is.
            look: returns an object as it is now, or None where it is none any more, or does not belong into this
                listing. Its second argument says whether it may read files; where it may not and must, it raises
                `Unread`. It tells the catalogue when an object was made.

        Raises:
            InvalidRequest: `after` or `before` names no object; it is the error's param.
        """
        await self.refresh()
        try:
            return self._cut(asked, lambda name: look(name, False), INLINE)
        except Unread:
            return await anyio.to_thread.run_sync(
                self._cut, asked, lambda name: look(name, True), BUDGET, limiter=self._limiter
            )

    async def refresh(self) -> None:
        """Return when the catalogue is what the disk was when this was called."""
        while not self.catalogue.is_current():
            if self._refreshing is None or self._refreshing.done():
                self._refreshing = asyncio.create_task(self._refresh(again=False))
            await asyncio.shield(self._refreshing)
        if self.catalogue.may_have_missed() and (self._verifying is None or self._verifying.done()):
            self._verifying = asyncio.create_task(self._refresh(again=True))

    async def _refresh(self, *, again: bool) -> None:
        await anyio.to_thread.run_sync(lambda: self.catalogue.refresh(again=again), limiter=self._limiter)

    def _cut(self, asked: Asked, look: Callable[[str], T | None], budget: int) -> Leaf[T]:
        after, before = self._cursor("after", asked.after), self._cursor("before", asked.before)
        backwards = before is not None and after is None
        newest_first = (asked.order == "desc") != backwards
        start, until = (before, None) if backwards else (after, before)
        walk = _Walk(self.catalogue, look, asked.limit, budget)
        for _ in range(_RESTARTS):
            if walk.run(start, until, newest_first=newest_first):
                break
        names, items = walk.names[: asked.limit], walk.items[: asked.limit]
        # Where it stopped is as good a cursor as an object that it found.
        near, far = (names[0], names[-1]) if names else (None, None)
        if walk.stopped is not None:
            if budget == INLINE:
                raise Unread
            near, far = near or walk.stopped, walk.stopped
        more = len(walk.names) > asked.limit or walk.stopped is not None
        if backwards:
            return Leaf(items[::-1], more, far, near)
        return Leaf(items, more, near, far)

    def _cursor(self, param: str, name: str | None) -> Key | None:
        if name is None:
            return None
        if not self.catalogue.knows(name) or not self._exists(name):
            raise InvalidRequest(f"{param}: there is no object {name[:200]!r} in this listing.", param=param)
        return self.catalogue.key(name)


class _Walk(Generic[T]):
    def __init__(self, catalogue: Names, look: Callable[[str], T | None], limit: int, budget: int) -> None:
        self.catalogue = catalogue
        self.look = look
        self.limit = limit
        self.left = budget
        self.until = time.monotonic() + SECONDS
        self.names: list[str] = []
        self.items: list[T] = []
        self.stopped: str | None = None

    def run(self, start: Key | None, until: Key | None, *, newest_first: bool) -> bool:
        """Fill the page; False where an object turned out to stand elsewhere, so that it must be filled anew."""
        self.names, self.items, self.stopped = [], [], None
        moved, last = False, None
        while len(self.names) <= self.limit:
            names = self.catalogue.names(start, until, self.limit + 1 - len(self.names), newest_first=newest_first)
            if not names:
                break
            for name in names:
                # One object is looked at in any case, so that whoever follows the cursor gets on.
                if last is not None and (self.left <= 0 or time.monotonic() > self.until):
                    self.stopped = last
                    return True
                self.left -= 1
                start = self.catalogue.key(name)
                item = self.look(name)
                moved = moved or self.catalogue.key(name) != start
                last = name
                if item is not None:
                    self.names.append(name)
                    self.items.append(item)
        return not moved
