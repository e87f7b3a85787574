from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any

import pytest
from jan_llamacpp import LlamaCpp
from jan_llamacpp.sampling import DEFAULTS

from jan_core.schemas.models import ModelLocation
from tests.smollm2 import ENGINE_GO_ON

pytestmark = pytest.mark.anyio

Location = Callable[..., ModelLocation]
Engine = Callable[..., LlamaCpp]
BODY: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}], "stream": True, "max_tokens": 1}
ENDLESS: dict[str, Any] = {**BODY, **ENGINE_GO_ON, "max_tokens": 400}


async def run(backend: LlamaCpp, location: ModelLocation) -> int:
    return len([piece async for piece in backend.generate(location, "chat", BODY)])


async def gone(pid: int) -> None:
    while True:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        await asyncio.sleep(0.01)


def pid_of(backend: LlamaCpp, location: ModelLocation) -> int:
    worker = backend.model(location).worker
    assert worker is not None
    assert worker.pid is not None
    return worker.pid


async def test_leaving_it_ends_every_worker(engine: Engine, location: Location) -> None:
    backend = engine()
    async with backend.workers:
        here = location()
        pieces: Any = backend.generate(here, "chat", ENDLESS)
        await anext(pieces)
        pid = pid_of(backend, here)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    await pieces.aclose()
    assert backend.workers.models == {}


async def test_a_model_is_made_once_a_revision(engine: Engine, location: Location) -> None:
    backend = engine()
    async with backend.workers:
        first = backend.model(location())
        assert backend.model(location()) is first
        assert backend.model(location(revision="2")) is not first
        assert first.worker is None, "looking at it loaded it"


async def test_a_changed_file_is_loaded_anew_while_the_old_answer_ends(engine: Engine, location: Location) -> None:
    backend = engine(keep_alive=4)
    async with backend.workers:
        # Room for an answer that takes much longer than another load, however busy the machine is.
        old = location(settings={"ctx_len": 4096, "n_parallel": 1})
        new = location(revision="2", settings={"ctx_len": 256})
        pieces: Any = backend.generate(old, "chat", {**ENDLESS, "max_tokens": 3900})
        await anext(pieces)
        before = backend.model(old)
        assert await run(backend, new) > 0
        assert backend.model(new).context == 256
        assert before.in_use
        assert await anext(pieces), "the answer on the old file was cut"
        assert before.worker is not None
        assert before.worker.pid is not None
        pid = before.worker.pid
        await pieces.aclose()
        await asyncio.wait_for(gone(pid), 60)
        assert await run(backend, new) > 0


async def test_an_idle_model_is_unloaded_and_loaded_again_when_asked(engine: Engine, location: Location) -> None:
    backend = engine(keep_alive=0.2)
    async with backend.workers:
        here = location()
        await run(backend, here)
        await asyncio.wait_for(gone(pid_of(backend, here)), 60)
        assert await run(backend, here) > 0


async def test_a_model_at_work_is_not_idle(engine: Engine, location: Location) -> None:
    backend = engine(keep_alive=0.05)
    async with backend.workers:
        here = location()
        pieces = backend.generate(
            here, "chat", {**ENDLESS, "max_tokens": 60, "stream_options": {"include_usage": True}}
        )
        told = [piece async for piece in pieces]
        assert told[-1]["usage"]["completion_tokens"] == 60


async def test_it_tells_what_it_answers_with_by_itself(engine: Engine, location: Location) -> None:
    assert engine().defaults(location()) == DEFAULTS
