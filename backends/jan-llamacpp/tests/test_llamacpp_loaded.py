from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from jan_llamacpp import LlamaCpp
from jan_workers.loaded import LoadedModel

from jan_core.errors import Busy, EngineError, InvalidRequest
from jan_core.schemas.models import ModelLocation
from tests.smollm2 import ENGINE_GO_ON

pytestmark = pytest.mark.anyio

BODY: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}], "stream": True, "max_tokens": 2}
ENDLESS: dict[str, Any] = {**BODY, **ENGINE_GO_ON, "max_tokens": 400}


def made(engine: LlamaCpp, location: ModelLocation) -> LoadedModel:
    return LoadedModel(engine, location, engine.workers.settings)


@pytest.fixture
async def model(location: Callable[..., ModelLocation], engine: Callable[..., LlamaCpp]) -> AsyncIterator[LoadedModel]:
    found = made(engine(), location())
    yield found
    await found.unload()


async def run(model: LoadedModel, body: dict[str, Any] = BODY, choices: int = 1) -> int:
    return len([piece async for piece in model.generate("chat", {**body, "n": choices}, choices)])


async def test_it_is_loaded_on_first_use_and_only_once(model: LoadedModel) -> None:
    assert model.worker is None
    assert min(await asyncio.gather(*(run(model) for _ in range(3)))) > 0
    assert model.worker is not None
    first = model.worker
    await run(model)
    assert model.worker is first
    assert (model.slots.free, model.in_use, model.context) == (2, False, 512)


async def test_slots_are_taken_by_choices_and_given_back_when_the_caller_leaves(model: LoadedModel) -> None:
    pieces: Any = model.generate("chat", {**ENDLESS, "n": 2}, 2)
    await anext(pieces)
    assert (model.slots.free, model.in_use) == (0, True)
    waiting = asyncio.create_task(run(model))
    await pieces.aclose()
    assert await asyncio.wait_for(waiting, 60) > 0
    assert model.slots.free == 2


async def test_a_full_queue_is_busy(model: LoadedModel) -> None:
    running: Any = model.generate("chat", {**ENDLESS, "n": 2}, 2)
    await anext(running)
    waiting = [asyncio.create_task(run(model)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await run(model)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await running.aclose()
    assert await run(model) > 0
    assert model.slots.free == 2


async def test_a_dead_worker_is_replaced_for_the_next_request(model: LoadedModel) -> None:
    pieces: Any = model.generate("chat", ENDLESS)
    await anext(pieces)
    assert model.worker is not None
    assert model.worker.pid is not None
    first = model.worker
    os.kill(model.worker.pid, signal.SIGKILL)
    with pytest.raises(EngineError):
        async for _ in pieces:
            pass
    assert model.slots.free == 2
    assert await run(model) > 0
    assert model.worker is not first


async def test_a_load_that_failed_is_not_tried_again_at_once(
    location: Callable[..., ModelLocation], engine: Callable[..., LlamaCpp], tmp_path: Path
) -> None:
    path = tmp_path / "broken.gguf"
    path.write_bytes(b"nothing")
    model = made(engine(), location(path=str(path)))
    with pytest.raises(InvalidRequest, match=r"broken\.gguf"):
        await run(model)
    first = model.worker
    with pytest.raises(InvalidRequest, match=r"broken\.gguf"):
        await run(model)
    assert model.worker is first, "the same broken file was loaded twice"
    assert model.slots.free == 2


async def test_unloading_while_it_loads_leaves_no_process(
    location: Callable[..., ModelLocation], engine: Callable[..., LlamaCpp]
) -> None:
    model = made(engine(), location())
    asking = asyncio.create_task(run(model))
    async with asyncio.timeout(30):
        while model.worker is None or model.worker.pid is None:
            await asyncio.sleep(0)
    pid = model.worker.pid
    assert pid is not None
    await model.unload()
    with pytest.raises((asyncio.CancelledError, EngineError)):
        await asking
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert model.slots.free == 2
