"""A root with 100,000 threads: their listing, the start, and the memory after all of them were touched."""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path

from tests.benchmarks.client import Connection, get
from tests.benchmarks.common import Bench, Pairs, Row
from tests.benchmarks.conversations import make_threads
from tests.benchmarks.processes import Server, jan_serve, serving

ABOUT = "100,000 threads of 20 messages: newest 20 and start, against few; memory after all were touched"
MANY, FEW = 100_000, 100
MESSAGES = 20
NEWEST = 20
BLOCK = 150
PAIRS = 16
WARMING = 1000
"""Requests before the memory of the empty root is read: what a server takes once it has been used."""


def run(bench: Bench) -> list[Row]:
    """Three figures."""
    many, few, empty = (bench.folder / name for name in ("many", "few", "empty"))
    bench.say(f"writing {MANY} threads of {MESSAGES} messages")
    threads = make_threads(many, MANY, MESSAGES)
    make_threads(few, FEW, MESSAGES)
    empty.mkdir()
    return [_listing(bench, many, few), _start(bench, many, empty), _memory(bench, many, threads, empty)]


def _listing(bench: Bench, many: Path, few: Path) -> Row:
    bench.say(f"the newest {NEWEST} of {MANY} threads, and of {FEW}")
    asked = get(f"/v1/threads?limit={NEWEST}")
    pairs = Pairs()
    with (
        serving(jan_serve(many), bench.folder / "many.log") as large,
        serving(jan_serve(few), bench.folder / "few.log") as small,
    ):
        connections = [Connection(server.port) for server in (large, small)]
        began = time.perf_counter()
        found = json.loads(connections[0].ask(asked))
        bench.say(f"the first listing took {time.perf_counter() - began:.2f} s")
        if len(found["data"]) != NEWEST:
            raise RuntimeError(f"not {NEWEST} threads: {found}")
        for connection in connections * 20:
            connection.ask(asked)
        for number in range(bench.count(PAIRS)):
            block: list[list[float]] = [[], []]
            for turn in range(BLOCK):
                for side in (0, 1) if (turn + number) % 2 else (1, 0):
                    at = time.perf_counter()
                    connections[side].ask(asked)
                    block[side].append((time.perf_counter() - at) * 1000)
            pairs.jan.append(statistics.median(block[0]))
            pairs.reference.append(statistics.median(block[1]))
            bench.say(f"block {number + 1}: many {pairs.jan[-1]:.3f} ms, few {pairs.reference[-1]:.3f} ms")
        for connection in connections:
            connection.close()
    what = f"newest {NEWEST} of {MANY:,} threads, ratio to of {FEW}"
    return pairs.row(what, 1.2, unit=" ms", at_least=False)


def _start(bench: Bench, many: Path, empty: Path) -> Row:
    bench.say(f"start with {MANY} threads, and with an empty root")

    def started(root: Path) -> float:
        began = time.monotonic()
        with serving(jan_serve(root), bench.folder / "start.log") as server:
            connection = Connection(server.port)
            connection.ask(get("/v1/assistants"))
            took = time.monotonic() - began
            connection.close()
        return took * 1000

    started(many), started(empty)
    pairs = bench.pairs(lambda _: started(many), lambda _: started(empty))
    return pairs.row(f"start with {MANY:,} threads, ratio to an empty root", 1.2, unit=" ms", at_least=False)


def _memory(bench: Bench, many: Path, threads: list[str], empty: Path) -> Row:
    bench.say(f"memory: {MANY} threads touched one after another")
    with serving(jan_serve(empty), bench.folder / "empty.log") as server:
        base = _used(server, [get("/v1/threads")] * WARMING)
    asked = [get(f"/v1/threads/{thread}/messages?limit={NEWEST}") for thread in threads]
    with serving(jan_serve(many), bench.folder / "touched.log") as server:
        _used(server, [get("/v1/threads")])
        half = _used(server, asked[: MANY // 2]) - base
        whole = _used(server, asked[MANY // 2 :]) - base
    return Row(
        f"memory after {MANY:,} threads were touched, more than an empty root",
        whole,
        half,
        whole,
        60,
        " MB",
        at_least=False,
        of=f"MB after half of them and after all; the empty root {base:.1f} MB",
    )


def _used(server: Server, requests: list[bytes]) -> float:
    connection = Connection(server.port)
    for request in requests:
        connection.ask(request)
    connection.close()
    return server.resident()
