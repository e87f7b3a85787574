from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jan_workers.backend import SHARE
from jan_workers.memory import machine_memory

from jan_core.errors import EngineError

pytestmark = pytest.mark.anyio

Bench = Callable[..., Any]
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="signals as on POSIX")


async def test_leaving_it_ends_every_worker_at_work_or_not(bench: Bench) -> None:
    made = bench()
    async with made.workers:
        going = await made.begin(made.location("a"))
        await made.say(made.location("b"))
        loading = asyncio.create_task(made.say(made.location("c", gate="/nowhere/ever")))
        await made.until(lambda: len(made.echo.loads()) == 3)
        pids = [one.pid for one in made.echo.loaded()]
        assert len(pids) == 3
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    with pytest.raises(EngineError):
        await loading
    await going.aclose()
    assert made.workers.all() == []


async def test_a_model_is_unloaded_when_nobody_asked_it_for_so_long(bench: Bench) -> None:
    made = bench(keep_alive=0.3)
    async with made.workers:
        here = made.location()
        going = await made.begin(here)
        began = time.monotonic()
        while time.monotonic() < began + 0.6:
            await anext(going)
        assert made.loaded() == ["m"], "it was at work"
        await going.aclose()
        await made.until(lambda: made.echo.loaded() == [])
        await made.until(lambda: made.workers.room.held == {})
        assert await made.say(here) == ["hi"]


async def test_the_models_own_keep_alive_goes_before_the_tables(bench: Bench) -> None:
    made = bench(keep_alive=0.1)
    async with made.workers:
        await made.say(made.location("stays", keep_alive=-1))
        await made.say(made.location("long", keep_alive=1000))
        await made.say(made.location("short"))
        await made.until(lambda: made.loaded() == ["long", "stays"])
        until = {one.id: one.until for one in made.echo.loaded()}
        assert until["stays"] is None
        assert abs(until["long"] - time.time() - 1000) < 60


async def test_zero_unloads_at_once_but_not_between_those_who_wait(bench: Bench) -> None:
    made = bench(keep_alive=0)
    async with made.workers:
        here = made.location(slots=1)
        assert len(await asyncio.gather(*(made.say(here) for _ in range(10)))) == 10
        assert made.echo.loads() == ["m"]
        await made.until(lambda: made.workers.all() == [] and made.workers.room.held == {})
        # One that is loaded ahead stays until it has answered for the first time.
        assert (await made.echo.load(here)).state == "loaded"
        made.workers._soon.set()
        await asyncio.sleep(0.05)
        assert made.loaded() == ["m"]
        await made.say(here)
        await made.until(lambda: made.workers.all() == [])
        assert made.echo.loads() == ["m", "m"]


async def test_a_changed_file_is_loaded_anew_while_the_old_answer_goes_on(bench: Bench) -> None:
    made = bench(hang_seconds=1)
    async with made.workers:
        going = await made.begin(made.location(revision="1"))
        new = made.location(revision="2")
        assert await made.say(new) == ["hi"]
        assert len(made.echo.loaded()) == 2
        assert await anext(going)
        await going.aclose()
        await made.until(lambda: len(made.workers.all()) == 1)
        await made.say(made.location(revision="3"))
        assert made.echo.loads() == ["m", "m", "m"]
        await made.until(lambda: len(made.workers.room.held) == 1)


async def test_a_model_whose_file_has_gone_is_unloaded(bench: Bench) -> None:
    made = bench(hang_seconds=1, keep_alive=-1)
    async with made.workers:
        await made.say(made.location())
        (made.folder / "m").unlink()
        await made.until(lambda: made.workers.all() == [])


@POSIX
async def test_a_worker_that_hangs_is_ended_and_costs_only_its_own_requests(bench: Bench) -> None:
    made = bench(hang_seconds=1)
    async with made.workers:
        here, other = made.location(), made.location("other")
        going, fine = await made.begin(here), await made.begin(other)
        os.kill(next(one.pid for one in made.echo.loaded() if one.id == "m"), signal.SIGSTOP)

        async def rest() -> None:
            async for _ in going:
                pass

        with pytest.raises(EngineError, match="gave no sign of life"):
            await asyncio.wait_for(rest(), 30)
        assert await made.say(here) == ["hi"]
        assert await anext(fine)
        await fine.aclose()


async def test_pinned_models_are_loaded_when_it_serves_and_stay(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    made = bench(pinned=["a", "nothing", "b"], keep_alive=0)
    made.location("a")
    made.location("b")
    async with made.workers:
        assert made.workers.all() == [], "a command would load them too"
        with caplog.at_level(logging.WARNING, "jan"):
            await made.workers.serving()
            await made.until(lambda: made.loaded() == ["a", "b"])
        assert "the pinned model 'nothing' was not loaded: no nothing" in caplog.text
        await made.say(made.app.known["a"])
        await asyncio.sleep(0.05)
        assert made.loaded() == ["a", "b"]
        assert all(one.pinned and one.until is None for one in made.echo.loaded())


async def test_a_model_is_made_once_a_revision_an_engine_and_a_purpose(bench: Bench) -> None:
    made = bench()
    async with made.workers:
        here = made.location()
        first = made.model(here)
        assert made.model(here) is first
        assert made.echo.model(here, "embeddings") is not first
        assert made.model(made.location(revision="2")) is not first
        assert made.echo.loads() == []


def test_the_budget_is_a_share_of_the_machine_unless_it_is_given(bench: Bench, tmp_path: Path) -> None:
    machine = machine_memory()
    assert machine is not None
    assert bench().workers.room.total == int(machine * SHARE)
    assert bench(memory_mib=5).workers.room.total == 5 << 20
