from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any

import pytest
from jan_workers.engine import PROCESS_BYTES, WorkerEngine

from jan_core.errors import Conflict, EngineError, InvalidRequest, Unavailable

pytestmark = pytest.mark.anyio

Bench = Callable[..., Any]


async def test_a_model_can_be_loaded_ahead_once_for_all_who_ask(bench: Bench) -> None:
    made = bench()
    async with made.workers:
        here = made.location(needs_mib=70)
        shown = await asyncio.gather(*(made.echo.load(here) for _ in range(50)))
        assert {(one.id, one.state, one.estimated) for one in shown} == {("m", "loaded", 70 << 20)}
        assert len({one.pid for one in shown}) == 1
        assert await made.say(here) == ["hi"]
        assert made.echo.loads() == ["m"]
        with pytest.raises(InvalidRequest):
            await made.echo.load(made.location("broken", fail="no"))


async def test_a_model_that_is_loaded_ahead_does_not_go_while_it_loads(bench: Bench) -> None:
    made = bench(keep_alive=0.01, memory_mib=150)
    async with made.workers:
        loading = asyncio.create_task(made.echo.load(made.location("a", gate=str(made.folder / "open"))))
        await made.until(made.echo.loads)
        asking = asyncio.create_task(made.say(made.location("b")))
        await made.until(lambda: "waiting" in [one.state for one in made.echo.loaded()])
        (made.folder / "open").touch()
        assert (await loading).state == "loaded"
        assert await asking == ["hi"]


async def test_unloading_frees_the_memory_and_tells_what_went(bench: Bench) -> None:
    made = bench()
    async with made.workers:
        here = made.location()
        await made.say(here)
        await made.echo.load(here, "embeddings")
        pids = [one.pid for one in made.echo.loaded()]
        gone = await made.echo.unload("m")
        assert sorted(one.purpose for one in gone) == ["", "embeddings"]
        for pid in pids:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)
        assert (made.workers.room.held, made.workers.all()) == ({}, [])
        assert await made.echo.unload("m") == []
        assert await made.echo.unload("other") == []


async def test_a_model_in_use_is_unloaded_by_force_only(bench: Bench) -> None:
    made = bench()
    async with made.workers:
        here = made.location()
        going = await made.begin(here)
        with pytest.raises(Conflict, match=r"'m' is in use \(1 of its slots\)") as refused:
            await made.echo.unload("m")
        assert (refused.value.code, refused.value.param) == ("model_in_use", "model")
        assert await anext(going)
        assert len(await made.echo.unload("m", force=True)) == 1
        with pytest.raises(EngineError, match="'m' was unloaded while it answered"):
            async for _ in going:
                pass
        assert await made.say(here) == ["hi"]


async def test_one_purpose_is_unloaded_alone(bench: Bench) -> None:
    made = bench()
    async with made.workers:
        here = made.location()
        await made.say(here)
        await made.echo.load(here, "embeddings")
        (gone,) = await made.echo.unload("m", purpose="embeddings")
        assert gone.purpose == "embeddings"
        assert [one.purpose for one in made.echo.loaded()] == [""]
        assert len(await made.echo.unload("m", purpose="")) == 1


async def test_a_deleted_model_leaves_at_once_or_after_its_answer(bench: Bench) -> None:
    made = bench(keep_alive=-1)
    async with made.workers:
        idle, busy, kept = made.location("idle"), made.location("busy"), made.location("kept")
        for one in (idle, kept):
            await made.say(one)
        going = await made.begin(busy)
        for one in ("idle", "busy"):
            (made.folder / one).unlink()
        made.echo.look_again()
        assert sorted(one.location.id for one in made.workers.all()) == ["busy", "kept"]
        assert await anext(going), "its answer was cut"
        await going.aclose()
        await made.until(lambda: [one.location.id for one in made.workers.all()] == ["kept"])
        await made.until(lambda: len(made.workers.room.held) == 1)


async def test_it_is_ready_where_a_model_fits(bench: Bench) -> None:
    made = bench(memory_mib=300)
    async with made.workers:
        with pytest.raises(Unavailable, match="No model for echo is installed. Get one") as refused:
            await made.echo.ready("Get one.")
        assert refused.value.code == "no_model"
        made.location("large", needs_mib=400)
        made.location("larger", needs_mib=500)
        with pytest.raises(
            Unavailable, match="the smallest, 'large', needs about 400 MiB, and there are 300"
        ) as refused:
            await made.echo.ready("")
        assert refused.value.code == "no_memory"
        made.app.known["large"] = made.app.known["large"].model_copy(update={"engine": "other"})
        made.location("small", needs_mib=1)
        await made.echo.ready("")


async def test_a_pinned_model_that_is_loaded_is_ready_though_nothing_else_fits(bench: Bench) -> None:
    made = bench(memory_mib=300, pinned=["a"])
    async with made.workers:
        await made.say(made.location("a", needs_mib=250))
        await made.echo.ready("")
        made.location("b", needs_mib=100)
        del made.app.known["a"]
        with pytest.raises(Unavailable, match="there are 50 MiB"):
            await made.echo.ready("")


async def test_a_purpose_that_the_engine_does_not_know_loads_nothing(bench: Bench) -> None:
    made = bench()
    async with made.workers:
        with pytest.raises(InvalidRequest, match="for 'zzz'; its purposes are '', 'embeddings'") as refused:
            await made.echo.load(made.location(), "zzz")
        assert (refused.value.param, refused.value.code) == ("purpose", "invalid_value")
        assert made.workers.all() == []


async def test_closing_the_pieces_cancels(bench: Bench) -> None:
    made = bench()
    async with made.workers:
        here = made.location(slots=1)
        going = await made.begin(here)
        await going.aclose()
        assert await asyncio.wait_for(made.say(here), 20) == ["hi"]


async def test_an_engine_that_knows_nothing_more_estimates_by_the_file(bench: Bench) -> None:
    made = bench()
    found = WorkerEngine.estimate(made.echo, made.location())
    assert found.total == (1 << 20) + PROCESS_BYTES == sum(found.parts.values())
    assert found.parts["weights"] == 1 << 20


async def test_the_first_line_with_an_error_is_the_reason(bench: Bench) -> None:
    echo = bench().echo
    assert WorkerEngine.explain(echo, ["a", " Error: b ", "error c"]) == "Error: b"
    assert WorkerEngine.explain(echo, ["all is well"]) is None
    assert WorkerEngine.check_seconds.fget(echo) > 1  # type: ignore[attr-defined]
