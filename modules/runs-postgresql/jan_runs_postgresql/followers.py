"""Runs that are followed on other servers: who carries one on stores more often what it says, and tells when it did.

Nothing is said of a run that nobody follows. Whoever follows says so again and again, so that it ends by itself where
a server dies.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from jan_postgresql.listening import SAY

from jan_core.errors import JanError

if TYPE_CHECKING:
    from jan_postgresql import Postgresql
    from jan_postgresql.database import Connection

FOLLOW = "run.follow"
"""What is said of a run that is followed, in front of its thread's id and its own."""
SAY_SECONDS = 2.0
"""How often who follows a run says so."""
LASTS_SECONDS = 5.0
"""How long that goes for."""
LOOK, LOOK_HEARING = 0.2, 0.5
"""Seconds after which who follows looks again at the latest; the second where changes are heard."""

log = logging.getLogger("jan")

Ids = tuple[str, str]
"""Thread and run."""


class Followers:
    """Those of other servers who follow runs that go on here, and those here who follow runs of others.

    Args:
        database: where the runs are.
    """

    def __init__(self, database: Postgresql) -> None:
        self._database = database
        self._until: dict[Ids, float] = {}
        self._news: dict[Ids, list[asyncio.Event]] = {}

    def followed(self, ids: Ids) -> None:
        """Somebody follows a run: it goes for a while."""
        now = asyncio.get_running_loop().time()
        self._until = {one: until for one, until in self._until.items() if until > now}
        self._until[ids] = now + LASTS_SECONDS

    def are_there(self, ids: Ids) -> bool:
        """Whether somebody on another server follows a run."""
        until = self._until.get(ids)
        return until is not None and asyncio.get_running_loop().time() < until

    def tell(self, ids: Ids | None) -> None:
        """A run has changed; or any may have, for None."""
        for events in self._news.values() if ids is None else [self._news.get(ids, [])]:
            for event in events:
                event.set()

    @asynccontextmanager
    async def following(self, ids: Ids) -> AsyncIterator[Callable[[], Awaitable[None]]]:
        """See `RunStore.following`."""
        event = asyncio.Event()
        self._news.setdefault(ids, []).append(event)
        saying = asyncio.create_task(self._say(ids), name="jan-runs-postgresql-following")

        async def more() -> None:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_HEARING if self._database.listening.hears else LOOK):
                    await event.wait()
            event.clear()

        try:
            yield more
        finally:
            saying.cancel()
            self._news[ids].remove(event)
            if not self._news[ids]:
                del self._news[ids]

    async def _say(self, ids: Ids) -> None:
        async def say(connection: Connection) -> None:
            await connection.execute(f"SELECT {SAY}", [f"{FOLLOW} {'/'.join(ids)}"])

        while True:
            try:
                await self._database.do(say)
            except JanError as error:
                log.debug("nobody is told that the run %s is followed: %s", ids[1], error.message)
            await asyncio.sleep(SAY_SECONDS)
