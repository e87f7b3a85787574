from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from jan_llamacpp.backend import LlamaCpp
from jan_llamacpp.parameters import load_parameters
from jan_llamacpp.settings import LlamaCppSettings
from jan_workers import wire
from jan_workers.process import NeverTaken, WorkerProcess

from jan_core.errors import EngineError, InvalidRequest, Unavailable
from jan_core.schemas.models import ModelLocation
from tests.smollm2 import ENGINE_GO_ON

pytestmark = pytest.mark.anyio

Given = Callable[..., dict[str, Any]]
Engine = Callable[..., LlamaCpp]


@pytest.fixture
def given(quick: LlamaCppSettings, location: Callable[..., ModelLocation]) -> Given:
    def make(**fields: Any) -> dict[str, Any]:
        return load_parameters(location(**fields), quick)

    return make


def process_of(engine: LlamaCpp, model: str, path: str) -> WorkerProcess:
    return WorkerProcess(engine.worker, model, path, engine.explain)


@pytest.fixture
async def worker(engine: Engine, given: Given) -> AsyncIterator[WorkerProcess]:
    told = given()
    process = process_of(engine(), "smollm2", told["path"])
    await process.start(told, check_seconds=30, load_seconds=60)
    yield process
    await process.stop()
    assert not process.alive


def body(**more: Any) -> bytes:
    request = {
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        "max_tokens": 3,
        "stream_options": {"include_usage": True},
    }
    return json.dumps({**request, **more}).encode()


async def test_pieces_come_in_order_and_the_slot_is_given_back_once(worker: WorkerProcess) -> None:
    ends: list[str] = []
    generation = worker.generate("chat", body(**ENGINE_GO_ON, temperature=0), lambda: ends.append("end"))
    pieces = [piece async for piece in generation.pieces()]
    assert ends == ["end"]
    assert worker.active == {}
    reasons = [choice["finish_reason"] for piece in pieces for choice in piece.get("choices", ())]
    assert reasons[-1] == "length"
    assert pieces[-1]["usage"]["completion_tokens"] == 3


async def test_requests_run_side_by_side_without_mixing(worker: WorkerProcess) -> None:
    async def run(tokens: int) -> int:
        generation = worker.generate("chat", body(**ENGINE_GO_ON, max_tokens=tokens), lambda: None)
        return int([piece async for piece in generation.pieces()][-1]["usage"]["completion_tokens"])

    assert await asyncio.gather(*(run(tokens) for tokens in (2, 9, 4, 6))) == [2, 9, 4, 6]


async def test_closing_the_pieces_ends_the_request(worker: WorkerProcess) -> None:
    ended = asyncio.Event()
    generation = worker.generate("chat", body(**ENGINE_GO_ON, max_tokens=400), ended.set)
    pieces: Any = generation.pieces()
    seen = [await anext(pieces) for _ in range(3)]
    await pieces.aclose()
    await asyncio.wait_for(ended.wait(), 30)
    assert len(seen) == 3
    again = worker.generate("chat", body(max_tokens=1), lambda: None)
    assert [piece async for piece in again.pieces()]


async def test_a_killed_worker_ends_its_requests_and_refuses_new_ones(worker: WorkerProcess) -> None:
    generation = worker.generate("chat", body(**ENGINE_GO_ON, max_tokens=400), lambda: None)
    pieces = generation.pieces()
    await anext(pieces)
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)

    async def rest() -> list[Any]:
        return [piece async for piece in pieces]

    with pytest.raises(EngineError, match=r"'smollm2'.*ended unexpectedly"):
        await asyncio.wait_for(rest(), 20)
    assert not worker.alive
    with pytest.raises(NeverTaken):
        await anext(worker.generate("chat", body(), lambda: None).pieces())


async def test_a_bad_request_is_the_engines_own_error_and_not_the_workers_end(worker: WorkerProcess) -> None:
    told: list[Any] = []
    try:
        told = [piece async for piece in worker.generate("chat", body(messages="oops"), lambda: None).pieces()]
    except EngineError as error:
        told = [{"error": error.message}]
    assert "error" in told[-1]
    assert worker.alive


@pytest.mark.parametrize("content", [b"", b"GGUF", b"not a model at all" * 100])
async def test_a_file_that_is_no_model_is_named(engine: Engine, given: Given, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.gguf"
    path.write_bytes(content)
    process = process_of(engine(), "broken", str(path))
    with pytest.raises(InvalidRequest, match=r"broken\.gguf") as refused:
        await process.start(given(path=str(path)), check_seconds=30, load_seconds=60)
    assert (refused.value.code, refused.value.param) == ("model_load_failed", "model")
    assert " E " not in refused.value.message, "a line of the engine's log, unread"
    await process.stop()


async def test_a_template_that_does_not_end_is_ended(engine: Engine, given: Given) -> None:
    endless = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    told = given(settings={"chat_template": endless})
    process = process_of(engine(), "loop", told["path"])
    with pytest.raises(InvalidRequest, match=r"did not finish within 0\.2 s") as refused:
        await process.start(told, check_seconds=0.2, load_seconds=60)
    assert refused.value.code == "harmful_template"
    await process.stop()


async def test_a_load_that_takes_too_long_is_ended(engine: Engine, given: Given) -> None:
    told = given()
    process = process_of(engine(), "slow", told["path"])
    with pytest.raises(Unavailable, match=r"did not load within 0\.001 s") as late:
        await process.start(told, check_seconds=30, load_seconds=0.001)
    assert late.value.code == "model_load_timeout"
    await process.stop()


async def test_a_template_that_cannot_render_the_messages_is_the_requests_fault(engine: Engine, given: Given) -> None:
    picky = (
        "{% if messages|length > 1 %}{{ raise_exception('one only') }}{% endif %}"
        "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    )
    told = given(settings={"chat_template": picky})
    process = process_of(engine(), "picky", told["path"])
    await process.start(told, check_seconds=30, load_seconds=60)
    two = [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]
    with pytest.raises(InvalidRequest, match="one only") as refused:
        async for _ in process.generate("chat", body(messages=two), lambda: None).pieces():
            pass
    assert (refused.value.code, refused.value.param) == ("template_failed", "messages")
    assert process.alive
    await process.stop()


async def test_messages_that_the_engine_does_not_take_are_the_requests_fault(engine: Engine, given: Given) -> None:
    told = given()
    process = process_of(engine(), "strict", told["path"])
    await process.start(told, check_seconds=30, load_seconds=60)
    said = {"role": "assistant", "content": "b"}
    with pytest.raises(InvalidRequest, match="2 or more assistant messages") as refused:
        async for _ in process.generate("chat", body(messages=[said, said]), lambda: None).pieces():
            pass
    assert (refused.value.code, refused.value.param) == ("invalid_messages", "messages")
    assert process.alive
    await process.stop()


async def test_only_the_request_that_ended_a_worker_is_told_why(engine: Engine) -> None:
    worker = process_of(engine(), "m", "/m.gguf")
    worker.alive = True
    ended: list[int] = []
    first, second = (worker.generate("chat", b"{}", lambda n=n: ended.append(n)) for n in (1, 2))  # type: ignore[misc]
    worker.pipe_data_received(1, wire.pack(wire.TAKEN, 1) + wire.pack(wire.TAKEN, 2))
    worker.pipe_data_received(1, wire.pack(wire.FATAL, 2, b'{"code": "template_timeout", "message": "too long"}'))
    worker.connection_lost(None)
    with pytest.raises(EngineError):
        await anext(first.pieces())
    with pytest.raises(InvalidRequest, match="too long") as blamed:
        await anext(second.pieces())
    assert (blamed.value.code, blamed.value.param) == ("template_timeout", "messages")
    assert sorted(ended) == [1, 2]


async def test_a_worker_that_is_killed_while_it_loads_is_no_fault_of_the_file(
    engine: Engine, given: Callable[..., Any], smollm2_path: Path
) -> None:
    worker = process_of(engine(), "m", str(smollm2_path))
    starting = asyncio.create_task(worker.start(given(path=str(smollm2_path)), check_seconds=30, load_seconds=60))
    while worker.pid is None:
        await asyncio.sleep(0)
    os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(Unavailable, match="memory") as refused:
        await starting
    assert refused.value.code == "model_load_killed"
