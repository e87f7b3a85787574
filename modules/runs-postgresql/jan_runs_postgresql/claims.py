"""Which runs this process carries on, as all others see it.

A claim is a row, and worth something as long as its holder gives signs of life. A holder that was thought dead, because
the network or the machine stood still, learns it from its next sign of life, or from its next change: that changes
nothing where the claim is lost.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jan_core.errors import JanError, Unavailable
from jan_runs_postgresql import statements

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
        self.holder = secrets.token_hex(16)
        """Who this process is."""
        self._held: dict[Ids, _Held] = {}
        self._reserved: dict[Ids, asyncio.TimerHandle] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._beating: asyncio.Task[None] | None = None
        self._beaten_at = float("-inf")

    async def close(self) -> None:
        """Let everything go."""
        for timer in self._reserved.values():
            timer.cancel()
        self._reserved.clear()
        beating, self._beating = self._beating, None
        if beating is not None:
            beating.cancel()
            with suppress(asyncio.CancelledError):
                await beating
        if self._leaving:
            await asyncio.wait(list(self._leaving))
        if self._beaten_at != float("-inf"):
            self._beaten_at = float("-inf")
            try:
                await self._do(statements.LET_ALL_GO, self.holder)
                await self._do(statements.LEAVE, self.holder)
            except JanError as error:
                log.info("the runs of this server are free in a moment only: %s", error.message)

    def holder_of(self, ids: Ids) -> str | None:
        """Who this process is, where it carries a run on, or did until it lost it; None where it does not."""
        held = self._held.get(ids)
        return self.holder if held is not None and held.is_sure and not held.is_leaving else None

    async def ready(self) -> None:
        """Return when this process is known to live, so that what it claims is its own.

        Raises:
            Unavailable: the database is away.
        """
        if self._beating is None or self._beating.done():
            self._beating = asyncio.create_task(self._beat_on(), name="jan-runs-postgresql-beat")
        if asyncio.get_running_loop().time() - self._beaten_at > FRESH:
            await self._beat()

    def reserve(self, ids: Ids) -> None:
        """Note that a run was claimed when it was begun; nobody asks the database again when it is held next."""
        if ids not in self._held:
            self._reserved[ids] = asyncio.get_running_loop().call_later(RESERVED, self.forget, ids)

    def forget(self, ids: Ids) -> None:
        """Give back what was reserved; nothing where nothing was."""
        if self._unreserved(ids):
            self._leave(ids, None)

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
        held = self._held[ids] = _Held(task, is_sure=self._unreserved(ids))
        try:
            if not held.is_sure:
                await self.ready()
                held.is_sure = await self._do(statements.CLAIM, *ids, self.holder) == 1
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
                await asyncio.shield(self._leave(ids, held))

    def _unreserved(self, ids: Ids) -> bool:
        timer = self._reserved.pop(ids, None)
        if timer is not None:
            timer.cancel()
        return timer is not None

    def _leave(self, ids: Ids, held: _Held | None) -> asyncio.Task[None]:
        """Begin to remove a claim."""
        task = asyncio.create_task(self._remove(ids, held))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)
        return task

    async def _remove(self, ids: Ids, held: _Held | None) -> None:
        try:
            if held is None or not held.is_lost:
                await self._do(statements.LET_GO, *ids, self.holder)
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
                await self._beat()
                if random.randrange(_TIDY_EVERY) == 0:
                    await self._do(statements.FORGET_HOLDERS)
                    await self._do(statements.FORGET_CLAIMS)
            except JanError as error:
                log.debug("no sign of life: %s", error.message)

    async def _beat(self) -> None:
        known = {ids: held for ids, held in self._held.items() if held.is_sure}
        began = asyncio.get_running_loop().time()

        async def work(connection: Connection) -> set[Ids]:
            cursor = await connection.execute(statements.BEAT, [self.holder, self.holder])
            return {(row[0], row[1]) for row in await cursor.fetchall()}

        mine = await self._database.do(work)
        self._beaten_at = began
        for ids, held in known.items():
            if ids not in mine and self._held.get(ids) is held and not held.is_leaving:
                log.warning("the run %s was taken over by another server", ids[1])
                held.lose()

    async def _do(self, statement: str, *values: object) -> int:
        async def work(connection: Connection) -> int:
            return (await connection.execute(statement, values)).rowcount

        return await self._database.do(work)
