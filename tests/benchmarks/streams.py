"""Many streams at once from one server process: does every one keep its rate, how late are events, what do they cost.

    python -m tests.benchmarks.streams PID PORT SECONDS

is the client, in a process of its own. It prints one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import cast

import uvloop

from tests.benchmarks.client import post
from tests.benchmarks.common import Bench, Row, percentile
from tests.benchmarks.processes import HOUSE, Server, python, reference, serving

ABOUT = "200 streams of 50 events/s from the scripted engine in one process"
STREAMS = 200
RATE = 50
SECONDS = 10
ROUNDS = 3
_EVENT = b'"content":"word'
"""Begins the text of each event that is counted; the events that open and close a stream have none."""


def run(bench: Bench) -> list[Row]:
    """Three figures, each the median of three rounds (the worst stream and the latest events of a round)."""
    seconds = 3 if bench.quick else SECONDS
    rounds = []
    with serving(reference("scripted", str(bench.folder), "0"), bench.folder / "jan.log") as jan:
        for number in range(1 if bench.quick else ROUNDS):
            rounds.append(once(jan, seconds))
            bench.say(f"round {number + 1}: {json.dumps(rounds[-1])}")
    broken = too_slow(rounds)

    def row(what: str, name: str, threshold: float, unit: str, *, at_least: bool) -> Row:
        values = [one[name] for one in rounds]
        of = f"{len(values)} rounds of {seconds} s"
        return Row(what, statistics.median(values), min(values), max(values), threshold, unit, at_least, of, broken)

    return [
        row("200 streams of 50/s: the slowest, share of its rate", "slowest", 0.98, "", at_least=True),
        row("200 streams of 50/s: delay of events, 99th percentile", "p99", 100, " ms", at_least=False),
        row("200 streams of 50/s: CPU of the server an event", "cpu", 70, " us", at_least=False),
    ]


def once(server: Server, seconds: float) -> dict[str, float]:
    """One round, read by a client in a process of its own; what it printed."""
    command = python("-m", "tests.benchmarks.streams", str(server.pid), str(server.port), str(seconds))
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=seconds + 30, cwd=HOUSE)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def too_slow(rounds: Sequence[Mapping[str, float]]) -> str:
    """Why rounds count for nothing, where the client itself was late; else empty."""
    own = max(one["own"] for one in rounds)
    return f"the client used {own:.0%} of a CPU, so it was late itself" if own > 0.9 else ""


class Reading(asyncio.Protocol):
    """One stream: when each of its events arrived."""

    def __init__(self, request: bytes, events: int, ended: asyncio.Future[None]) -> None:
        self.request = request
        self.events = events
        self.ended = ended
        self.arrived: list[float] = []
        self.sent = 0.0
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.sent = time.monotonic()
        cast(asyncio.Transport, transport).write(self.request)  # uvloop's derives from nothing

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        data = self._tail + data
        found = data.count(_EVENT)
        if found:
            self.arrived += [now] * found
            if len(self.arrived) >= self.events and not self.ended.done():
                self.ended.set_result(None)
        # Shorter than what is looked for, so nothing is counted twice.
        self._tail = data[1 - len(_EVENT) :]

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_exception(RuntimeError(f"a stream ended after {len(self.arrived)} events: {self._tail!r}"))

    def delays(self) -> list[float]:
        """Seconds by which each event was late: it was due at its turn, counted from the sending of the request."""
        return [at - (self.sent + number / RATE) for number, at in enumerate(self.arrived)]

    def share(self) -> float:
        """The rate it came at, as a share of the one asked for."""
        return (len(self.arrived) - 1) / (self.arrived[-1] - self.arrived[0]) / RATE


async def _read(server: Server, seconds: float) -> dict[str, float]:
    """Open the streams over one second, evenly, so that their events are not all due at once, and read them all."""
    loop = asyncio.get_running_loop()
    events = round(RATE * seconds)
    script = json.dumps({"say": [f"word{number} " for number in range(events)], "rate": RATE})
    body = {"model": "scripted", "messages": [{"role": "user", "content": script}], "stream": True}
    request = post("/v1/chat/completions", body)
    streams = [Reading(request, events, loop.create_future()) for _ in range(STREAMS)]

    async def opened(number: int, one: Reading) -> None:
        await asyncio.sleep(number / STREAMS)
        await loop.create_connection(lambda: one, "127.0.0.1", server.port)
        await one.ended

    used, own, began = server.cpu(), time.process_time(), time.monotonic()
    await asyncio.gather(*(opened(number, one) for number, one in enumerate(streams)))
    used, own, took = server.cpu() - used, time.process_time() - own, time.monotonic() - began
    delays = [delay for one in streams for delay in one.delays()]
    return {
        "slowest": min(one.share() for one in streams),
        "p99": percentile(delays, 99) * 1000,
        "median": percentile(delays, 50) * 1000,
        "latest": max(delays) * 1000,
        "cpu": used / len(delays) * 1_000_000,
        "events": len(delays),
        "own": own / took,
    }


if __name__ == "__main__":
    try:
        found = uvloop.run(_read(Server(int(sys.argv[1]), int(sys.argv[2])), float(sys.argv[3])))
    except KeyboardInterrupt:
        sys.exit(130)
    print(json.dumps({name: round(value, 4) for name, value in found.items()}))
