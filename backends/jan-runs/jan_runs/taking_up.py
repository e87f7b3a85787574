"""Runs whose process died, taken up by one that lives: when it begins to serve, and from time to time.

`RunStore.left` names every run that has not ended, and `RunStore.hold` tells whether somebody carries it on. One that
was found alone twice, a moment apart, is started here; what becomes of it then is the loop's to decide. All of them
are started at once: one that only has to be ended waits for no other, and those that ask the engine wait there.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self

from jan_core.errors import JanError, NotFound
from jan_runs import states

if TYPE_CHECKING:
    from collections.abc import Callable

    from jan_core.app import Jan
    from jan_runs.loop import RunLoop
    from jan_runs.store import RunStore

PATIENCE = 0.5
"""Seconds after which a run that is found alone again is taken up: who begins one has it in hand well before."""
PAUSE = 5.0
"""Seconds between two looks, where the store does not say otherwise."""
UNASKED = 2.0
"""Seconds after which an app looks that nobody serves: a command has ended by then."""

log = logging.getLogger("jan")


class TakingUp:
    """The background task of one app. An async context manager: leaving it ends the task.

    Args:
        jan: the running app.
        store: where runs are kept.
        loop: gives what carries them on; asked where there are some.
    """

    def __init__(self, jan: Jan, store: RunStore, loop: Callable[[], RunLoop]) -> None:
        self._jan = jan
        self._store = store
        self._loop = loop
        self._serving = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._taken: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._told: dict[tuple[str, str], str] = {}

    async def __aenter__(self) -> Self:
        # An app may be entered again, in another event loop.
        self._serving = asyncio.Event()
        if not self._jan.at_rest:
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
            await asyncio.sleep(PATIENCE if fresh else self._store.left_seconds or PAUSE)

    async def _alone(self) -> set[tuple[str, str]]:
        """The runs that should go on, and that nobody carries."""
        found: set[tuple[str, str]] = set()
        try:
            left = await self._store.left()
        except Exception as error:
            self._tell("looking for runs that have not ended", error)
            return found
        there = {"", *(run_id for _, run_id in left)}
        self._told = {what: why for what, why in self._told.items() if what[1] in there}
        for ids in left:
            if ids in self._taken or self._loop().carries(ids[1]):
                continue
            try:
                kept = await self._store.read(*ids)
                await asyncio.sleep(0)  # a read may wait for nothing, and hundreds would hold up everybody
                if kept is None or kept.run.ended:
                    continue
                if kept.run.status == "requires_action" and not states.overdue(kept.run):
                    continue
                async with self._store.hold(*ids) as mine:
                    if mine:
                        found.add(ids)
            except Exception as error:
                self._tell("looking at the run", error, ids[1])
        return found

    async def _take(self, thread_id: str, run_id: str) -> None:
        try:
            await self._jan.threads.check(thread_id)
            async with self._store.hold(thread_id, run_id) as mine:
                kept = await self._store.read(thread_id, run_id)
                if not mine or kept is None or kept.run.ended or self._loop().carries(run_id):
                    return
                if kept.run.status == "queued":
                    from jan_runs import additional

                    await additional.add(self._jan, self._store, kept)
        except NotFound:  # its thread was deleted, and so will it be
            return
        except Exception as error:
            self._tell("taking up the run", error, run_id)
            return
        log.info("taking up the run %s, which was left %s", run_id, kept.run.status)
        self._loop().start(thread_id, run_id)

    def _tell(self, what: str, error: Exception, run_id: str = "") -> None:
        """Log what failed; the same again and again, as a damaged file does, is told once."""
        known = isinstance(error, JanError | OSError)
        told = error.message if isinstance(error, JanError) else f"{type(error).__name__}: {error}"
        if self._told.get((what, run_id)) != told:
            self._told[what, run_id] = told
            log.warning("%s failed: %s", f"{what} {run_id}".rstrip(), told, exc_info=None if known else error)
