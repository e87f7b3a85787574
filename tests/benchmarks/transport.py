"""How the server speaks to a worker: callbacks over a pipe, as Jan does it, against llama.cpp's native HTTP server.

No threshold: it is the measurement behind a decision. Both have one slot, so that a request which was cancelled in
the middle of its prompt delays the next one by as long as the cancelling takes; that delay is what is told.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import uvloop
from jan_workers.process import WorkerProcess

from tests.benchmarks.client import BadReply, post
from tests.benchmarks.common import Bench, Pairs, Row
from tests.benchmarks.processes import reference, serving
from tests.benchmarks.stream import load_all, parameters

ABOUT = "callbacks over a pipe, against llama.cpp's HTTP server on a Unix socket"
TOKENS = 96
PROMPT_WORDS = 600
"""Words of the prompt that is cancelled: seconds of reading."""
CANCEL_AFTER = 0.3
"""Seconds after which it is cancelled."""

Ask = Callable[[dict[str, Any]], AsyncIterator[bytes]]
"""Sends a request; gives the pieces with text in them as they come; closing it cancels the request."""


def run(bench: Bench) -> list[Row]:
    """Two figures: speed, and how soon a slot is free after its request was cancelled."""
    socket = bench.folder / "engine.sock"
    given = json.dumps(parameters(slots=1))
    with serving(reference("llamacpp", given, str(socket)), bench.folder / "llamacpp.log", address=str(socket)):
        speed, cancel = uvloop.run(_measure(bench, socket))
    return [
        speed.row("pipe, tokens/s, ratio to HTTP on a Unix socket", None, unit="/s"),
        cancel.row("pipe, from cancel to the next first text, more than that", None, unit=" ms", ratio=False),
    ]


async def _measure(bench: Bench, socket: Path) -> tuple[Pairs, Pairs]:
    worker = WorkerProcess("jan_llamacpp.worker", "smollm2", "the model", lambda lines: None)
    await worker.start(load_all(slots=1), check_seconds=2, load_seconds=60)

    def pipe(body: dict[str, Any]) -> AsyncIterator[bytes]:
        return _pipe(worker, body)

    def http(body: dict[str, Any]) -> AsyncIterator[bytes]:
        return _http(socket, body)

    try:
        await _speed(http, "warm")
        await _speed(pipe, "warm")
        return await _paired(bench, _speed, pipe, http), await _paired(bench, _cancel, pipe, http)
    finally:
        await worker.stop()


async def _paired(bench: Bench, measure: Callable[[Ask, str], Awaitable[float]], jan: Ask, theirs: Ask) -> Pairs:
    pairs = Pairs()
    for number in range(bench.count()):
        sides = [(jan, pairs.jan), (theirs, pairs.reference)]
        for ask, results in sides if number % 2 else reversed(sides):
            results.append(await measure(ask, str(number)))
        bench.say(f"{pairs.jan[-1]:.1f} over the pipe, {pairs.reference[-1]:.1f} over HTTP")
    return pairs


async def _speed(ask: Ask, key: str) -> float:
    began, texts = time.monotonic(), 0
    async for _ in ask(_body(f"[{key}] Write a very long and detailed essay about the history of bread.", TOKENS)):
        texts += 1
    return texts / (time.monotonic() - began)


async def _cancel(ask: Ask, key: str) -> float:
    words = " ".join(f"{key}{number}" for number in range(PROMPT_WORDS))
    pieces = ask(_body(f"Repeat: {words}", 1))
    async with aclosing(pieces):  # type: ignore[type-var]
        reading = asyncio.ensure_future(anext(pieces))
        done, _ = await asyncio.wait({reading}, timeout=CANCEL_AFTER)
        if done:
            reading.result()
            raise RuntimeError(f"the prompt was read within {CANCEL_AFTER} s; make it longer")
        began = time.monotonic()
        reading.cancel()
        await asyncio.wait({reading})
    async for _ in ask(_body(f"Say {key}.", 1)):
        return (time.monotonic() - began) * 1000
    raise RuntimeError("the request after the cancelled one had no answer")


def _body(prompt: str, tokens: int) -> dict[str, Any]:
    # Without progress the engine first calls back when the whole prompt is read: nothing could be cancelled before.
    return {
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": tokens,
        "temperature": 0,
        "stream": True,
        "cache_prompt": False,
        "return_progress": True,
    }


async def _pipe(worker: WorkerProcess, body: dict[str, Any]) -> AsyncIterator[bytes]:
    generation = worker.generate("chat", json.dumps(body).encode(), lambda: None)
    async with aclosing(generation.pieces()) as pieces:  # type: ignore[type-var]
        async for piece in pieces:
            if _has_text(piece):
                yield b""


def _has_text(piece: dict[str, Any]) -> bool:
    if "error" in piece:
        raise BadReply(str(piece["error"]))
    return any(choice["delta"].get("content") for choice in piece.get("choices", ()))


async def _http(socket: Path, body: dict[str, Any]) -> AsyncIterator[bytes]:
    reader, writer = await asyncio.open_unix_connection(str(socket))
    try:
        writer.write(post("/v1/chat/completions", body))
        async for line in reader:
            if not line.startswith(b"data: "):
                continue
            if line.startswith(b"data: [DONE]"):
                return
            if _has_text(json.loads(line[6:])):
                yield line
    finally:
        writer.close()
