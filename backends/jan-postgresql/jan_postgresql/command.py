"""`jan db`: what the database has of the tables, and bringing them up to date."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from jan_postgresql.backend import Postgresql
    from jan_postgresql.database import Connection
    from jan_postgresql.migrations import State

T = TypeVar("T")

app = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)

Root = Annotated[
    Path | None,
    typer.Option("--root", envvar="JAN_ROOT", show_default="~/jan", help="The root folder.", show_envvar=True),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", envvar="JAN_CONFIG", show_default="<root>/jan.toml", help="The config file."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


@app.callback()
def db() -> None:
    """Look after the tables in PostgreSQL."""


@app.command()
def status(root: Root = None, config: ConfigFile = None, as_json: Json = False) -> None:
    """Say which database it is, and which migrations it has and lacks; exit 1 where it lacks some."""
    from jan_postgresql.migrations import state_of

    async def work(backend: Postgresql, connection: Connection) -> tuple[str, State]:
        info = connection.info
        # Never the connection string: it may hold a password.
        where = f"PostgreSQL {info.parameter_status('server_version')}, database {info.dbname} on {info.host}"
        return where, await state_of(connection, backend.wanted)

    where, state = _with_database(root, config, work)
    pending = [{"owner": one.owner, "name": one.name} for one in state.pending]
    if as_json:
        applied = [{"owner": owner, "name": name, "at": at} for owner, name, at in state.applied]
        unknown = [{"owner": owner, "name": name} for owner, name in state.unknown]
        print(json.dumps({"database": where, "applied": applied, "pending": pending, "unknown": unknown}))
    else:
        print(where)
        for owner, name, at in state.applied:
            print(f"  applied  {owner}  {name}  {at}")
        for one in state.pending:
            print(f"  pending  {one.owner}  {one.name}")
        if state.unknown:
            print("Some were applied by packages that are newer, or not chosen here:")
            for owner, name in state.unknown:
                print(f"  unknown  {owner}  {name}")
        if pending:
            print("`jan db migrate` applies what is pending.")
    if pending:
        raise typer.Exit(1)


@app.command()
def migrate(root: Root = None, config: ConfigFile = None, as_json: Json = False) -> None:
    """Apply the migrations that the database lacks; safe while servers run, and while others do the same."""
    from jan_postgresql.migrations import migrate as apply

    async def work(backend: Postgresql, connection: Connection) -> list[dict[str, str]]:
        return [{"owner": one.owner, "name": one.name} for one in await apply(connection, backend.wanted)]

    done = _with_database(root, config, work)
    if as_json:
        print(json.dumps({"applied": done}))
        return
    for one in done:
        print(f"applied  {one['owner']}  {one['name']}")
    if not done:
        print("Nothing was pending.")


def _with_database(
    root: Path | None, config: Path | None, work: Callable[[Postgresql, Connection], Coroutine[Any, Any, T]]
) -> T:
    """Do some work on a connection of the app that the config describes; the app itself is not entered."""
    from contextlib import AsyncExitStack

    import psycopg

    from jan_core.app import Jan
    from jan_core.config import load
    from jan_core.refusal import Refusal
    from jan_postgresql.backend import Postgresql
    from jan_postgresql.database import Unfit, check_fit
    from jan_postgresql.faults import told

    backend = Jan(load(root, config)).backend(Postgresql)

    async def run() -> T:
        async with AsyncExitStack() as stack:
            if backend.own is not None:
                await stack.enter_async_context(backend.own)
            connection = await stack.enter_async_context(await backend.direct())
            await check_fit(connection)
            return await work(backend, connection)

    try:
        return asyncio.run(run())
    except Unfit as error:
        raise Refusal(backend.asked, error.cause, error.remedy) from error
    except psycopg.Error as error:
        raise Refusal(
            backend.asked, told(error), "Look at [jan-postgresql] dsn, and whether the server runs."
        ) from error
