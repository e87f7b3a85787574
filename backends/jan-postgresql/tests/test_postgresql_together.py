from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from jan_postgresql.together import MOST, Together

from jan_core.errors import Unavailable

pytestmark = pytest.mark.anyio


class Asked:
    """A statement that waits until it is let go."""

    def __init__(self) -> None:
        self.keys: list[list[str]] = []
        self.let = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self, keys: Sequence[str]) -> list[bool]:
        self.keys.append([*keys])
        await self.let.wait()
        if self.error is not None:
            raise self.error
        return [key in "ab" for key in keys]


async def until(asked: Asked, count: int) -> None:
    async with asyncio.timeout(10):
        while len(asked.keys) < count:
            await asyncio.sleep(0)


async def test_what_comes_meanwhile_is_asked_for_together() -> None:
    asked = Asked()
    together = Together(asked)
    first = asyncio.create_task(together.one("a"))
    await until(asked, 1)
    others = [asyncio.create_task(together.one(key)) for key in "abca"]
    await asyncio.sleep(0)
    asked.let.set()
    assert [await one for one in [first, *others]] == [True, True, True, False, True]
    assert asked.keys == [["a"], ["a", "b", "c", "a"]]


async def test_a_slow_statement_holds_up_no_other() -> None:
    asked = Asked()
    together = Together(asked)
    tasks = [asyncio.create_task(together.one("a"))]
    await until(asked, 1)
    tasks.append(asyncio.create_task(together.one("b")))
    await until(asked, 2)
    asked.let.set()
    assert [await one for one in tasks] == [True, True]


async def test_one_statement_has_no_more_than_it_may() -> None:
    asked = Asked()
    asked.let.set()
    together = Together(asked)
    assert await asyncio.gather(*(together.one("a") for _ in range(MOST * 2 + 1))) == [True] * (MOST * 2 + 1)
    assert [len(keys) for keys in asked.keys] == [1, MOST, MOST]


async def test_a_failure_is_told_to_all_who_asked_and_the_next_question_is_asked() -> None:
    asked = Asked()
    together = Together(asked)
    asked.error = Unavailable("away")
    asked.let.set()
    failed = await asyncio.gather(*(together.one(key) for key in "ab"), return_exceptions=True)
    assert failed == [asked.error, asked.error]
    asked.error = None
    assert await together.one("a")


async def test_one_who_gives_up_takes_nothing_from_the_others() -> None:
    asked = Asked()
    together = Together(asked)
    tasks = [asyncio.create_task(together.one("a")) for _ in range(2)]
    await until(asked, 1)
    tasks[0].cancel()
    asked.let.set()
    assert await tasks[1]
    assert tasks[0].cancelled()
