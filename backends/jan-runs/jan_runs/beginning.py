"""When a run is no longer `queued`: once the engine has begun with it, not when somebody takes it up.

That is stored with the first thing that the model says, so that nobody waits for two writes. A model that reads for
longer than a moment before it says anything has it stored meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from jan_core import call
from jan_runs import events, states

if TYPE_CHECKING:
    from jan_core.schemas.runs import KeptRun, RunEvent
    from jan_runs.record import Record

MOMENT = 0.1
"""Seconds that the model may take for its first piece without the run being told `in_progress` before."""


def going(kept: KeptRun) -> list[RunEvent]:
    """The run is `in_progress`, where it was queued; `kept` is changed, and what tells of it is returned."""
    if kept.run.status != "queued":
        return []
    kept.run = states.gone(kept.run, "in_progress")
    return [events.of_run(kept.run)]


class Beginning:
    """That the engine begins with one answer of a run.

    Args:
        record: the run.
    """

    def __init__(self, record: Record) -> None:
        self._record = record
        self._timer: asyncio.TimerHandle | None = None
        self._storing: asyncio.Task[None] | None = None
        self._over = False

    @contextmanager
    def awaited(self) -> Iterator[None]:
        """A block that asks the engine; an engine that lets requests wait says when it begins."""
        context = call.current()
        if context is None:
            yield
            return
        context.on_begun = self.soon
        try:
            yield
        finally:
            context.on_begun = None

    def soon(self) -> None:
        """The engine has begun. It is stored and told in a moment, unless `settled` comes first."""
        if self._record.kept.run.status == "queued" and not self._over and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(MOMENT, self._store)

    async def settled(self) -> None:
        """Return when nothing is stored by this any more; what is stored next includes `going`.

        Raises:
            Interrupted, NotFound, NotStored: as `Record.change`, where that it begins was not stored.
        """
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
        storing, self._storing = self._storing, None
        if storing is not None:
            await storing

    def _store(self) -> None:
        if not self._over:
            self._storing = asyncio.create_task(self._record.change(going, flush=False))
