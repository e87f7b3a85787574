"""Hearing that a run is to be cancelled, whichever server was told so: one question for all runs that go on here."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from jan_core.errors import JanError
from jan_runs_postgresql import statements

if TYPE_CHECKING:
    from jan_postgresql import Postgresql
    from jan_postgresql.database import Connection

LOOK, LOOK_HEARING = 0.1, 1.0
"""Seconds between two questions; the second where wishes are heard."""

log = logging.getLogger("jan")

Ids = tuple[str, str]
"""Thread and run."""


class Wishes:
    """The wishes that runs of one process wait for, in one event loop.

    Args:
        database: where the runs are.
    """

    def __init__(self, database: Postgresql) -> None:
        self._database = database
        self._waiting: dict[Ids, asyncio.Event] = {}
        self._looking: asyncio.Task[None] | None = None
        self._again = asyncio.Event()

    async def close(self) -> None:
        """Ask no more."""
        looking, self._looking = self._looking, None
        if looking is not None:
            looking.cancel()
            with suppress(asyncio.CancelledError):
                await looking

    def tell(self, ids: Ids) -> None:
        """A run is to be cancelled, or is gone: this process stored it."""
        if (event := self._waiting.get(ids)) is not None:
            event.set()

    def look(self) -> None:
        """Ask now: wishes may have been said that nobody heard."""
        self._again.set()

    def tell_thread(self, thread_id: str) -> None:
        """All runs of a thread are gone."""
        for (thread, _), event in self._waiting.items():
            if thread == thread_id:
                event.set()

    async def of(self, ids: Ids) -> None:
        """See `RunStore.wished`."""
        event = self._waiting.setdefault(ids, asyncio.Event())
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(), name="jan-runs-postgresql-wishes")
        try:
            await event.wait()
        finally:
            if self._waiting.get(ids) is event:
                del self._waiting[ids]

    async def _look(self) -> None:
        while self._waiting:
            asked = [*self._waiting]

            async def ask(connection: Connection, asked: list[Ids] = asked) -> list[Ids]:
                values = [[thread for thread, _ in asked], [run for _, run in asked]]
                cursor = await connection.execute(statements.WISHED, values)
                return [(row[0], row[1]) for row in await cursor.fetchall()]

            try:
                for ids in await self._database.do(ask):
                    self.tell(ids)
            except JanError as error:
                log.debug("nobody elsewhere can cancel runs for now: %s", error.message)
            self._again.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_HEARING if self._database.listening.hears else LOOK):
                    await self._again.wait()
