"""What each plugin that comes with Jan adds to a request, in microseconds of CPU.

The app is asked in this process, without sockets: what a plugin costs is a small part of what a socket costs, and
would drown in it. All threads of the process are counted, so that work put off to another one is no gain.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import uvloop
from jan_auth_keys import changes

from jan_core.asgi import create_app
from jan_core.testing.wired import wired
from tests.benchmarks.client import BadReply
from tests.benchmarks.common import Bench, Pairs, Row, shown
from tests.benchmarks.processes import Server, reference, serving

ABOUT = "each plugin alone, against none, on a plain answer of a model and on a stream"
PAIRS = 10
BLOCK = 64
"""Requests of each side that are asked before it is the other's turn."""
BLOCKS = 32
"""Blocks of each side in a pair: as many requests as a plugin that sends what it noted needs for a whole batch."""
MOST = 40
"""Microseconds that a plugin may add to a request."""
PIECES = 20
"""Text events of the stream."""


@dataclass(frozen=True)
class Plugin:
    """A plugin to measure.

    Attributes:
        name: its name.
        table: its settings.
        headers: what a request to it must bring.
    """

    name: str
    table: Mapping[str, Any] = field(default_factory=dict)
    headers: tuple[tuple[bytes, bytes], ...] = ()


def plugins(folder: Path, collector: Server) -> list[Plugin]:
    """The plugins, each set up to do its whole work.

    Args:
        folder: for the files that they need.
        collector: takes what they send; what it uses itself is not counted.
    """
    _, key = changes.add(str(folder / "keys.toml"), folder, "bench", None, math.inf)
    return [
        Plugin("auth-keys", {"file": str(folder / "keys.toml")}, ((b"authorization", f"Bearer {key}".encode()),)),
        Plugin("metrics-prometheus"),
        Plugin("audit-log"),
        Plugin("tracing-otel", {"endpoint": f"http://127.0.0.1:{collector.port}"}),
    ]


def run(bench: Bench) -> list[Row]:
    """A figure for each plugin."""
    rows = []
    with (
        serving(reference("sink"), bench.folder / "sink.log") as collector,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        for plugin in plugins(bench.folder, collector):
            root = bench.folder / plugin.name
            root.mkdir(exist_ok=True)
            with _asking(runner, root, plugin) as asking, _asking(runner, root, None) as bare:
                rows.append(_row(bench, plugin, asking, bare))
    return rows


def _row(bench: Bench, plugin: Plugin, asking: Asking, bare: Asking) -> Row:
    bench.say(f"{plugin.name}, a stream of {PIECES}")
    streams = _pairs(bench, asking, bare, stream=True)
    bench.say(f"{plugin.name}, a plain answer")
    plain = _pairs(bench, asking, bare, stream=False)
    remark = f"to a stream of {PIECES} {shown(median(streams.differences()))} us"
    what = f"{plugin.name} adds to a request"
    return plain.row(what, MOST, unit=" us", ratio=False, at_least=False, remark=remark)


def _pairs(bench: Bench, asking: Asking, bare: Asking, *, stream: bool) -> Pairs:
    """Microseconds of CPU a request, with the plugin and without.

    Both sides of a pair are taken in turns, a short block each, so that a machine that is slow for a moment is so for
    both. What other threads used meanwhile counts for the plugin: without one there are none at work.
    """
    sides = (asking, bare)
    found: dict[int, tuple[float, float]] = {}

    def taken(number: int) -> tuple[float, float]:
        if number not in found:
            spent = [0.0, 0.0]
            everything, own = time.process_time(), time.thread_time()
            for turn in range(BLOCKS):
                for side in (0, 1) if turn % 2 else (1, 0):
                    spent[side] += sides[side].block(stream=stream)
            others = time.process_time() - everything - (time.thread_time() - own)
            each = 1_000_000 / (BLOCKS * BLOCK)
            found[number] = (spent[0] + others) * each, spent[1] * each
        return found[number]

    for side in sides:
        side.block(stream=stream)
    return bench.pairs(lambda number: taken(number)[0], lambda number: taken(number)[1], PAIRS)


@contextmanager
def _asking(runner: asyncio.Runner, root: Path, plugin: Plugin | None) -> Iterator[Asking]:
    tables: dict[str, Mapping[str, Any]] = {"server": {"log_requests": False}}
    named = {}
    if plugin is not None:
        named = {plugin.name: f"jan_{plugin.name.replace('-', '_')}"}
        tables[plugin.name] = plugin.table
    jan = wired(root, tables, plugins=named)
    runner.run(jan.__aenter__())
    try:
        yield Asking(runner, create_app(jan), plugin.headers if plugin is not None else ())
    finally:
        runner.run(jan.__aexit__(None, None, None))


class Asking:
    """Asks an app again and again, as a server would for a client that waits for each answer.

    Args:
        runner: the loop that the app runs on.
        app: the app.
        headers: sent with each request, besides its own.
    """

    def __init__(self, runner: asyncio.Runner, app: Any, headers: tuple[tuple[bytes, bytes], ...]) -> None:
        self._runner = runner
        self._app = app
        script = {"say": [f"piece {number} " for number in range(PIECES)]}
        self._bodies = {stream: _body(script, stream=stream) for stream in (False, True)}
        self._headers = [(b"host", b"127.0.0.1"), (b"content-type", b"application/json"), *headers]

    def block(self, *, stream: bool, requests: int = BLOCK) -> float:
        """Seconds of CPU that this thread takes for some requests, one after the other.

        Raises:
            BadReply: an answer is not 200.
        """
        return self._runner.run(self._block(self._bodies[stream], requests))

    async def _block(self, body: bytes, requests: int) -> float:
        began = time.thread_time()
        for _ in range(requests):
            await asyncio.create_task(self._ask(body))
        return time.thread_time() - began

    async def _ask(self, body: bytes) -> None:
        waiting = [{"type": "http.request", "body": body, "more_body": False}]
        length = (b"content-length", str(len(body)).encode())
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": "/v1/chat/completions",
            "raw_path": b"/v1/chat/completions",
            "query_string": b"",
            "root_path": "",
            "headers": [*self._headers, length],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 1337),
            "state": {},
        }

        async def receive() -> Any:
            return waiting.pop() if waiting else await asyncio.get_running_loop().create_future()

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start" and message["status"] != 200:
                raise BadReply(f"status {message['status']}")

        await self._app(scope, receive, send)


def _body(script: Mapping[str, Any], *, stream: bool) -> bytes:
    message = {"role": "user", "content": json.dumps(script)}
    return json.dumps({"model": "scripted", "messages": [message], "stream": stream}).encode()
