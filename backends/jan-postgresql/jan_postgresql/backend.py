"""The backend: one database for all the modules of an app that keep their data in PostgreSQL."""

from __future__ import annotations

import asyncio
import logging
import sys
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, Self, TypeVar

import psycopg
from psycopg import AsyncConnection
from pydantic import BaseModel
from typing_extensions import override

from jan_core.backend import Backend
from jan_core.errors import JanError
from jan_core.refusal import Refusal
from jan_postgresql.database import KEEPALIVE, Connection, Database, Unfit, Work, check_fit
from jan_postgresql.faults import may_come_back, told
from jan_postgresql.listening import Listening
from jan_postgresql.migrations import OWN, Migration, migrate, migrations_of, state_of
from jan_postgresql.own_server import OwnServer
from jan_postgresql.settings import PostgresqlSettings

if TYPE_CHECKING:
    from jan_core.app import Jan

log = logging.getLogger("jan")

T = TypeVar("T")


class Postgresql(Backend):
    """Connections to the database that the settings name, or to a server inside the root.

    A module asks for it while the app is built, says which migrations it needs, and does its work by `do`:

        database = jan.backend(Postgresql)
        database.needs("messages-postgresql", "jan_messages_postgresql")

    The app starts although the database is away; requests are answered 503 until it is there.

    Raises, when entered:
        Refusal: the database is there and cannot be used: wrong password, too old, old tables; or the own server does
            not start.

    Attributes:
        own: the server inside the root, where the settings name no other.
        listening: what other processes on the database say.
    """

    name: ClassVar[str] = "jan-postgresql"
    settings_model: ClassVar[type[BaseModel]] = PostgresqlSettings

    def __init__(self, settings: PostgresqlSettings, jan: Jan) -> None:
        super().__init__(settings, jan)
        self._wanted: dict[str, list[Migration]] = {}
        self.own = None if settings.dsn else OwnServer(jan.root / settings.folder)
        self._database = Database(settings, self.dsn, self._prepare)
        self.listening = Listening(self.direct, self._may_listen)
        self._open = AsyncExitStack()
        self.needs("jan-postgresql", OWN)

    def needs(self, owner: str, package: str) -> None:
        """Have the migrations of a package applied before the first work.

        Args:
            owner: the distribution's name, under which they are noted.
            package: whose folder `migrations` they are in.

        Raises:
            ValueError: see `migrations_of`.
        """
        if owner not in self._wanted:
            self._wanted[owner] = migrations_of(owner, package)

    @property
    def wanted(self) -> list[Migration]:
        """The migrations of all modules, in the order in which they are applied."""
        return [one for found in self._wanted.values() for one in found]

    async def dsn(self) -> str:
        """How to connect."""
        return self.settings.dsn if self.own is None else self.own.dsn

    async def direct_dsn(self) -> str:
        """How to connect without a PgBouncer."""
        return self.settings.direct_dsn or await self.dsn()

    async def do(self, work: Work[T]) -> T:
        """See `Database.do`."""
        return await self._database.do(work)

    async def direct(self) -> Connection:
        """A connection of its own, outside of the pool; the caller closes it.

        Raises:
            psycopg.Error: the database cannot be reached.
        """
        about = {"connect_timeout": self.settings.connect_seconds, "application_name": "jan", **KEEPALIVE}
        return await AsyncConnection.connect(await self.direct_dsn(), autocommit=True, **about)

    def _may_listen(self) -> bool | None:
        """Whether there is a way to the database without a PgBouncer; None as long as nobody knows."""
        if self.settings.direct_dsn:
            return True
        return None if self._database.is_pooled is None else not self._database.is_pooled

    @override
    async def __aenter__(self) -> Self:
        if sys.platform == "win32" and isinstance(asyncio.get_running_loop(), asyncio.ProactorEventLoop):
            cause = "the driver psycopg does not run on the event loop that Jan has on Windows"
            raise Refusal("the backend jan-postgresql", cause, "Run Jan on Linux or macOS, or in WSL.")
        async with AsyncExitStack() as stack:
            if self.own is not None:
                await stack.enter_async_context(self.own)
            await stack.enter_async_context(self._database)
            stack.push_async_callback(self.listening.close)
            try:
                await self._database.ready()
            except Unfit as error:
                raise Refusal(self.asked, error.cause, error.remedy) from error
            except (psycopg.Error, JanError) as error:
                if not may_come_back(error):
                    remedy = "Mend the dsn, or what it names; `jan db status` tries it."
                    raise Refusal(self.asked, told(error), remedy) from error
                log.warning("the database cannot be reached yet: %s; requests are answered 503", told(error))
            self._open = stack.pop_all()
        return self

    @override
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._open.aclose()

    async def _prepare(self) -> None:
        """Look at the server, and bring the tables up to date."""
        connection = await self.direct()
        async with connection:
            await check_fit(connection)
            state = await state_of(connection, self.wanted)
            if state.pending and not self.settings.migrate_at_start:
                names = ", ".join(f"{one.owner} {one.name}" for one in state.pending)
                raise Unfit(f"its tables lack {len(state.pending)} migrations ({names})", "Run `jan db migrate`.")
            if state.pending:
                for one in await migrate(connection, self.wanted):
                    log.info("applied the migration %s of %s", one.name, one.owner)

    @property
    def asked(self) -> str:
        """Which database it is, and where that was said, for a person; never with a password."""
        if self.own is not None:
            return f"the PostgreSQL in {self.jan.root / self.settings.folder}"
        return f"[jan-postgresql] dsn ({self.jan.config.where('jan-postgresql', 'dsn')})"
