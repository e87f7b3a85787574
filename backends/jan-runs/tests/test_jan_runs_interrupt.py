from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from jan_runs.interrupt import Interrupt, Interrupted

pytestmark = pytest.mark.anyio


async def interrupted(work: Callable[[Interrupt], Coroutine[Any, Any, Any]]) -> asyncio.Task[Any]:
    """The task that does some work, once it was asked to stop."""
    made: list[Interrupt] = []

    async def task() -> Any:
        made.append(Interrupt())
        return await work(made[0])

    running = asyncio.create_task(task())
    await asyncio.sleep(0.01)
    made[0].ask()
    made[0].ask()
    await asyncio.wait({running}, timeout=5)
    return running


class TestInterrupt:
    async def test_a_task_that_waits_stops_at_once(self) -> None:
        async def work(interrupt: Interrupt) -> None:
            with interrupt.waiting():
                await asyncio.get_running_loop().create_future()

        with pytest.raises(Interrupted):
            (await interrupted(work)).result()

    async def test_after_it_the_task_can_wait_for_other_things(self) -> None:
        async def work(interrupt: Interrupt) -> str:
            with pytest.raises(Interrupted), interrupt.waiting():
                await asyncio.get_running_loop().create_future()
            await asyncio.sleep(0.01)
            return "stored"

        assert (await interrupted(work)).result() == "stored"

    async def test_what_is_being_stored_is_stored_first(self) -> None:
        done = []

        async def work(interrupt: Interrupt) -> None:
            with interrupt.waiting():
                with interrupt.storing():
                    await asyncio.sleep(0.05)
                    done.append("stored")
                done.append("went on")

        with pytest.raises(Interrupted):
            (await interrupted(work)).result()
        assert done == ["stored"]

    async def test_outside_of_a_block_it_waits_for_the_next_one(self) -> None:
        done = []

        async def work(interrupt: Interrupt) -> None:
            await asyncio.sleep(0.05)
            done.append("before")
            with interrupt.waiting():
                done.append("inside")

        with pytest.raises(Interrupted):
            (await interrupted(work)).result()
        assert done == ["before"]

    async def test_a_cancelled_task_is_cancelled_also_where_it_was_asked_to_stop(self) -> None:
        made: list[Interrupt] = []

        async def task() -> None:
            made.append(Interrupt())
            with made[0].waiting():
                await asyncio.get_running_loop().create_future()

        running = asyncio.create_task(task())
        await asyncio.sleep(0.01)
        made[0].ask()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    async def test_a_timeout_of_the_work_itself_stays_one(self) -> None:
        async def work(interrupt: Interrupt) -> None:
            with interrupt.waiting():
                async with asyncio.timeout(0.001):
                    await asyncio.get_running_loop().create_future()

        with pytest.raises(TimeoutError):
            (await interrupted(work)).result()


class TestUntil:
    async def task(self, moment: int | None, seconds: float = 5) -> str:
        interrupt = Interrupt()
        with interrupt.until(moment):
            try:
                with interrupt.waiting():
                    await asyncio.sleep(seconds)
            except Interrupted as interrupted:
                return interrupted.why
        await asyncio.sleep(0.05)
        return f"{interrupt.asked}"

    async def test_a_task_stops_when_its_time_is_over(self) -> None:
        assert await asyncio.create_task(self.task(1)) == "expired"

    @pytest.mark.parametrize("moment", [None, 2**40])
    async def test_and_not_before(self, moment: int | None) -> None:
        assert await asyncio.create_task(self.task(moment, 0.05)) == "False"

    async def test_who_asked_first_says_why(self) -> None:
        async def work(interrupt: Interrupt) -> None:
            try:
                with interrupt.waiting():
                    await asyncio.get_running_loop().create_future()
            finally:
                interrupt.ask("expired")
                assert interrupt.why == "cancelled"

        with pytest.raises(Interrupted, match="cancelled"):
            (await interrupted(work)).result()
