from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from jan_postgresql.together import Together

from jan_core.errors import Unavailable

pytestmark = pytest.mark.anyio


class Asked:
    """A statement that waits until it is let go."""

    def __init__(self) -> None:
        self.keys: list[list[str]] = []
        self.let = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self, keys: Sequence[str]) -> set[str]:
        self.keys.append([*keys])
        await self.let.wait()
        if self.error is not None:
            raise self.error
        return {"a", "b"}


async def until(asked: Asked, count: int) -> None:
    async with asyncio.timeout(10):
        while len(asked.keys) < count:
            await asyncio.sleep(0)


async def test_what_comes_meanwhile_is_asked_for_together() -> None:
    asked = Asked()
    together = Together(asked)
    first = asyncio.create_task(together.has("a"))
    await until(asked, 1)
    others = [asyncio.create_task(together.has(key)) for key in "abca"]
    await asyncio.sleep(0)
    asked.let.set()
    assert [await one for one in [first, *others]] == [True, True, True, False, True]
    assert asked.keys == [["a"], ["a", "b", "c"]]


async def test_a_slow_statement_holds_up_no_other() -> None:
    asked = Asked()
    together = Together(asked)
    tasks = [asyncio.create_task(together.has("a"))]
    await until(asked, 1)
    tasks.append(asyncio.create_task(together.has("b")))
    await until(asked, 2)
    asked.let.set()
    assert [await one for one in tasks] == [True, True]


async def test_a_failure_is_told_to_all_who_asked_and_the_next_question_is_asked() -> None:
    asked = Asked()
    together = Together(asked)
    asked.error = Unavailable("away")
    asked.let.set()
    failed = await asyncio.gather(*(together.has(key) for key in "ab"), return_exceptions=True)
    assert failed == [asked.error, asked.error]
    asked.error = None
    assert await together.has("a")


async def test_one_who_gives_up_takes_nothing_from_the_others() -> None:
    asked = Asked()
    together = Together(asked)
    tasks = [asyncio.create_task(together.has("a")) for _ in range(2)]
    await until(asked, 1)
    tasks[0].cancel()
    asked.let.set()
    assert await tasks[1]
    assert tasks[0].cancelled()
