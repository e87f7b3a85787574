from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
from jan_postgresql.database import Unfit
from jan_postgresql.migrations import OWN, Migration, migrate, migrations_of, state_of

from jan_core.errors import Unavailable
from jan_core.refusal import Refusal

pytestmark = pytest.mark.anyio

FIRST = migrations_of("jan-postgresql", OWN)
TABLE = Migration("own", 1, "0001_table.sql", "CREATE TABLE own (a int); INSERT INTO own VALUES (1);")
BROKEN = Migration("own", 2, "0002_broken.sql", "INSERT INTO own VALUES (2); SELECT 1 / 0;")


async def connected(dsn: str) -> Any:
    return await psycopg.AsyncConnection.connect(dsn, autocommit=True)


async def rows(connection: Any, query: str) -> list[Any]:
    return list(await (await connection.execute(query)).fetchall())


async def test_each_is_applied_once_and_in_order(dsn: str) -> None:
    wanted = [*FIRST, TABLE]
    async with await connected(dsn) as connection:
        assert (await state_of(connection, wanted)).pending == wanted
        assert await migrate(connection, wanted) == wanted
        assert await migrate(connection, wanted) == []
        state = await state_of(connection, wanted)
        assert ([one[:2] for one in state.applied], list(state.pending)) == (
            [(one.owner, one.name) for one in wanted],
            [],
        )


async def test_many_that_start_at_once_apply_each_once(dsn: str) -> None:
    wanted = [*FIRST, TABLE]

    looked = asyncio.Barrier(8)

    async def start() -> list[Migration]:
        async with await connected(dsn) as connection:
            # As each of them does at its start; what a session has found missing it may remember.
            assert (await state_of(connection, wanted)).pending == wanted
            await looked.wait()
            return await migrate(connection, wanted)

    done = await asyncio.gather(*(start() for _ in range(8)))
    assert sorted(one.name for found in done for one in found) == sorted(one.name for one in wanted)
    async with await connected(dsn) as connection:
        assert await rows(connection, "SELECT count(*) FROM own") == [(1,)]


async def test_one_that_breaks_off_leaves_the_whole_ones(dsn: str) -> None:
    async with await connected(dsn) as connection:
        with pytest.raises(psycopg.errors.DivisionByZero):
            await migrate(connection, [*FIRST, TABLE, BROKEN])
        assert await rows(connection, "SELECT a FROM own") == [(1,)]
        assert (await state_of(connection, [*FIRST, TABLE, BROKEN])).pending == [BROKEN]


async def test_a_process_that_is_killed_half_way_leaves_whole_ones(dsn: str) -> None:
    program = f"""
import asyncio, psycopg
from jan_postgresql.migrations import *
async def run():
    async with await psycopg.AsyncConnection.connect({dsn!r}, autocommit=True) as connection:
        slow = Migration("own", 1, "0001_table.sql", "CREATE TABLE own (a int); SELECT pg_sleep(600);")
        await migrate(connection, [*migrations_of("jan-postgresql", OWN), slow])
asyncio.run(run())
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
    async with await connected(dsn) as connection, asyncio.timeout(60):
        sleeping = "SELECT pid FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()"
        while not await rows(connection, sleeping):
            await asyncio.sleep(0.05)
        process.kill()
        await process.wait()
        # The server notices it when it next writes to the client, so its session is ended as an operator would.
        await connection.execute(f"SELECT pg_terminate_backend(pid, 5000) FROM ({sleeping}) AS found")
        assert await migrate(connection, [*FIRST, TABLE]) == [TABLE]
        assert await rows(connection, "SELECT a FROM own") == [(1,)]


async def test_a_file_may_include_one_of_another_package(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "jan_some_package" / "sql"
    package.mkdir(parents=True)
    (package / "tables.sql").write_text("CREATE TABLE included (a int);\n")
    monkeypatch.syspath_prepend(tmp_path)
    text = (
        "CREATE TABLE before (a int);\n-- include jan_some_package/sql/tables.sql\nINSERT INTO included VALUES (1);\n"
    )
    one = Migration("own", 1, "0001_included.sql", text)
    async with await connected(dsn) as connection:
        assert await migrate(connection, [*FIRST, one]) == [*FIRST, one]
        assert await rows(connection, "SELECT a FROM included") == [(1,)]
        (package / "tables.sql").write_text("-- The same, in other words.\nCREATE TABLE included (a int);\n")
        assert await migrate(connection, [*FIRST, one]) == []


async def test_one_that_was_changed_afterwards_is_refused(dsn: str) -> None:
    async with await connected(dsn) as connection:
        await migrate(connection, [*FIRST, TABLE])
        with pytest.raises(Unfit, match="is not the one that was applied"):
            await state_of(connection, [*FIRST, Migration("own", 1, "0001_table.sql", "CREATE TABLE other ();")])


async def test_an_older_version_runs_beside_a_newer_one(dsn: str, make: Any) -> None:
    async with await connected(dsn) as connection:
        await migrate(connection, [*FIRST, TABLE])
        assert (await state_of(connection, FIRST)).unknown == [("own", "0001_table.sql")]
    async with make() as backend:
        await backend.do(lambda connection: connection.execute("SELECT a FROM own"))


async def test_a_start_applies_them_unless_told_otherwise(make: Any, dsn: str) -> None:
    with pytest.raises(Refusal, match="jan db migrate"):
        async with make(migrate_at_start=False):
            pytest.fail("it starts")
    async with make() as backend:
        await backend.do(lambda connection: connection.execute("SELECT FROM jan.replies"))
    async with make(migrate_at_start=False):
        pass


async def test_tables_that_somebody_removed_are_told_of(make: Any) -> None:
    async with make() as backend:
        await backend.do(lambda connection: connection.execute("DROP TABLE jan.replies"))
        with pytest.raises(Unavailable, match="jan db migrate"):
            await backend.do(lambda connection: connection.execute("SELECT FROM jan.replies"))


@pytest.mark.parametrize(
    "names", [["0002_a.sql"], ["0001_a.sql", "0001_b.sql"], ["1_a.sql"], ["0001_a.sql", "0003.sql"]]
)
def test_names_without_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: list[str]) -> None:
    package = tmp_path / "odd_migrations"
    (package / "migrations").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    for name in names:
        (package / "migrations" / name).write_text("SELECT 1")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "odd_migrations", raising=False)
    with pytest.raises(ValueError, match="odd_migrations/migrations"):
        migrations_of("odd", "odd_migrations")
