"""A run as it is stored, in the hands of the one who holds it: what changes is stored first, and then told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from jan_core.errors import JanError, NotFound
from jan_runs.interrupt import Interrupt, Interrupted
from jan_runs.notes import Notes

if TYPE_CHECKING:
    from jan_core.app import Jan
    from jan_core.schemas.messages import Message
    from jan_core.schemas.runs import KeptRun, RunEvent
    from jan_runs.feed import Feed
    from jan_runs.saying import Saying
    from jan_runs.store import RunStore

log = logging.getLogger("jan")


class NotStored(Exception):
    """A change of the run could not be stored; nothing was told of it.

    Args:
        why: what the store said.
    """

    def __init__(self, why: JanError | OSError) -> None:
        super().__init__(str(why))
        self.why = why


class Record:
    """A stored run, and whoever listens to it.

    Args:
        jan: gives the thread and its messages.
        store: where the run is kept.
        kept: the run as it is stored.
        feed: where its events go.
        interrupt: the wish that it be cancelled, as far as its task knows.

    Attributes:
        kept: the run as it was stored last.
    """

    def __init__(self, jan: Jan, store: RunStore, kept: KeptRun, feed: Feed, interrupt: Interrupt) -> None:
        self._jan, self._store, self._feed, self._interrupt = jan, store, feed, interrupt
        self._ids = (kept.run.thread_id, kept.run.id)
        self._keeping: asyncio.Task[None] | None = None
        self.kept = kept

    async def change(
        self,
        edit: Callable[[KeptRun], Sequence[RunEvent]],
        *,
        first: Sequence[RunEvent] = (),
        last: bool = False,
        flush: bool = True,
    ) -> None:
        """Store a change, then tell it.

        Args:
            edit: makes the change.
            first: events to tell before its own.
            last: the run ends with it, so that it is made also where somebody has cancelled meanwhile.
            flush: see `RunStore.changing`.

        Raises:
            Interrupted: somebody has cancelled the run; nothing was changed.
            NotFound: the run is gone.
            NotStored: the store failed.
        """
        await self.settled()
        try:
            async with self._store.changing(*self._ids, flush=flush) as kept:
                if kept.run.status == "cancelling" and not last:
                    self._interrupt.asked = True
                    raise Interrupted
                told = edit(kept)
        except NotFound:
            raise
        except (JanError, OSError) as error:
            raise NotStored(error) from error
        self.kept = kept
        self._feed.publish(*first, *told)

    async def put(self, message: Message) -> Message:
        """Store a message in the thread, which must still be there.

        Raises:
            NotFound: it is not.
            JanError: it could not be stored.
        """
        await self._jan.threads.check(message.thread_id)
        await self._jan.messages.put(message)
        return message

    async def keep(self, saying: Saying, *, flush: bool = False) -> None:
        """Store what is said so far.

        Raises:
            JanError, OSError: it could not be.
        """
        async with self._store.changing(*self._ids, flush=flush) as kept:
            if not kept.run.ended and kept.run.status != "cancelling":
                notes = Notes.of(kept)
                notes.saying = saying.message()
                notes.to(kept)

    def keep_soon(self, saying: Saying, *, flush: bool) -> bool:
        """Begin to store what is said so far; whether that succeeds matters to nobody who listens.

        Returns:
            False where the last time goes on still, so that nothing was begun.
        """
        if self._keeping is not None and not self._keeping.done():
            return False
        self._keeping = asyncio.create_task(self._keep_quietly(saying, flush))
        return True

    async def settled(self) -> None:
        """Return when nothing is being stored that `keep_soon` began."""
        keeping, self._keeping = self._keeping, None
        if keeping is not None:
            await keeping

    async def _keep_quietly(self, saying: Saying, flush: bool) -> None:
        try:
            await self.keep(saying, flush=flush)
        except (JanError, OSError) as error:
            log.warning("the text of the run %s so far was not stored: %s", self._ids[1], error)
