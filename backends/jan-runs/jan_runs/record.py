"""A run as it is stored, in the hands of the one who holds it: what changes is stored first, and then told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from jan_core.errors import JanError, NotFound
from jan_runs import storing
from jan_runs.interrupt import Interrupt, Interrupted

if TYPE_CHECKING:
    from jan_core.app import Jan
    from jan_core.schemas.messages import Message
    from jan_core.schemas.runs import KeptRun, RunEvent
    from jan_runs.feed import Feed
    from jan_runs.store import RunStore

SOON = 0.02
"""Seconds after which a change that waits for another one is stored by itself."""

log = logging.getLogger("jan")


class NotStored(Exception):
    """A change of the run could not be stored; nothing was told of it.

    Args:
        why: what the store said.
    """

    def __init__(self, why: JanError | OSError) -> None:
        super().__init__(str(why))
        self.why = why

    @property
    def refused(self) -> bool:
        """True: it was refused for what it is, and would be again; a disk that is full will have room again."""
        return isinstance(self.why, JanError) and self.why.status < 500


class EndedElsewhere(Exception):
    """The run is stored as one that has ended, by nobody who held it: somebody wrote into its file."""


class _Soon(NamedTuple):
    """A change that is stored with the next one."""

    edit: Callable[[KeptRun], Sequence[RunEvent]]
    first: Sequence[RunEvent]


def _nothing(kept: KeptRun) -> Sequence[RunEvent]:
    return ()


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
        lasting: whether that survives a power cut, but for the newest text of its answer.
    """

    def __init__(self, jan: Jan, store: RunStore, kept: KeptRun, feed: Feed, interrupt: Interrupt) -> None:
        self._jan, self._store, self._feed, self._interrupt = jan, store, feed, interrupt
        self._ids = (kept.run.thread_id, kept.run.id)
        self._keeping: asyncio.Task[None] | None = None
        self._changing: asyncio.Task[None] | None = None
        self._soon: _Soon | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.kept = kept
        self.lasting = True

    @property
    def is_followed(self) -> bool:
        """Whether somebody in another process follows the run."""
        return self._store.is_followed(*self._ids)

    async def change(
        self,
        edit: Callable[[KeptRun], Sequence[RunEvent]],
        *,
        first: Sequence[RunEvent] = (),
        last: bool = False,
        flush: bool = True,
    ) -> None:
        """Store a change, then tell it; together with what `change_soon` was given, which comes first.

        Args:
            edit: makes the change.
            first: events to tell before its own.
            last: the run ends with it, so that it is made also where somebody has cancelled meanwhile.
            flush: see `RunStore.changing`.

        Raises:
            EndedElsewhere: it has ended; nothing was changed.
            Interrupted: somebody has cancelled the run; nothing was changed.
            NotFound: the run is gone.
            NotStored: the store failed.
        """
        await self.settled()
        flush = flush or self._soon is not None
        before: list[RunEvent] = []
        try:
            async with self._store.changing(*self._ids, flush=flush) as kept:
                if kept.run.ended:
                    self.kept = kept
                    raise EndedElsewhere
                if kept.run.status == "cancelling":
                    self._feed.cancelling(kept.run)
                    if not last:
                        self._interrupt.asked = True
                        raise Interrupted
                if (soon := self._taken()) is not None:
                    before = [*soon.first, *soon.edit(kept)]
                told = edit(kept)
        except NotFound:
            raise
        except (JanError, OSError) as error:
            raise NotStored(error) from error
        self.kept, self.lasting = kept, flush
        self._feed.publish(*before, *first, *told)

    def change_soon(self, edit: Callable[[KeptRun], Sequence[RunEvent]], *, first: Sequence[RunEvent] = ()) -> None:
        """Have a change stored with the next one, or by itself where none comes within `SOON` seconds.

        `going_on` is to be awaited before anything that follows from it is made.

        Args:
            edit: as for `change`.
            first: as for `change`.
        """
        assert self._changing is None
        assert self._soon is None
        self._soon = _Soon(edit, first)
        self._timer = asyncio.get_running_loop().call_later(SOON, self._store_alone)

    async def going_on(self) -> None:
        """What follows from `change_soon` is about to be made: it is stored and told by now, or with the next change.

        Raises:
            EndedElsewhere, Interrupted, NotFound, NotStored: as `change`, where it was stored by itself.
        """
        self._stop_timer()
        changing = self._changing
        if changing is not None:
            await asyncio.wait([changing])  # who is cancelled meanwhile does not cancel it
            self._changing = None
            await changing

    async def rest(self) -> None:
        """Store what `change_soon` was given, where it is not stored yet: nothing follows here any more.

        Raises:
            EndedElsewhere, Interrupted, NotFound, NotStored: as `change`.
        """
        await self.settled()
        if self._soon is not None:
            await self.change(_nothing)

    def _store_alone(self) -> None:
        self._timer = None
        self._changing = asyncio.create_task(self.change(_nothing))

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _taken(self) -> _Soon | None:
        """What `change_soon` was given, for the one change that makes it."""
        self._stop_timer()
        soon, self._soon = self._soon, None
        return soon

    async def put(self, message: Message) -> Message:
        """Store a message in the thread, which must still be there.

        Raises:
            NotFound: it is not, or was deleted meanwhile.
            JanError: it could not be stored.
        """
        await storing.put(self._jan, message.thread_id, [message])
        return message

    async def keep(self, so_far: Callable[[KeptRun], None], *, flush: bool = False) -> None:
        """Store how far an answer has come.

        Args:
            so_far: notes it with the kept run.
            flush: see `RunStore.changing`.

        Raises:
            JanError, OSError: it could not be.
        """
        async with self._store.changing(*self._ids, flush=flush) as kept:
            if not kept.run.ended and kept.run.status != "cancelling":
                so_far(kept)
        self.lasting = self.lasting or flush

    def keep_soon(self, so_far: Callable[[KeptRun], None]) -> None:
        """Begin to store how far an answer has come, unless the last time goes on still.

        That its beginning survives a power cut is seen to as well. Whether it succeeds matters to nobody who listens.
        """
        if self._keeping is None or self._keeping.done():
            self._keeping = asyncio.create_task(self._keep_quietly(so_far))

    async def settled(self) -> None:
        """Return when nothing is being stored that `keep_soon` or `change_soon` began.

        A change that failed was not made, and is not told: what is stored goes for whatever comes next.
        """
        changing = self._changing
        if changing is not None and changing is not asyncio.current_task():
            await asyncio.wait([changing])
            self._changing = None
            if not changing.cancelled():
                changing.exception()
        keeping, self._keeping = self._keeping, None
        if keeping is not None:
            await keeping

    async def _keep_quietly(self, so_far: Callable[[KeptRun], None]) -> None:
        try:
            await self.keep(so_far, flush=not self.lasting)
        except (JanError, OSError) as error:
            log.warning("the text of the run %s so far was not stored: %s", self._ids[1], error)
