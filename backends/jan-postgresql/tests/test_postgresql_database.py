from __future__ import annotations

import asyncio
import logging
from typing import Any

import psycopg
import pytest
from jan_postgresql.backend import Postgresql
from jan_postgresql.database import Connection, check_fit

from jan_core.errors import NotFound, Unavailable

pytestmark = pytest.mark.anyio


async def one(connection: Connection) -> Any:
    row = await (await connection.execute("SELECT 1")).fetchone()
    return row and row[0]


async def pid_of(connection: Connection) -> int:
    return connection.info.backend_pid


async def end(dsn: str, pid: int) -> None:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as other:
        await other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


async def test_work_is_done(backend: Postgresql) -> None:
    assert await backend.do(one) == 1


async def test_work_of_several_statements_is_all_or_nothing(backend: Postgresql) -> None:
    async def work(connection: Connection) -> None:
        async with connection.transaction():
            await connection.execute("CREATE TABLE half (a int)")
            raise NotFound("no")

    with pytest.raises(NotFound, match="no"):
        await backend.do(work)

    async def there(connection: Connection) -> Any:
        return (await (await connection.execute("SELECT to_regclass('half')")).fetchone() or [1])[0]

    assert await backend.do(there) is None


async def test_a_lost_connection_is_made_good(backend: Postgresql, dsn: str) -> None:
    for _ in range(3):
        await end(dsn, await backend.do(pid_of))
        assert await backend.do(one) == 1


async def test_work_whose_connections_are_lost_again_and_again_ends(backend: Postgresql, dsn: str) -> None:
    begun = 0

    async def work(connection: Connection) -> None:
        nonlocal begun
        begun += 1
        await end(dsn, connection.info.backend_pid)
        await connection.execute("SELECT 1")

    with pytest.raises(Unavailable) as told:
        await backend.do(work)
    assert (begun, told.value.code) == (3, "storage_unavailable")


async def test_a_deadlock_is_tried_again(backend: Postgresql) -> None:
    begun = 0

    async def work(connection: Connection) -> int:
        nonlocal begun
        begun += 1
        if begun < 3:
            raise psycopg.errors.DeadlockDetected("x")
        return begun

    assert await backend.do(work) == 3


async def test_what_takes_too_long_is_given_up(make: Any) -> None:
    # A machine that is busy takes a second for the next answer, too.
    async with make(answer_seconds=2.5) as backend:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        with pytest.raises(Unavailable, match=r"within 2\.5 seconds"):
            await backend.do(lambda connection: connection.execute("SELECT pg_sleep(60)"))
        assert loop.time() - begun < 20
        assert await backend.do(one) == 1


async def test_a_caller_that_gives_up_leaves_the_work_whole(backend: Postgresql) -> None:
    begun, let = asyncio.Event(), asyncio.Event()

    async def work(connection: Connection) -> None:
        async with connection.transaction():
            await connection.execute("CREATE TABLE whole (a int)")
            begun.set()
            await let.wait()
            await connection.execute("INSERT INTO whole VALUES (1)")

    async def count(connection: Connection) -> Any:
        return await (await connection.execute("SELECT count(*) FROM whole")).fetchone()

    task = asyncio.create_task(backend.do(work))
    await begun.wait()
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    let.set()
    async with asyncio.timeout(10):
        while True:
            try:
                assert await backend.do(count) == (1,)
                break
            except Unavailable:  # not committed yet
                continue


async def test_closing_waits_for_the_work_at_hand_and_not_for_ever(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async with make() as backend:
        work = asyncio.create_task(backend.do(lambda connection: connection.execute("SELECT pg_sleep(0.3)")))
        await asyncio.sleep(0)
    await work
    monkeypatch.setattr("jan_postgresql.database.LAST_SECONDS", 0.1)
    loop = asyncio.get_running_loop()
    begun = loop.time()
    async with make(answer_seconds=60) as backend:
        await backend.do(one)
        work = asyncio.create_task(backend.do(lambda connection: connection.execute("SELECT pg_sleep(60)")))
        await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await work
    assert loop.time() - begun < 20


async def test_no_more_connections_than_allowed(make: Any) -> None:
    async with make(max_connections=2, wait_seconds=0.2) as backend:
        let = asyncio.Event()

        async def hold(connection: Connection) -> None:
            await let.wait()

        held = [asyncio.create_task(backend.do(hold)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Unavailable) as told:
            await backend.do(one)
        assert told.value.code == "storage_unavailable"
        let.set()
        await asyncio.gather(*held)
        assert await backend.do(one) == 1


async def test_going_and_coming_back_is_logged_once_each(make: Any, dsn: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "jan")
    nowhere = "host=127.0.0.1 port=1 dbname=none"
    backend = make(dsn=nowhere, wait_seconds=0.2)
    async with backend:
        for _ in range(3):
            with pytest.raises(Unavailable):
                await backend.do(one)
        backend.settings.dsn = dsn
        async with asyncio.timeout(30):
            while True:
                try:
                    assert await backend.do(one) == 1
                    break
                except Unavailable:
                    await asyncio.sleep(0.05)
        for _ in range(3):
            assert await backend.do(one) == 1
    told = [record.getMessage() for record in caplog.records if record.name == "jan"]
    assert [text.split(":")[0] for text in told] == [
        "the database cannot be reached yet",
        "the database is away",
        "the database answers again",
    ]


async def test_while_it_is_away_one_request_tries_it_and_the_others_are_answered_at_once(make: Any) -> None:
    async with make(dsn="host=127.0.0.1 port=1", wait_seconds=30) as backend:
        with pytest.raises(Unavailable):
            await backend.do(one)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        told = await asyncio.gather(*(backend.do(one) for _ in range(200)), return_exceptions=True)
        assert {type(answer) for answer in told} == {Unavailable}
        assert loop.time() - begun < 10
        assert sum("is away" in str(answer) for answer in told) == 199


async def test_statements_are_prepared_unless_a_pooler_stands_in_between(make: Any, dsn: str) -> None:
    async def threshold(connection: Connection) -> Any:
        return connection.prepare_threshold

    async with make() as backend:
        assert await backend.do(threshold) == 5
    async with make(direct_dsn=dsn) as backend:
        assert await backend.do(threshold) is None


async def test_the_own_server_will_do(dsn: str) -> None:
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        await check_fit(connection)
