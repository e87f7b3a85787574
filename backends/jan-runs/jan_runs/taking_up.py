"""Runs whose process died, taken up by one that lives: when it begins to serve, and from time to time.

`RunStore.left` names every run that has not ended, and `RunStore.hold` tells whether somebody carries it on. One that
was found alone twice, a moment apart, is started here; what becomes of it then is the loop's to decide. Nothing waits
for this, and only a few runs at a time go on because of it.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self

from jan_core.errors import JanError, NotFound
from jan_runs import additional, states

if TYPE_CHECKING:
    from jan_core.app import Jan
    from jan_runs.loop import RunLoop
    from jan_runs.store import RunStore

PATIENCE = 0.5
"""Seconds after which a run that is found alone again is taken up: who begins one has it in hand well before."""
PAUSE = 5.0
"""Seconds between two looks."""
UNASKED = 2.0
"""Seconds after which an app looks that nobody serves: a command has ended by then."""
AT_ONCE = 4
"""Runs that go on at a time because of this, at most."""

log = logging.getLogger("jan")


class TakingUp:
    """The background task of one app. An async context manager: leaving it ends the task.

    Args:
        jan: the running app.
        store: where runs are kept.
        loop: carries them on.
    """

    def __init__(self, jan: Jan, store: RunStore, loop: RunLoop) -> None:
        self._jan = jan
        self._store = store
        self._loop = loop
        self._serving = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._room = asyncio.Semaphore(AT_ONCE)
        self._taken: dict[tuple[str, str], asyncio.Task[None]] = {}

    async def __aenter__(self) -> Self:
        # An app may be entered again, in another event loop.
        self._serving, self._room = asyncio.Event(), asyncio.Semaphore(AT_ONCE)
        self._task = asyncio.create_task(self._run(), name="jan-runs-taking-up")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        tasks = [task for task in (self._task, *self._taken.values()) if task is not None]
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
        self._task = None
        self._taken.clear()

    def begin(self) -> None:
        """Look at once: a server begins to serve."""
        self._serving.set()

    async def _run(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._serving.wait(), UNASKED)
        alone: set[tuple[str, str]] = set()
        while True:
            found = await self._alone()
            for ids in found & alone:
                if ids not in self._taken:
                    task = self._taken[ids] = asyncio.create_task(self._take(*ids))
                    task.add_done_callback(lambda _, ids=ids: self._taken.pop(ids, None))  # type: ignore[misc]
            fresh = found - alone
            alone = found
            await asyncio.sleep(PATIENCE if fresh else PAUSE)

    async def _alone(self) -> set[tuple[str, str]]:
        """The runs that should go on, and that nobody carries."""
        found: set[tuple[str, str]] = set()
        try:
            left = await self._store.left()
        except Exception as error:
            self._tell("looking for runs that have not ended", error)
            return found
        for ids in left:
            if ids in self._taken or self._loop.carries(ids[1]):
                continue
            try:
                kept = await self._store.read(*ids)
                if kept is None or kept.run.ended:
                    continue
                if kept.run.status == "requires_action" and not states.overdue(kept.run):
                    continue
                async with self._store.hold(*ids) as mine:
                    if mine:
                        found.add(ids)
            except Exception as error:
                self._tell(f"looking at the run {ids[1]}", error)
        return found

    async def _take(self, thread_id: str, run_id: str) -> None:
        async with self._room:
            try:
                kept = await self._store.read(thread_id, run_id)
                if kept is None or kept.run.ended or self._loop.carries(run_id):
                    return
                await self._jan.threads.check(thread_id)
                if kept.run.status == "queued":
                    await additional.add(self._jan, self._store, kept)
            except NotFound:  # its thread was deleted, and so will it be
                return
            except Exception as error:
                self._tell(f"taking up the run {run_id}", error)
                return
            log.info("taking up the run %s, which was left %s", run_id, kept.run.status)
            await self._loop.start(thread_id, run_id).over()

    def _tell(self, what: str, error: Exception) -> None:
        known = isinstance(error, JanError | OSError)
        told = error.message if isinstance(error, JanError) else f"{type(error).__name__}: {error}"
        log.warning("%s failed: %s", what, told, exc_info=None if known else error)
