from __future__ import annotations

import asyncio

import pytest

from jan_core.folder.turns import Turns


async def one(turns: Turns, name: str, told: list[str], who: str) -> None:
    async with turns.of(name):
        told.append(f"{who} begins")
        await asyncio.sleep(0)
        told.append(f"{who} ends")


def test_one_after_the_other_in_the_order_of_asking() -> None:
    async def main() -> None:
        turns, told = Turns(), []
        await asyncio.gather(*(one(turns, "a", told, str(number)) for number in range(5)))
        assert told == [f"{number} {what}" for number in range(5) for what in ("begins", "ends")]
        assert len(turns) == 0

    asyncio.run(main())


def test_other_names_do_not_wait() -> None:
    async def main() -> None:
        turns, told = Turns(), []
        await asyncio.gather(one(turns, "a", told, "a"), one(turns, "b", told, "b"))
        assert told == ["a begins", "b begins", "a ends", "b ends"]

    asyncio.run(main())


def test_who_fails_or_leaves_the_queue_holds_up_nobody() -> None:
    async def main() -> None:
        turns, told = Turns(), []
        others: list[asyncio.Task[None]] = []

        async def fails() -> None:
            async with turns.of("a"):
                others.extend(asyncio.create_task(one(turns, "a", told, who)) for who in ("gone", "last"))
                await asyncio.sleep(0)
                others[0].cancel()
                await asyncio.wait(others[:1])
                assert (told, len(turns)) == ([], 1)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await fails()
        await others[1]
        assert told == ["last begins", "last ends"]
        assert len(turns) == 0

    asyncio.run(main())
