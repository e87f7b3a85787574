"""Hearing what other processes on the database say: LISTEN and NOTIFY, on one connection outside of any PgBouncer.

What is said may be lost: while a connection is made anew, nobody hears. So whoever listens also looks for itself now
and then, and at once when `heard` is called without a word.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import psycopg

from jan_postgresql.faults import told

if TYPE_CHECKING:
    from jan_postgresql.database import Connection

CHANNEL = "jan"
"""What is listened to; every database has its own."""
SAY = f"pg_notify('{CHANNEL}', %s)"
"""Says something, as an expression of a statement: `[what]`. It is heard when the transaction is committed."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""Seconds before a connection is made anew, the first time and at most."""

log = logging.getLogger("jan")

Heard = Callable[[str | None], None]


class Listening:
    """The connection of one process that listens, in one event loop. It is made when somebody listens first.

    Args:
        connect: makes a connection outside of any PgBouncer.
        may: tells whether there is one outside; None as long as nobody knows.

    Attributes:
        hears: whether all that is said now is heard. Where not, whoever waits for something looks for itself.
    """

    def __init__(self, connect: Callable[[], Awaitable[Connection]], may: Callable[[], bool | None]) -> None:
        self._connect, self._may = connect, may
        self._heard: list[Heard] = []
        self._task: asyncio.Task[None] | None = None
        self.hears = False

    def on(self, heard: Heard) -> None:
        """Have something called with all that is said from now on, also by this process.

        Args:
            heard: given what was said; or None, when something may have been said that nobody heard. It must be quick.
        """
        self._heard.append(heard)
        if self._task is None:
            self._task = asyncio.create_task(self._listen(), name="jan-postgresql-listening")

    def off(self, heard: Heard) -> None:
        """Call it no more; nothing where it is not called."""
        with suppress(ValueError):
            self._heard.remove(heard)

    async def close(self) -> None:
        """Listen no more."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _listen(self) -> None:
        pause = FIRST_PAUSE
        try:
            while self._may() is not False:
                if self._may() is None:  # nothing was asked of the database yet
                    await asyncio.sleep(FIRST_PAUSE)
                    continue
                try:
                    async with await self._connect() as connection:
                        await connection.execute(f"LISTEN {CHANNEL}")
                        self.hears, pause = True, FIRST_PAUSE
                        self._tell(None)
                        async for one in connection.notifies():
                            self._tell(one.payload)
                except (psycopg.Error, OSError) as error:
                    log.debug("nothing is heard from other servers for now: %s", told(error))
                self.hears = False
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
        finally:
            self.hears = False

    def _tell(self, said: str | None) -> None:
        for heard in [*self._heard]:
            heard(said)
