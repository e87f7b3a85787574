from __future__ import annotations

import asyncio

import pytest
from jan_workers.slots import Slots

from jan_core.errors import Busy

pytestmark = pytest.mark.anyio


async def turn() -> None:
    """Let every task that can go on do so."""
    for _ in range(5):
        await asyncio.sleep(0)


def begin(slots: Slots, wanted: int = 1) -> asyncio.Task[None]:
    return asyncio.create_task(slots.take(wanted))


async def test_free_slots_are_taken_at_once() -> None:
    slots = Slots(3, 0, "m")
    await slots.take(2)
    await slots.take(1)
    assert (slots.free, slots.busy, slots.waiting) == (0, 3, 0)
    slots.give_back(2)
    assert (slots.free, slots.busy) == (2, 1)


async def test_first_come_first_served_even_if_a_later_one_would_fit() -> None:
    slots = Slots(2, 5, "m")
    await slots.take(1)
    both, one = begin(slots, 2), begin(slots)
    await turn()
    assert (slots.free, slots.waiting) == (1, 2)
    slots.give_back(1)
    await turn()
    assert both.done()
    assert not one.done()
    slots.give_back(2)
    await one
    assert slots.free == 1


async def test_a_full_queue_is_busy_and_says_when_to_ask_again() -> None:
    slots = Slots(1, 1, "small")
    await slots.take(1)
    waiting = begin(slots)
    await turn()
    with pytest.raises(Busy, match="'small'") as refused:
        await slots.take(1)
    assert refused.value.headers["Retry-After"] == "2"
    slots.give_back(1)
    await waiting
    assert slots.free == 0


async def test_no_queue_at_all() -> None:
    slots = Slots(1, 0, "m")
    await slots.take(1)
    with pytest.raises(Busy):
        await slots.take(1)
    slots.give_back(1)
    await slots.take(1)


@pytest.mark.parametrize(("seconds", "told"), [(0.001, 1), (10, 12), (10_000, 60)])
async def test_retry_after_follows_how_long_requests_took(seconds: float, told: int) -> None:
    slots = Slots(1, 0, "m")
    for _ in range(40):
        await slots.take(1)
        slots.give_back(1, seconds)
    await slots.take(1)
    with pytest.raises(Busy) as refused:
        await slots.take(1)
    assert abs(int(refused.value.headers["Retry-After"]) - told) <= 2


async def test_a_cancelled_wait_leaves_the_queue_and_lets_the_next_one_through() -> None:
    slots = Slots(2, 5, "m")
    await slots.take(1)
    both, one = begin(slots, 2), begin(slots)
    await turn()
    both.cancel()
    await turn()
    assert one.done(), "the one behind it fits and still waits"
    assert slots.waiting == 0
    assert slots.free == 0


async def test_a_cancelled_wait_in_the_middle_makes_room_in_the_queue() -> None:
    slots = Slots(1, 2, "m")
    await slots.take(1)
    first, second = begin(slots), begin(slots)
    await turn()
    second.cancel()
    await turn()
    assert slots.waiting == 1
    third = begin(slots)
    await turn()
    assert not third.done(), "a place that is free was refused"
    for task in (first, third):
        slots.give_back(1)
        await task


async def test_cancelled_just_as_it_was_its_turn() -> None:
    slots = Slots(1, 5, "m")
    await slots.take(1)
    first, second = begin(slots), begin(slots)
    await turn()
    slots.give_back(1)
    first.cancel()
    await turn()
    assert first.cancelled()
    assert second.done()
    slots.give_back(1)
    assert (slots.free, slots.waiting) == (1, 0)


async def test_nothing_is_lost_or_doubled_in_a_crowd() -> None:
    slots, most = Slots(3, 1000, "m"), 0

    async def use(number: int) -> None:
        nonlocal most
        wanted = 1 + number % 3
        await slots.take(wanted)
        try:
            most = max(most, slots.busy)
            await turn()
        finally:
            slots.give_back(wanted, 0.1)

    tasks = [asyncio.create_task(use(number)) for number in range(200)]
    await turn()
    for task in tasks[::7]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert most == 3
    assert (slots.free, slots.waiting) == (3, 0)
