"""Which runs this process carries on, as all others see it.

A claim is a job that a worker of procrastinate does, and worth something as long as the worker gives signs of life. A
worker that was thought dead, because the network or the machine stood still, learns it from its next sign of life, or
from its next change: that changes nothing where the job is another one's.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jan_core.errors import JanError, Unavailable

if TYPE_CHECKING:
    from jan_postgresql import Postgresql
    from jan_postgresql.database import Connection

BEAT = 0.7
"""Seconds between two signs of life."""
FRESH = 1.5
"""Seconds for which one is good enough to claim something."""
IDLE = 30.0
"""Seconds without any claim after which there are no more of them."""
RESERVED = 5.0
"""Seconds that a run which was begun here waits for whoever carries it on."""
_TIDY_EVERY = 2000

log = logging.getLogger("jan")

Ids = tuple[str, str]
"""Thread and run."""


@dataclass(eq=False)
class _Held:
    """A run that is held here, and the task that does it."""

    task: asyncio.Task[Any]
    worker: int | None = None
    is_sure: bool = False
    is_lost: bool = False
    is_leaving: bool = False

    def lose(self) -> None:
        """Somebody else has it: break off."""
        if not self.is_lost:
            self.is_lost = True
            self.task.cancel()


class Claims:
    """The claims of one process, in one event loop.

    Args:
        database: where they are.
    """

    def __init__(self, database: Postgresql) -> None:
        self._database = database
        self.worker: int | None = None
        """Who this process is; None before its first run, and after its last one."""
        self._held: dict[Ids, _Held] = {}
        self._reserved: dict[Ids, tuple[int, asyncio.TimerHandle]] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._beating: asyncio.Task[None] | None = None
        self._one_beat = asyncio.Lock()
        self._beaten_at = float("-inf")

    async def close(self) -> None:
        """Let everything go."""
        for _, timer in self._reserved.values():
            timer.cancel()
        self._reserved.clear()
        beating, self._beating = self._beating, None
        if beating is not None:
            beating.cancel()
            with suppress(asyncio.CancelledError):
                await beating
        if self._leaving:
            await asyncio.wait(list(self._leaving))
        worker, self.worker = self.worker, None
        if worker is not None:
            self._beaten_at = float("-inf")
            from jan_runs_postgresql import jobs

            try:
                await self._database.do(lambda connection: jobs.leave(connection, worker))
            except JanError as error:
                log.info("the runs of this server are free in a moment only: %s", error.message)

    def worker_of(self, ids: Ids) -> int | None:
        """Who this process is, where it carries a run on, or did until it lost it; None where it does not."""
        held = self._held.get(ids)
        return held.worker if held is not None and held.is_sure and not held.is_leaving else None

    async def ready(self) -> int:
        """Return when this process is known to live, so that what it claims is its own.

        Returns:
            Who it is.

        Raises:
            Unavailable: the database is away.
        """
        if self._beating is None or self._beating.done():
            self._beating = asyncio.create_task(self._beat_on(), name="jan-runs-postgresql-beat")
        async with self._one_beat:  # of many that come first, one makes it a worker
            if self.worker is None or asyncio.get_running_loop().time() - self._beaten_at > FRESH:
                return await self._beat()
            return self.worker

    def reserve(self, ids: Ids, worker: int) -> None:
        """Note that a run was claimed when it was begun; nobody asks the database again when it is held next."""
        if ids not in self._held:
            timer = asyncio.get_running_loop().call_later(RESERVED, self.forget, ids)
            self._reserved[ids] = worker, timer

    def forget(self, ids: Ids) -> None:
        """Give back what was reserved; nothing where nothing was."""
        worker = self._unreserved(ids)
        if worker is not None:
            self._leave(ids, worker, None)

    @asynccontextmanager
    async def hold(self, ids: Ids) -> AsyncIterator[bool]:
        """See `RunStore.hold`.

        Raises:
            Unavailable: the database is away; or the block was broken off, because the claim was lost.
        """
        if ids in self._held:
            yield False
            return
        task = asyncio.current_task()
        assert task is not None
        worker = self._unreserved(ids)
        held = self._held[ids] = _Held(task, worker, is_sure=worker is not None)
        try:
            if not held.is_sure:
                held.worker = await self.ready()
                held.is_sure = await self._take(ids, held.worker)
            if not held.is_sure:
                del self._held[ids]
            yield held.is_sure
            if held.is_lost:  # what is under way is ended where it is
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            if held.is_lost and task.uncancel() == 0:
                raise Unavailable(f"Another server carries the run {ids[1]!r} on by now.") from None
            raise
        finally:
            if self._held.get(ids) is held:
                # Where it is unknown whether it was claimed, too.
                held.is_leaving = True
                await asyncio.shield(self._leave(ids, held.worker, held))

    async def _take(self, ids: Ids, worker: int) -> bool:
        from jan_runs_postgresql import jobs

        async def work(connection: Connection) -> bool:
            async with connection.transaction():
                return await jobs.take(connection, worker, ids)

        return await self._database.do(work)

    def _unreserved(self, ids: Ids) -> int | None:
        worker, timer = self._reserved.pop(ids, (None, None))
        if timer is not None:
            timer.cancel()
        return worker

    def _leave(self, ids: Ids, worker: int | None, held: _Held | None) -> asyncio.Task[None]:
        """Begin to remove a claim."""
        task = asyncio.create_task(self._remove(ids, worker, held))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)
        return task

    async def _remove(self, ids: Ids, worker: int | None, held: _Held | None) -> None:
        from jan_runs_postgresql import jobs

        async def work(connection: Connection) -> None:
            assert worker is not None
            async with connection.transaction():
                await jobs.let_go(connection, worker, ids)

        try:
            if worker is not None and (held is None or not held.is_lost):
                await self._database.do(work)
        except JanError as error:
            log.info("the run %s is free when this server claims it again, or ends: %s", ids[1], error.message)
        finally:
            if held is not None and self._held.get(ids) is held:
                del self._held[ids]

    async def _beat_on(self) -> None:
        idle_since: float | None = None
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(BEAT)
            if self._held or self._reserved:
                idle_since = None
            elif idle_since is None:
                idle_since = loop.time()
            elif loop.time() - idle_since > IDLE:
                return
            try:
                async with self._one_beat:
                    await self._beat()
                if random.randrange(_TIDY_EVERY) == 0:
                    from jan_runs_postgresql import jobs

                    await self._database.do(jobs.tidy)
            except JanError as error:
                log.debug("no sign of life: %s", error.message)

    async def _beat(self) -> int:
        from jan_runs_postgresql import jobs  # with procrastinate, where there is a run

        known = {ids: held for ids, held in self._held.items() if held.is_sure}
        began, before = asyncio.get_running_loop().time(), self.worker

        async def work(connection: Connection) -> tuple[int, set[Ids]]:
            if before is None:
                return await jobs.register(connection), set()
            return await jobs.beat(connection, before)

        worker, mine = await self._database.do(work)
        self.worker, self._beaten_at = worker, began
        for ids, held in known.items():
            lost = ids not in mine or held.worker != worker
            if lost and self._held.get(ids) is held and not held.is_leaving:
                log.warning("the run %s was taken over by another server", ids[1])
                held.lose()
        return worker
