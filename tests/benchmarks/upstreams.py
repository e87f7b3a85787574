"""Jan in front of other servers: before llama.cpp's own, with many streams, and while upstreams are killed.

The reference is the same client at the upstream itself, without Jan in between.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from tests.benchmarks import streams
from tests.benchmarks.client import chat, stream
from tests.benchmarks.common import Bench, Row, shown
from tests.benchmarks.processes import Server, jan_serve, python, serving, smollm2
from tests.benchmarks.stream import ENDLESS, FIRST_PAIRS, TOKENS, location, together
from tests.upstreams import front
from tests.upstreams.llamacpp import ALIAS
from tests.upstreams.process import Scripted

ABOUT = "before llama.cpp's own server: one stream and eight, first token; 200 streams; upstreams that are killed"
EIGHT = 8
EIGHT_PAIRS = 16
"""Pairs for eight streams: which of them come to share a batch is chance."""
EIGHT_TOKENS = 64
ROUNDS = 3
SECONDS = 10
REPLICAS = 4
CLIENTS = 8
KILLS = 20
"""Upstreams that are killed, one a second."""
WORDS = [f"word-{number} " for number in range(12)]


def run(bench: Bench) -> list[Row]:
    """Eight figures."""
    return [*_spoken(bench), *_many(bench), _killed(bench)]


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


def _killed(bench: Bench) -> Row:
    """Four upstreams under load, of which one is killed each second and is there again half a second later."""
    kills = 4 if bench.quick else KILLS
    outcomes: Counter[str] = Counter()
    over, lock = threading.Event(), threading.Lock()

    def load(port: int, number: int) -> None:
        turn = 0
        while not over.is_set():
            turn += 1
            found = _outcome(port, f"{number} {turn}")
            with lock:
                outcomes[found] += 1

    with ExitStack() as stack:
        replicas = [stack.enter_context(Scripted(models=["scripted"])) for _ in range(REPLICAS)]
        described = [{"name": f"u{number}", "url": one.url} for number, one in enumerate(replicas)]
        command = jan_serve(front.write(bench.folder / "killed", *described))
        jan = stack.enter_context(serving(command, bench.folder / "killed-jan.log"))
        clients = [threading.Thread(target=load, args=(jan.port, number)) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        try:
            for number in range(kills):
                due = time.monotonic() + 1
                replicas[number % REPLICAS].kill()
                over.wait(0.5)
                replicas[number % REPLICAS].start()
                over.wait(max(0.0, due - time.monotonic()))
        finally:
            over.set()
            for client in clients:
                client.join()
    bench.say(f"{kills} kills: {json.dumps(outcomes)}")
    failed = float(sum(count for outcome, count in outcomes.items() if outcome not in (ENDED, BROKEN)))
    told = f"{outcomes.total()} streams of {CLIENTS} clients, {kills} kills, {outcomes[BROKEN]} broken off and told so"
    broken = "" if outcomes[ENDED] > kills * 5 else f"only {outcomes[ENDED]} streams came to their end"
    what = "4 upstreams, one killed each second: streams failed before their first byte"
    return Row(what, failed, failed, failed, 0, "", False, told, broken)


ENDED, BROKEN = "whole", "broken off, and told so"


def _outcome(port: int, text: str) -> str:
    """How one stream ended."""
    script = json.dumps({"say": WORDS, "rate": 100})
    messages = [{"role": "user", "content": text}, {"role": "user", "content": script}]
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        body = json.dumps({"model": "scripted", "messages": messages, "stream": True})
        connection.request("POST", "/v1/chat/completions", body, {"content-type": "application/json"})
        reply = connection.getresponse()
        told = reply.read()
    except (OSError, HTTPException) as error:
        return f"no answer: {type(error).__name__}"
    finally:
        connection.close()
    if reply.status != 200:
        return f"{reply.status}: {told[:200]!r}"
    if told.rstrip().endswith(b"data: [DONE]") and all(word.encode() in told for word in WORDS):
        return ENDED
    return BROKEN if b'data: {"error"' in told or b'"error":' in told else "ended without its end, in silence"
