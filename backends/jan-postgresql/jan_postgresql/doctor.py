"""What `jan doctor` looks at: whether the database is there, and whether its tables are up to date."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import psycopg

from jan_core.check import Check, Verdict
from jan_postgresql.backend import Postgresql
from jan_postgresql.database import Unfit, check_fit
from jan_postgresql.faults import told
from jan_postgresql.migrations import state_of

if TYPE_CHECKING:
    from jan_core.app import Jan


def checks(jan: Jan, module: str) -> list[Check]:
    """Return the checks of a module's database.

    Args:
        jan: the app, which does not run.
        module: whose check it is.
    """
    return [Check(f"{module}: the database answers, and its tables are up to date", partial(_look, jan))]


def _look(jan: Jan) -> Verdict:
    backend = jan.backends.get(Postgresql)
    assert isinstance(backend, Postgresql)
    if not backend.settings.dsn:
        folder = jan.root / backend.settings.folder
        return Verdict(True, f"The server inside {folder} is started with Jan.")
    return asyncio.run(_ask(backend))


async def _ask(backend: Postgresql) -> Verdict:
    try:
        async with await backend.direct() as connection:
            await check_fit(connection)
            state = await state_of(connection, backend.wanted)
            version = connection.info.parameter_status("server_version")
    except Unfit as error:
        return Verdict(False, f"{error.cause[:1].upper()}{error.cause[1:]}.", error.remedy)
    except psycopg.Error as error:
        return Verdict(False, f"The database does not answer: {told(error)}.", "Look at [jan-postgresql] dsn.")
    if state.pending:
        names = ", ".join(f"{one.owner} {one.name}" for one in state.pending)
        return Verdict(False, f"The tables lack {len(state.pending)} migrations: {names}.", "jan db migrate")
    return Verdict(True, f"PostgreSQL {version}; all {len(state.applied)} migrations are applied.")
