from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
from jan_workers.loaded import RETRY_SECONDS

from jan_core import call
from jan_core.errors import Busy, EngineError, InvalidRequest, Unavailable

pytestmark = pytest.mark.anyio

Bench = Callable[..., Any]
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="signals as on POSIX")


async def test_two_hundred_who_ask_at_once_load_it_once(bench: Bench) -> None:
    made = bench()
    async with made.workers:
        here = made.location(slots=4)
        said = await asyncio.gather(*(made.say(here, number) for number in range(200)))
        assert said == [[number] for number in range(200)]
        assert made.echo.loads() == ["m"]
        assert (made.model(here).slots.free, made.model(here).in_use) == (4, False)


async def test_who_leaves_while_it_loads_leaves_the_others_alone(bench: Bench) -> None:
    made = bench()
    async with made.workers:
        here = made.location(slots=20, gate=str(made.folder / "open"))
        asking = [asyncio.create_task(made.say(here, number)) for number in range(20)]
        await made.until(made.echo.loads, "it begins to load")
        assert made.echo.loaded()[0].state == "loading"
        for task in asking[:15]:
            task.cancel()
        (made.folder / "open").touch()
        assert await asyncio.gather(*asking[15:]) == [[number] for number in range(15, 20)]
        assert made.model(here).slots.free == 20
        assert made.echo.loads() == ["m"]


async def test_a_load_that_nobody_waits_for_any_more_ends_well(bench: Bench) -> None:
    made = bench()
    async with made.workers:
        here = made.location(gate=str(made.folder / "open"))
        asking = asyncio.create_task(made.say(here))
        await made.until(made.echo.loads)
        asking.cancel()
        (made.folder / "open").touch()
        await made.until(lambda: made.loaded() == ["m"])
        assert await made.say(here) == ["hi"]
        assert made.echo.loads() == ["m"]


async def test_slots_are_given_back_by_who_leaves_and_the_queue_is_bounded(bench: Bench) -> None:
    made = bench(queue=2)
    async with made.workers:
        here = made.location(slots=2)
        going = await made.begin(here, slots=2)
        waiting = [asyncio.create_task(made.say(here, number)) for number in range(2)]
        await made.until(lambda: made.model(here).slots.waiting == 2)
        with pytest.raises(Busy) as refused:
            await made.say(here)
        assert int(refused.value.headers["Retry-After"]) >= 1
        await going.aclose()
        assert await asyncio.gather(*waiting) == [[0], [1]]


async def test_what_needs_no_slot_waits_for_no_answer_and_its_queue_is_bounded(bench: Bench) -> None:
    made = bench(queue=1)
    async with made.workers:
        here = made.location(slots=1)
        going = await made.begin(here)
        asking = asyncio.create_task(made.say(here))
        await made.until(lambda: made.model(here).slots.waiting == 1)
        assert await made.say(here, "counted", slots=0) == ["counted"]
        beside = await made.begin(here, slots=0)
        waiting = asyncio.create_task(made.say(here, "later", slots=0))
        await made.until(lambda: made.model(here).beside.waiting == 1)
        with pytest.raises(Busy):
            await made.say(here, slots=0)
        await going.aclose()
        assert await asking == ["hi"]
        assert made.model(here).in_use
        await beside.aclose()
        assert await waiting == ["later"]
        await made.until(lambda: not made.model(here).in_use)


async def test_whoever_waited_is_told_when_the_model_begins(bench: Bench) -> None:
    made, told = bench(), []

    async def ask(name: str, slots: int = 1) -> None:
        call.enter(call.Call(name, on_begun=lambda: told.append(name)))
        await made.say(here, slots=slots)

    async with made.workers:
        here = made.location(slots=1)
        going = await made.begin(here)
        asking = asyncio.create_task(ask("answered"))
        await asyncio.create_task(ask("counted", 0))
        assert told == []
        await going.aclose()
        await asking
    assert told == ["answered"]


@POSIX
async def test_a_dead_worker_is_replaced_and_its_memory_is_free(bench: Bench) -> None:
    made = bench(memory_mib=1000)
    async with made.workers:
        here = made.location()
        going = await made.begin(here)
        shown = made.echo.loaded()[0]
        os.kill(shown.pid, signal.SIGKILL)
        with pytest.raises(EngineError):
            async for _ in going:
                pass
        await made.until(lambda: made.workers.room.held == {})
        assert made.echo.loaded() == []
        assert await made.say(here) == ["hi"]
        assert made.echo.loads() == ["m", "m"]
        assert len(made.workers.room.held) == 1


@POSIX
async def test_a_request_that_a_dead_worker_never_read_goes_to_the_next_one(bench: Bench) -> None:
    made = bench()
    async with made.workers:
        here = made.location()
        assert await made.say(here) == ["hi"]
        os.kill(made.echo.loaded()[0].pid, signal.SIGKILL)  # nobody has noticed yet
        assert await made.say(here) == ["hi"]
        assert made.echo.loads() == ["m", "m"]
        assert made.workers.model(made.echo, here).slots.busy == 0


@POSIX
async def test_a_caller_that_leaves_a_dead_worker_leaves_no_slot_taken(bench: Bench) -> None:
    made = bench()
    async with made.workers:
        here = made.location()
        assert await made.say(here) == ["hi"]
        pid = made.echo.loaded()[0].pid
        os.kill(pid, signal.SIGSTOP)  # it reads nothing
        asking = asyncio.create_task(made.say(here))
        model = made.workers.model(made.echo, here)
        await made.until(lambda: model.slots.busy == 1)
        asking.cancel()
        os.kill(pid, signal.SIGKILL)
        await made.until(lambda: model.slots.busy == 0)
        assert await made.say(here) == ["hi"]


async def test_a_load_that_failed_is_told_to_all_and_not_tried_again_at_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = bench()
    async with made.workers:
        here = made.location(fail="it is broken")
        for _ in range(2):
            told = await asyncio.gather(*(made.say(here) for _ in range(20)), return_exceptions=True)
            assert {type(one) for one in told} == {InvalidRequest}
        assert made.echo.loads() == ["m"]
        assert made.workers.room.held == {}
        later = time.monotonic() + RETRY_SECONDS
        monkeypatch.setattr(time, "monotonic", lambda: later)
        with pytest.raises(InvalidRequest):
            await made.say(here)
        assert made.echo.loads() == ["m", "m"]


async def test_unloading_while_it_loads_is_an_error_for_who_waits(bench: Bench) -> None:
    made = bench()
    async with made.workers:
        here = made.location(gate="/nowhere/ever")
        asking = asyncio.create_task(made.say(here))
        await made.until(made.echo.loads)
        worker = made.model(here).worker
        pid = worker.pid
        await made.model(here).unload()
        with pytest.raises(EngineError, match="unloaded while it was loading"):
            await asking
        assert not worker.alive
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_a_load_that_takes_too_long_is_ended(bench: Bench) -> None:
    made = bench(load_seconds=0.2)
    async with made.workers:
        with pytest.raises(Unavailable, match=r"did not load within 0\.2 s"):
            await made.say(made.location(gate="/nowhere/ever"))
        assert made.workers.room.held == {}


async def test_what_is_shown_of_it(bench: Bench) -> None:
    made = bench(keep_alive=100)
    async with made.workers:
        here = made.location(slots=3, needs_mib=50, ballast_mib=30)
        assert made.model(here).shown() is None, "nobody asked for it yet"
        going = await made.begin(here)
        (shown,) = made.echo.loaded()
        assert (shown.id, shown.engine, shown.purpose, shown.state) == ("m", "echo", "", "loaded")
        assert (shown.context, shown.slots, shown.busy, shown.waiting) == (100, 3, 1, 0)
        assert (shown.idle_since, shown.until, shown.pinned) == (None, None, False)
        assert shown.estimated == 50 << 20
        if sys.platform == "linux":
            assert shown.memory > 30 << 20
        await going.aclose()
        await made.until(lambda: not made.model(here).in_use)
        (shown,) = made.echo.loaded()
        assert abs(shown.idle_since - time.time()) < 30
        assert 99 <= shown.until - shown.idle_since <= 101


@pytest.mark.parametrize("wrong", ["5m", True, -2, 1e12, [5]])
async def test_a_bad_keep_alive_in_model_json_is_named(bench: Bench, wrong: Any) -> None:
    made = bench()
    with pytest.raises(InvalidRequest, match=r"model\.json of 'm': settings\.keep_alive must be") as refused:
        await made.say(made.location(keep_alive=wrong))
    assert (refused.value.code, refused.value.param) == ("bad_model_settings", "model")
