from __future__ import annotations

import asyncio
import threading
import time

import pytest

from jan_core.testing.contract.ticking import HELD_UP, held_up

pytestmark = pytest.mark.anyio


async def test_work_that_waits_holds_up_nothing() -> None:
    async def waits() -> None:
        await asyncio.sleep(0.5)

    async def in_a_thread() -> None:
        await asyncio.to_thread(threading.Event().wait, 0.5)

    for work in (waits, in_a_thread):
        assert min([await held_up(work) for _ in range(3)]) < HELD_UP


async def test_work_that_blocks_is_seen() -> None:
    async def blocks() -> None:
        threading.Event().wait(1)

    async def is_busy() -> None:
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            pass

    for work in (blocks, is_busy):
        assert await held_up(work) >= HELD_UP


async def test_nothing_of_it_is_left_where_the_work_fails() -> None:
    async def fails() -> None:
        raise KeyError("inside")

    before = asyncio.all_tasks()
    with pytest.raises(KeyError):
        await held_up(fails)
    assert asyncio.all_tasks() == before
    assert "jan-contract-ticks" not in {one.name for one in threading.enumerate()}
