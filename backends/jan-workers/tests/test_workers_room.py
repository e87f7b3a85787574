from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from jan_core.errors import InvalidRequest, Unavailable

pytestmark = pytest.mark.anyio

Bench = Callable[..., Any]


async def test_the_model_asked_longest_ago_goes_first(bench: Bench) -> None:
    made = bench(memory_mib=300)
    async with made.workers:
        a, b, c, d = (made.location(name) for name in "abcd")
        for one in (a, b, c, a):
            await made.say(one)
        assert made.loaded() == ["a", "b", "c"]
        await made.say(d)
        assert made.loaded() == ["a", "c", "d"]
        await made.say(b)
        assert made.loaded() == ["a", "b", "d"]
        assert made.echo.loads() == ["a", "b", "c", "d", "b"]
        assert made.workers.room.free == 0


async def test_only_as_many_go_as_it_takes_and_none_where_that_would_not_do(bench: Bench) -> None:
    made = bench(memory_mib=300, wait_seconds=0)
    async with made.workers:
        small, other = made.location("small"), made.location("other")
        await made.say(small)
        going = await made.begin(other)
        with pytest.raises(Unavailable):
            await made.say(made.location("huge", needs_mib=250))
        assert made.loaded() == ["other", "small"]
        await made.say(made.location("fits", needs_mib=150))
        assert made.loaded() == ["fits", "other"]
        await going.aclose()


async def test_what_never_fits_is_refused_with_figures_and_what_to_lower(bench: Bench) -> None:
    made = bench(memory_mib=300)
    async with made.workers:
        await made.say(made.location("small"))
        for _ in range(2):
            with pytest.raises(InvalidRequest) as refused:
                await made.say(made.location("huge", needs_mib=301))
            assert (refused.value.code, refused.value.param) == ("model_too_large", "model")
            told = refused.value.message
            assert "'huge' needs about 301 MiB (weights 301), and 300 MiB are allowed" in told
            for word in ("ctx_len", "n_parallel", "memory_mib", "[jan-workers]"):
                assert word in told
        assert made.loaded() == ["small"], "what was loaded had to go for nothing"


async def test_one_that_does_not_fit_waits_until_another_is_idle(bench: Bench) -> None:
    made = bench(memory_mib=300)
    async with made.workers:
        big, next_ = made.location("big", needs_mib=200), made.location("next", needs_mib=200)
        going = await made.begin(big)
        waiting = [asyncio.create_task(made.say(next_, number)) for number in range(20)]
        await made.until(lambda: [one.state for one in made.echo.loaded() if one.id == "next"] == ["waiting"])
        # What fits meanwhile does not wait behind it.
        assert await made.say(made.location("small", needs_mib=50)) == ["hi"]
        assert not any(task.done() for task in waiting)
        await going.aclose()
        assert await asyncio.gather(*waiting) == [[number] for number in range(20)]
        assert made.loaded() == ["next", "small"]
        assert made.echo.loads() == ["big", "small", "next"]


async def test_the_wait_has_an_end_that_names_who_is_in_the_way(bench: Bench) -> None:
    made = bench(memory_mib=300, wait_seconds=0.2)
    async with made.workers:
        going = await made.begin(made.location("big", needs_mib=200))
        asking = [made.say(made.location("next", needs_mib=200)) for _ in range(5)]
        for error in await asyncio.gather(*asking, return_exceptions=True):
            assert isinstance(error, Unavailable)
            assert (error.code, error.param, error.headers["Retry-After"]) == ("no_memory_free", "model", "5")
            assert "'next' needs about 200 MiB. For 0.2 s, models that are in use ('big')" in error.message
        assert made.workers.room._waiting == {}
        await going.aclose()
        assert made.loaded() == ["big"]


async def test_who_gives_up_waiting_makes_nobody_go(bench: Bench) -> None:
    made = bench(memory_mib=300)
    async with made.workers:
        going = await made.begin(made.location("big", needs_mib=200))
        next_ = made.location("next", needs_mib=200)
        waiting = [asyncio.create_task(made.say(next_)) for _ in range(3)]
        await made.until(lambda: made.workers.room._waiting)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await made.until(lambda: not made.workers.room._waiting)
        await going.aclose()
        await made.until(lambda: not made.model(made.app.known["big"]).in_use)
        assert made.loaded() == ["big"]
        assert made.echo.loads() == ["big"]


async def test_a_pinned_model_never_makes_room(bench: Bench) -> None:
    made = bench(memory_mib=300, pinned=["keep"])
    async with made.workers:
        keep = made.location("keep", needs_mib=150)
        await made.say(keep)
        await made.say(made.location("a"))
        await made.say(made.location("b", needs_mib=150))
        assert made.loaded() == ["b", "keep"]
        with pytest.raises(InvalidRequest, match=r"of which pinned ones \('keep'\) leave 150") as refused:
            await made.say(made.location("c", needs_mib=151))
        assert refused.value.code == "model_too_large"
        assert made.loaded() == ["b", "keep"]


async def test_many_models_in_little_memory_all_answer(bench: Bench) -> None:
    made = bench(memory_mib=250)
    async with made.workers:
        models = [made.location(f"m{number}") for number in range(6)]
        asked = [made.say(models[number % 6], number) for number in range(60)]
        assert await asyncio.gather(*asked) == [[number] for number in range(60)]
        assert len(made.loaded()) <= 2
        room = made.workers.room
        assert (len(room.held), room.free) == (2, 50 << 20)


async def test_without_a_limit_everything_fits(bench: Bench) -> None:
    made = bench()
    made.workers.room.total = None
    async with made.workers:
        await made.say(made.location("huge", needs_mib=1 << 30))
        assert made.workers.room.free is None
        assert made.loaded() == ["huge"]
