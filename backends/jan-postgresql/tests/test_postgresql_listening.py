from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from jan_postgresql.backend import Postgresql
from jan_postgresql.listening import CHANNEL, SAY, Listening

pytestmark = pytest.mark.anyio


async def say(backend: Postgresql, what: str) -> None:
    await backend.do(lambda connection: connection.execute(f"SELECT {SAY}", [what]))


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


async def ended(dsn: str) -> int:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        statement = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'LISTEN {CHANNEL}'"
        cursor = await connection.execute(f"{statement} AND datname = current_database()".encode())
        return len(await cursor.fetchall())


async def test_what_another_process_says_is_heard_in_its_order(make: Any) -> None:
    async with make() as one, make() as other:
        heard: list[str | None] = []
        one.listening.on(heard.append)
        await until(lambda: one.listening.hears)
        for number in range(50):
            await say(other if number % 2 else one, f"{number}")
        await until(lambda: len(heard) == 51)
        assert heard == [None, *map(str, range(50))]
        assert not other.listening.hears
        one.listening.off(heard.append)
        one.listening.off(heard.append)
        seen: list[str | None] = []
        one.listening.on(seen.append)
        await say(other, "later")
        await until(lambda: seen == ["later"])
        assert len(heard) == 51
    assert not one.listening.hears


async def test_what_is_said_is_heard_when_it_is_committed(backend: Postgresql, dsn: str) -> None:
    heard: list[str | None] = []
    backend.listening.on(heard.append)
    await until(lambda: backend.listening.hears)
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        await connection.execute(f"SELECT {SAY}", ["given up"])
        await connection.rollback()
        await connection.execute(f"SELECT {SAY}", ["done"])
        await connection.commit()
    await until(lambda: heard == [None, "done"])


async def test_a_lost_connection_is_made_anew_and_whoever_listens_looks(backend: Postgresql, dsn: str) -> None:
    heard: list[str | None] = []
    backend.listening.on(heard.append)
    for number in range(3):
        await until(lambda: backend.listening.hears)
        assert heard == [None] * (number + 1)
        assert await ended(dsn) == 1
        await until(lambda number=number: len(heard) == number + 2)  # type: ignore[misc]
    await say(backend, "again")
    await until(lambda: heard[-1] == "again")


async def test_nobody_connects_where_nobody_listens_or_may(make: Any, dsn: str) -> None:
    async with make() as backend:
        await say(backend, "to nobody")
        assert await ended(dsn) == 0
    tried = []

    async def connect() -> Any:
        tried.append(1)
        raise psycopg.OperationalError("away")

    known: list[bool | None] = [None]
    listening = Listening(connect, lambda: known[0])
    listening.on(lambda _: None)
    await asyncio.sleep(0)
    known[0] = False
    task = listening._task
    assert task is not None
    async with asyncio.timeout(10):
        await task
    assert not tried
    assert not listening.hears
    await listening.close()


async def test_it_is_tried_again_and_again_while_the_database_is_away() -> None:
    tried = asyncio.Semaphore(0)

    async def connect() -> Any:
        tried.release()
        raise OSError("away")

    listening = Listening(connect, lambda: True)
    listening.on(lambda _: None)
    async with asyncio.timeout(20):
        for _ in range(3):
            await tried.acquire()
    assert not listening.hears
    await listening.close()
