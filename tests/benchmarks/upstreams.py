"""Jan in front of other servers: speed before llama.cpp's own HTTP server, and 200 streams from a scripted one.

The reference is the same client at the upstream itself, without Jan in between.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks import streams
from tests.benchmarks.client import chat, stream
from tests.benchmarks.common import Bench, Row, shown
from tests.benchmarks.processes import Server, jan_serve, python, serving, smollm2
from tests.benchmarks.stream import ENDLESS, FIRST_PAIRS, TOKENS, location, together
from tests.upstreams import front
from tests.upstreams.llamacpp import ALIAS

ABOUT = "before llama.cpp's own server: one stream and eight, first token; 200 streams from a scripted upstream"
EIGHT = 8
EIGHT_PAIRS = 16
"""Pairs for eight streams: which of them come to share a batch is chance."""
EIGHT_TOKENS = 64
ROUNDS = 3
SECONDS = 10


def run(bench: Bench) -> list[Row]:
    """Seven figures."""
    return [*_spoken(bench), *_many(bench)]


@contextmanager
def behind(bench: Bench, name: str, command: list[str]) -> Iterator[tuple[Server, Server]]:
    """A Jan in front of an upstream, and the upstream.

    Args:
        bench: the run.
        name: of the files that are written.
        command: starts the upstream.
    """
    with serving(command, bench.folder / f"{name}.log") as theirs:
        root = front.write(bench.folder / name, {"name": "one", "url": f"http://127.0.0.1:{theirs.port}/v1"})
        with serving(jan_serve(root), bench.folder / f"{name}-jan.log") as jan:
            yield jan, theirs


def _spoken(bench: Bench) -> list[Row]:
    """The real model. Every request's prompt is new, so that no side finds an earlier one in the cache."""
    smollm2()
    given = {"path": location().path, "context": 512, "slots": EIGHT, "threads": os.cpu_count() or 1}
    command = python("-m", "tests.upstreams.llamacpp", "0", json.dumps(given))
    with behind(bench, "llamacpp", command) as (jan, theirs):
        asked = iter(range(1_000_000))

        def one(server: Server, _: int) -> float:
            text = f"{next(asked)}: tell a story."
            return together(stream(server.port, [chat(ALIAS, text, TOKENS, **ENDLESS)]), TOKENS)

        def eight(server: Server, _: int) -> float:
            texts = [f"{next(asked)}: tell a story." for _ in range(EIGHT)]
            asks = [chat(ALIAS, text, EIGHT_TOKENS, **ENDLESS) for text in texts]
            return together(stream(server.port, asks), EIGHT_TOKENS)

        def first(server: Server, _: int) -> float:
            # The same prompt always: the engine has read it, and its own work is as short as it can be.
            (found,) = stream(server.port, [chat(ALIAS, "Say hello.", 1)])
            return (found.first - found.sent) * 1000

        for server in (jan, theirs):
            eight(server, 0)
            first(server, 0)
        bench.say("one stream")
        single = bench.pairs(lambda number: one(jan, number), lambda number: one(theirs, number))
        bench.say("eight streams")
        several = bench.pairs(lambda number: eight(jan, number), lambda number: eight(theirs, number), EIGHT_PAIRS)
        bench.say("first token")
        begun = bench.pairs(lambda number: first(jan, number), lambda number: first(theirs, number), FIRST_PAIRS)
    return [
        single.row("upstream llama.cpp: one stream, tokens/s, ratio to it alone", 0.97, unit="/s"),
        several.row("upstream llama.cpp: eight streams, tokens/s, ratio to it alone", 0.97, unit="/s"),
        begun.row("upstream: time to first token, more than alone", 3, unit=" ms", ratio=False, at_least=False),
    ]


def _many(bench: Bench) -> list[Row]:
    """The scripted upstream. A round at the upstream itself says whether it keeps the rate on this machine."""
    seconds = 3 if bench.quick else SECONDS
    with behind(bench, "scripted", python("-m", "tests.upstreams.scripted")) as (jan, theirs):
        alone = streams.once(theirs, seconds)
        bench.say(f"without Jan: {json.dumps(alone)}")
        idle = peak(jan)
        rounds = []
        for number in range(1 if bench.quick else ROUNDS):
            began, used = time.monotonic(), theirs.cpu()
            rounds.append(streams.once(jan, seconds))
            took, spent = time.monotonic() - began, theirs.cpu() - used
            bench.say(f"round {number + 1}: {json.dumps(rounds[-1])}, upstream {spent / took:.0%} of a CPU")
        memory = peak(jan)
    broken = streams.too_slow(rounds)
    if alone["slowest"] < 0.98:
        broken = broken or f"the upstream alone reached {alone['slowest']:.2f} of the rate"
    remark = f"{len(rounds)} rounds of {seconds} s; alone "

    def row(what: str, name: str, threshold: float, unit: str, *, at_least: bool = False) -> Row:
        values = [one[name] for one in rounds]
        told = f"{remark}{shown(alone[name])}{unit}"
        return Row(what, statistics.median(values), min(values), max(values), threshold, unit, at_least, told, broken)

    return [
        row(
            "200 streams of 50/s through an upstream: the slowest, share of its rate",
            "slowest",
            0.98,
            "",
            at_least=True,
        ),
        row("200 streams through an upstream: delay of events, 99th percentile", "p99", 100, " ms"),
        row("200 streams through an upstream: CPU of Jan an event", "cpu", 90, " us"),
        Row(
            "200 streams through an upstream: most memory of Jan", memory, idle, memory, 150, " MB", False, "from idle"
        ),
    ]


def peak(server: Server) -> float:
    """The most MB of memory that a server has had in RAM (`VmHWM` of proc(5))."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024
