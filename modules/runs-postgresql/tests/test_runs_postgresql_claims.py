from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from importlib.resources import files
from typing import Any

import psycopg
import pytest
from jan_runs_postgresql import jobs
from jan_runs_postgresql.store import RunsPostgresql

from jan_core.errors import Unavailable

from .conftest import THREAD, kept

pytestmark = pytest.mark.anyio


async def dead(dsn: str, worker: int | None) -> None:
    """As if a server had given no sign of life for long."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        query = "UPDATE jan.procrastinate_workers SET last_heartbeat = now() - interval '1 minute' WHERE id = %s"
        assert (await connection.execute(query, [worker])).rowcount == 1


async def silent(store: RunsPostgresql) -> None:
    """Have a server give no signs of life, as one whose machine stands still."""
    beating = store._claims._beating
    assert beating is not None
    beating.cancel()
    await asyncio.wait([beating])


async def test_one_at_a_time_has_it(store: RunsPostgresql, other: RunsPostgresql) -> None:
    new = await store.begin(kept(), None)
    ids = THREAD, new.run.id
    async with other.hold(*ids) as theirs:
        assert not theirs, "who begins a run has it"
    async with store.hold(*ids) as mine:
        assert mine
        async with other.hold(*ids) as theirs, store.hold(*ids) as again:
            assert (theirs, again) == (False, False)
        assert [*await store.left(), *await other.left()] == []
    async with other.hold(*ids) as theirs:
        assert theirs
        async with store.hold(*ids) as mine:
            assert not mine
    assert await other.left() == [ids]


async def test_what_was_reserved_for_nobody_is_given_back(
    store: RunsPostgresql, other: RunsPostgresql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jan_runs_postgresql.claims.RESERVED", 0.05)
    new = await store.begin(kept(), None)
    async with asyncio.timeout(20):
        while await other.left() != [(THREAD, new.run.id)]:
            await asyncio.sleep(0.02)


async def test_the_dead_lose_what_they_have_and_learn_it_from_their_next_change(
    store: RunsPostgresql, other: RunsPostgresql, dsn: str
) -> None:
    new = await store.begin(kept(), None)
    ids = THREAD, new.run.id
    async with store.hold(*ids):
        await silent(store)
        await dead(dsn, store._claims.worker)
        assert await other.left() == [ids]
        async with other.hold(*ids) as theirs:
            assert theirs
            with pytest.raises(Unavailable, match="Another server"):
                async with store.changing(*ids) as found:
                    found.run.status = "completed"
            async with other.changing(*ids) as found:
                assert found.run.status == "queued"
                found.run.status = "in_progress"
    stored = await store.read(*ids)
    assert stored is not None
    assert stored.run.status == "in_progress"


async def test_or_from_their_next_sign_of_life(store: RunsPostgresql, other: RunsPostgresql, dsn: str) -> None:
    new = await store.begin(kept(), None)
    ids = THREAD, new.run.id

    async def carry_on() -> None:
        async with store.hold(*ids):
            await silent(store)
            await dead(dsn, store._claims.worker)
            async with other.hold(*ids) as theirs:
                assert theirs
                await store._claims._beat()
                await asyncio.sleep(20)

    with pytest.raises(Unavailable, match="Another server"):
        await carry_on()
    async with store.hold(*ids) as mine:
        assert mine


async def test_who_was_thought_dead_and_lost_nothing_goes_on(store: RunsPostgresql, dsn: str) -> None:
    new = await store.begin(kept(), None)
    async with store.hold(THREAD, new.run.id):
        await dead(dsn, store._claims.worker)
        await store._claims._beat()
        async with store.changing(THREAD, new.run.id) as found:
            found.run.status = "in_progress"
    stored = await store.read(THREAD, new.run.id)
    assert stored is not None
    assert stored.run.status == "in_progress"


async def test_closing_lets_everything_go(store: RunsPostgresql, other: RunsPostgresql, dsn: str) -> None:
    new = await store.begin(kept(), None)
    await store.__aexit__(None, None, None)
    assert await other.left() == [(THREAD, new.run.id)]
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        assert await (await connection.execute("SELECT FROM jan.procrastinate_workers")).fetchall() == []


async def test_of_many_that_take_a_run_from_the_dead_one_has_it(
    store: RunsPostgresql, other: RunsPostgresql, dsn: str
) -> None:
    new = await store.begin(kept(), None)
    ids = THREAD, new.run.id
    async with store.hold(*ids):
        await silent(store)
        await dead(dsn, store._claims.worker)
        await other._claims.ready()
        async with AsyncExitStack() as stack:
            workers = []
            for _ in range(8):
                connection = await psycopg.AsyncConnection.connect(dsn, autocommit=True)
                await stack.enter_async_context(connection)
                workers.append((connection, await jobs.register(connection)))

            async def take(connection: psycopg.AsyncConnection[Any], worker: int) -> bool:
                async with connection.transaction():
                    return await jobs.take(connection, worker, ids)

            taken = await asyncio.gather(*(take(*one) for one in workers))
            assert sum(taken) == 1
            assert [await take(*one) for one in workers] == taken
            async with other.hold(*ids) as theirs:
                assert not theirs


async def test_who_was_forgotten_has_nothing_and_is_known_anew(store: RunsPostgresql, dsn: str) -> None:
    new = await store.begin(kept(), None)
    ids = THREAD, new.run.id
    first = store._claims.worker

    async def carry_on() -> None:
        async with store.hold(*ids):
            async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
                await connection.execute("DELETE FROM jan.procrastinate_workers")
            assert await store.left() == [ids]
            await store._claims._beat()
            await asyncio.sleep(20)

    with pytest.raises(Unavailable, match="Another server"):
        await carry_on()
    assert store._claims.worker != first
    async with store.hold(*ids) as mine:
        assert mine


async def test_jobs_of_the_dead_go_with_the_end_of_their_runs(
    store: RunsPostgresql, other: RunsPostgresql, dsn: str
) -> None:
    over, still = await store.begin(kept(), None), await store.begin(kept(thread="jan-2"), None)
    await store.__aexit__(None, None, None)
    async with other.changing(THREAD, over.run.id) as found:
        found.run.status = "completed"
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        await jobs.tidy(connection)
        rows = await (await connection.execute("SELECT lock FROM jan.procrastinate_jobs")).fetchall()
    assert rows == [(f"jan-2/{still.run.id}",)]


async def test_the_tables_are_those_of_the_procrastinate_that_is_installed() -> None:
    names = [one.name for one in files("procrastinate.sql.migrations").iterdir() if one.name.endswith(".sql")]
    assert max(names) == "03.04.00_50_post_add_retry_failed_job_procedure.sql", "make a migration of what came since"
