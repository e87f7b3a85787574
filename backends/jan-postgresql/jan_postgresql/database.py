"""One database: work is done on a connection of the pool, within a time, and once more where a connection was lost."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import TupleRow, tuple_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from jan_core.errors import JanError, Unavailable
from jan_postgresql.faults import AGAIN, AWAY, answer_to, is_lost, told
from jan_postgresql.settings import PostgresqlSettings

log = logging.getLogger("jan")

T = TypeVar("T")
Connection = AsyncConnection[TupleRow]
Work = Callable[[Connection], Awaitable[T]]

OLDEST = 140000
"""The oldest server that will do, as PostgreSQL numbers them: 14."""
SLICE = 1.0
"""Seconds after which a request that waits for a connection asks the pool again, which then tries to connect anew."""
PROBE = 0.25
"""Seconds between two requests that try a database that is away; the others are answered 503 at once."""
PATIENCE = 2.0
"""Seconds that the pool goes on trying to connect by itself."""
TRIES = 3
"""How often work is begun, at most, where its connection was lost or another transaction was in the way."""
LAST_SECONDS = 5.0
"""Seconds that closing leaves to the work at hand."""

# What a dead network is noticed by; a connection string that says otherwise is followed.
KEEPALIVE = {"keepalives_idle": "30", "keepalives_interval": "10", "keepalives_count": "3"}


class Unfit(Exception):
    """The database can be reached and cannot be used: a person has to do something, which the text says.

    Args:
        cause: what is wrong with it, a sentence without its end.
        remedy: what to do.
    """

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(f"{cause}. {remedy}")
        self.cause = cause
        self.remedy = remedy


@dataclass(eq=False)
class _Going:
    """Work that is being done: its connection, and whether its time is over."""

    connection: Connection | None = None
    is_late: bool = False

    def cut(self) -> None:
        """End the work where it is: its connection is taken down, and never used again.

        Cancelling the task would not do: the driver would ask the server, which does not answer, to stop.
        """
        self.is_late = True
        if self.connection is not None and not self.connection.closed:
            with suppress(OSError), socket.socket(fileno=os.dup(self.connection.fileno())) as twin:
                twin.shutdown(socket.SHUT_RDWR)


class Database:
    """An async context manager: entering it opens the pool, without waiting for the server; leaving it closes it.

    Args:
        settings: how many connections, and how long all may take.
        dsn: gives the connection string, each time that a connection is made.
        prepare: called before the first work, and again until it has succeeded; it raises `Unfit`, or what the driver
            raises.

    Attributes:
        is_pooled: whether a PgBouncer stands in between, as far as is known; None before the first connection.
    """

    def __init__(
        self,
        settings: PostgresqlSettings,
        dsn: Callable[[], Awaitable[str]],
        prepare: Callable[[], Coroutine[Any, Any, None]],
    ) -> None:
        self._settings = settings
        self._dsn = dsn
        self._prepare = prepare
        self._preparing: asyncio.Task[None] | None = None
        self.is_pooled: bool | None = True if settings.direct_dsn else None
        self._tasks: dict[asyncio.Task[Any], _Going] = {}
        self._looking: asyncio.Task[None] | None = None
        self._is_away = False
        self._probe_at = 0.0
        self._answered_at = 0.0
        self._pool: AsyncConnectionPool[Connection] | None = None

    async def __aenter__(self) -> Self:
        self._preparing = None
        self._pool = AsyncConnectionPool(
            self._dsn,
            kwargs={
                "autocommit": True,
                "row_factory": tuple_row,
                "connect_timeout": self._settings.connect_seconds,
                "application_name": "jan",
                **KEEPALIVE,
            },
            min_size=self._settings.min_connections,
            max_size=self._settings.max_connections,
            open=False,
            name="jan-postgresql",
            configure=self._configure,
            reconnect_timeout=PATIENCE,
        )
        # It tells of each attempt of each connection; what matters is told once, below.
        logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
        await self._pool.open(wait=False)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for seconds in (LAST_SECONDS, 1.0):
            if self._tasks:
                await asyncio.wait([*self._tasks], timeout=seconds)
            for going in self._tasks.values():
                going.cut()
        for task in (self._looking, self._preparing):
            if task is not None:
                task.cancel()
                await asyncio.wait({task})
        if self._pool is not None:
            await self._pool.close()

    async def do(self, work: Work[T]) -> T:
        """Do work on a connection, and return what it returns.

        The connection commits each statement by itself; work of several opens `connection.transaction()`. The work
        goes on when its caller is cancelled: it has happened as a whole or not at all, and no connection is left in
        the middle.

        Args:
            work: gets the connection, and does nothing else that takes time. It is called up to `TRIES` times, and
                what it did before may or may not have happened: where that makes a difference, it counts its calls.

        Raises:
            Unavailable: the database is away, or did not answer in time. Whether the work was done is then unknown.
            JanError: as the work raised it, or as the database answered.
        """
        self._probe()
        going = _Going()
        task = asyncio.create_task(self._tries(work, going))
        self._tasks[task] = going
        task.add_done_callback(self._tasks.pop)
        timer = asyncio.get_running_loop().call_later(self._settings.answer_seconds, going.cut)
        task.add_done_callback(lambda _: timer.cancel())
        await asyncio.wait({task})
        try:
            done = task.result()
            self._tell(None)
            return done
        except JanError:
            self._tell(None)
            raise
        except (psycopg.Error, Unfit) as error:
            self._tell(error)
            if going.is_late:
                seconds = f"{self._settings.answer_seconds:g} seconds"
                raise Unavailable(f"The database did not answer within {seconds}; try again.", code=AWAY) from error
            if isinstance(error, Unfit):
                raise Unavailable(str(error), code=AWAY) from error
            raise answer_to(error) from error

    def _probe(self) -> None:
        """While the database is away, let a request try it now and then, and answer all others at once.

        Else they would all wait for nothing, and each would leave something behind in the pool's queue.
        """
        if self._is_away:
            now = asyncio.get_running_loop().time()
            if now < self._probe_at:
                raise Unavailable("The database is away; try again.", code=AWAY)
            self._probe_at = now + PROBE

    def _tell(self, error: Exception | None) -> None:
        """Log that the database went away, or came back; each once."""
        now = asyncio.get_running_loop().time()
        if error is None:
            self._answered_at = now
            if self._is_away:
                self._is_away = False
                log.warning("the database answers again")
        elif (
            not self._is_away
            and (isinstance(error, PoolTimeout | Unfit) or is_lost(error))
            # Where others are answered, it is there, and has much to do.
            and now - self._answered_at > SLICE
        ):
            self._is_away = True
            log.warning("the database is away: %s; requests are answered 503 until it is back", told(error))

    async def ready(self) -> None:
        """Return when the database can be used.

        Raises:
            Unfit: it never will, as it is.
            psycopg.Error: it cannot be reached.
        """
        if self._preparing is None or (self._preparing.done() and self._failed(self._preparing)):
            self._preparing = asyncio.create_task(self._prepare(), name="jan-postgresql-prepare")
        if not self._preparing.done():
            await asyncio.wait({self._preparing}, timeout=self._settings.wait_seconds)
            if not self._preparing.done():
                raise PoolTimeout("the database does not answer")
            self._preparing.result()

    @staticmethod
    def _failed(task: asyncio.Task[None]) -> bool:
        return task.cancelled() or task.exception() is not None

    async def _tries(self, work: Work[T], going: _Going) -> T:
        await self.ready()
        for tried in range(1, TRIES + 1):
            try:
                async with self._connection(going) as connection:
                    return await work(connection)
            except AGAIN:
                if tried == TRIES or going.is_late:
                    raise
            except (psycopg.OperationalError, psycopg.InterfaceError, psycopg.errors.ReadOnlySqlTransaction) as error:
                if isinstance(error, PoolTimeout) or not is_lost(error):
                    raise
                self._look_at_all()
                if tried == TRIES or going.is_late:
                    raise
            finally:
                going.connection = None
        raise AssertionError("unreachable")

    def _connection(self, going: _Going) -> _Held:
        assert self._pool is not None
        return _Held(self._pool, going, SLICE if self._is_away else self._settings.wait_seconds)

    def _look_at_all(self) -> None:
        """A connection was lost, so the others may be as well: have the pool look at those that nobody uses."""
        if self._looking is None or self._looking.done():
            assert self._pool is not None
            self._looking = asyncio.create_task(self._look(self._pool), name="jan-postgresql-look")

    async def _look(self, pool: AsyncConnectionPool[Connection]) -> None:
        try:
            await pool.check()
        except psycopg.Error as error:
            log.debug("looking at the connections: %s", told(error))

    async def _configure(self, connection: Connection) -> None:
        """Keep the driver from preparing statements where a PgBouncer stands in between.

        One that pools transactions leads each statement to whatever session is free, and the prepared one may be in
        another. It gives itself away: it makes up the number of the session.
        """
        if self.is_pooled is None:
            row = await (await connection.execute("SELECT pg_backend_pid()", prepare=False)).fetchone()
            self.is_pooled = row is not None and row[0] != connection.info.backend_pid
        if self.is_pooled:
            connection.prepare_threshold = None


class _Held:
    """A connection of the pool for one piece of work."""

    def __init__(self, pool: AsyncConnectionPool[Connection], going: _Going, seconds: float) -> None:
        self._pool = pool
        self._going = going
        self._seconds = seconds

    async def __aenter__(self) -> Connection:
        loop = asyncio.get_running_loop()
        end = loop.time() + self._seconds
        while True:
            left = end - loop.time()
            try:
                connection = await self._pool.getconn(timeout=max(0.001, min(SLICE, left)))
            except PoolTimeout:
                if left <= SLICE or self._going.is_late:
                    raise
                continue
            self._going.connection = connection
            if self._going.is_late:
                self._going.cut()
            return connection

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        connection, self._going.connection = self._going.connection, None
        if connection is None:
            return
        if isinstance(error, psycopg.errors.ReadOnlySqlTransaction) or self._going.is_late:
            await connection.close()
        await self._pool.putconn(connection)


async def check_fit(connection: Connection) -> None:
    """Look whether a server and its database will do.

    Raises:
        Unfit: it is older than 14, or its texts cannot hold every character.
    """
    if connection.info.server_version < OLDEST:
        version = connection.info.server_version // 10000
        raise Unfit(f"PostgreSQL {version} is too old", "Take 14 or newer.")
    row = await (await connection.execute("SHOW server_encoding", prepare=False)).fetchone()
    if row is not None and row[0] != "UTF8":
        raise Unfit(
            f"the database {connection.info.dbname!r} keeps texts as {row[0]}, which cannot hold every character",
            "Make one with ENCODING 'UTF8' TEMPLATE template0.",
        )
