from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any

import pytest
from jan_llamacpp import LlamaCpp
from jan_llamacpp.settings import LlamaCppSettings

from jan_core.schemas.models import ModelLocation

pytestmark = pytest.mark.anyio

Location = Callable[..., ModelLocation]
BODY: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}], "stream": True, "max_tokens": 1}
ENDLESS: dict[str, Any] = {**BODY, "max_tokens": 400, "logit_bias": [[2, -100]]}


async def run(backend: LlamaCpp, location: ModelLocation) -> int:
    return len([piece async for piece in backend.generate(location, BODY)])


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


async def test_leaving_it_ends_every_worker(quick: LlamaCppSettings, location: Location) -> None:
    async with LlamaCpp(quick, None) as backend:
        here = location()
        pieces: Any = backend.generate(here, ENDLESS)
        await anext(pieces)
        pid = pid_of(backend, here)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    await pieces.aclose()
    assert backend.models == {}


async def test_a_model_is_made_once_a_revision(quick: LlamaCppSettings, location: Location) -> None:
    async with LlamaCpp(quick, None) as backend:
        first = backend.model(location())
        assert backend.model(location()) is first
        assert backend.model(location(revision="2")) is not first
        assert first.worker is None, "looking at it loaded it"


async def test_a_changed_file_is_loaded_anew_while_the_old_answer_ends(
    quick: LlamaCppSettings, location: Location
) -> None:
    async with LlamaCpp(quick.model_copy(update={"idle_seconds": 4}), None) as backend:
        old, new = location(), location(revision="2", settings={"ctx_len": 256})
        pieces: Any = backend.generate(old, ENDLESS)
        await anext(pieces)
        before = backend.models[old.path]
        assert await run(backend, new) > 0
        assert backend.model(new).context == 256
        assert before.in_use
        assert await anext(pieces), "the answer on the old file was cut"
        assert before.worker is not None
        assert before.worker.pid is not None
        pid = before.worker.pid
        await pieces.aclose()
        await asyncio.wait_for(gone(pid), 20)
        assert await run(backend, new) > 0


async def test_an_idle_model_is_unloaded_and_loaded_again_when_asked(
    quick: LlamaCppSettings, location: Location
) -> None:
    async with LlamaCpp(quick.model_copy(update={"idle_seconds": 0.2}), None) as backend:
        here = location()
        await run(backend, here)
        await asyncio.wait_for(gone(pid_of(backend, here)), 20)
        assert await run(backend, here) > 0


async def test_a_model_at_work_is_not_idle(quick: LlamaCppSettings, location: Location) -> None:
    async with LlamaCpp(quick.model_copy(update={"idle_seconds": 0.05}), None) as backend:
        here = location()
        pieces = backend.generate(here, {**ENDLESS, "max_tokens": 60, "stream_options": {"include_usage": True}})
        told = [piece async for piece in pieces]
        assert told[-1]["usage"]["completion_tokens"] == 60
