"""When it is time to look again."""

from __future__ import annotations

import asyncio

import pytest
from jan_runs_json.looks import Looks

pytestmark = pytest.mark.anyio

LONG = 3600.0


async def test_all_look_at_the_same_time() -> None:
    looks = Looks(0.01)
    waiting = [looks.next(name) for name in ("a", "b", "a")]
    async with asyncio.timeout(5):
        await waiting[2]
    assert all(one.done() for one in waiting)


async def test_who_looked_looks_again() -> None:
    looks = Looks(0.01)
    async with asyncio.timeout(5):
        for _ in range(3):
            await looks.next("a")


async def test_one_name_may_be_looked_at_at_once() -> None:
    looks = Looks(LONG)
    first, second, other = looks.next("a"), looks.next("a"), looks.next("ab")
    looks.now("a")
    assert first.done()
    assert second.done()
    assert not other.done()
    other.cancel()
    looks.now("ab")  # who waits no longer is passed over


async def test_names_that_begin_alike_may_be_looked_at_at_once() -> None:
    looks = Looks(LONG)
    inside, deeper, beside = looks.next("a/b"), looks.next("a/c/d"), looks.next("ab")
    looks.all_now("a/")
    assert inside.done()
    assert deeper.done()
    assert not beside.done()
