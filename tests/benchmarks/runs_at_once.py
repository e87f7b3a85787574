"""Many threads with a run each at once, in one server: is every event there, in order, and how late are the deltas.

    python -m tests.benchmarks.runs_at_once PID PORT SECONDS THREAD …

is the client, in a process of its own. It prints one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from statistics import median
from typing import Any, cast

import uvloop

from tests.benchmarks.client import Connection, get, post, stream
from tests.benchmarks.common import Bench, Row, percentile, shown
from tests.benchmarks.processes import HOUSE, Server, python, reference, serving

RUNS = 50
RATE = 50
SECONDS = 10
ROUNDS = 3
BEGIN = {"assistant_id": "jan", "model": "scripted", "stream": True}
"""The request for each run."""
AROUND = (
    [
        "thread.run.created",
        "thread.run.queued",
        "thread.run.in_progress",
        "thread.run.step.created",
        "thread.run.step.in_progress",
        "thread.message.created",
        "thread.message.in_progress",
    ],
    ["thread.message.completed", "thread.run.step.completed", "thread.run.completed", "done"],
)
"""The events before the deltas of a run that says something, and after them."""
_DELTA = b"event: thread.message.delta\n"
_END = b"event: done\n"


def run(bench: Bench) -> list[Row]:
    """Two figures, each the median of three rounds: the delay of deltas, and what they cost. One lost breaks both."""
    seconds = 3 if bench.quick else SECONDS
    rounds: list[dict[str, float]] = []
    broken = ""
    with serving(reference("running", str(bench.folder / "at-once")), bench.folder / "at-once.log") as jan:
        # What the first run of a server loads is no delay of many at once.
        begun = post(f"/v1/threads/{_thread(jan, 0, 0.1)}/runs", BEGIN)
        stream(jan.port, [begun])
        for number in range(1 if bench.quick else ROUNDS):
            threads = [_thread(jan, each, seconds) for each in range(RUNS)]
            command = python("-m", "tests.benchmarks.runs_at_once", str(jan.pid), str(jan.port), str(seconds), *threads)
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=seconds + 60, cwd=HOUSE)
            told = json.loads(done.stdout)
            broken = broken or told.pop("wrong")
            rounds.append(told)
            bench.say(f"{RUNS} runs, round {number + 1}: {json.dumps(told)}")
    own = max(one["own"] for one in rounds)
    if own > 0.9:
        broken = broken or f"the client used {own:.0%} of a CPU, so it was late itself"

    def row(what: str, name: str, threshold: float | None, unit: str, of: str) -> Row:
        values = [one[name] for one in rounds]
        return Row(
            what, median(values), min(values), max(values), threshold, unit, at_least=False, of=of, broken=broken
        )

    counted = f"{len(rounds)} rounds of {seconds} s"
    middle = f"{counted}, median {shown(median(one['median'] for one in rounds))} ms; all events there, in order"
    return [
        row(f"{RUNS} runs of {RATE}/s: delay of deltas, 95th percentile", "p95", 50, " ms", middle),
        row(f"{RUNS} runs of {RATE}/s: CPU of the server a delta", "cpu", None, " us", counted),
    ]


def words(run: int, seconds: float) -> list[str]:
    """What a run says: other words than every other run."""
    return [f"word{run}-{number} " for number in range(round(RATE * seconds))]


def _thread(jan: Server, number: int, seconds: float) -> str:
    connection = Connection(jan.port)
    script = json.dumps({"say": words(number, seconds), "rate": RATE})
    made = json.loads(connection.ask(post("/v1/threads", {"messages": [{"role": "user", "content": script}]})))
    connection.close()
    return str(made["id"])


class Reading(asyncio.Protocol):
    """The stream of one run: all of it, and when each of its deltas arrived.

    Args:
        request: what is sent.
        ended: is done when the stream is.
    """

    def __init__(self, request: bytes, ended: asyncio.Future[None]) -> None:
        self.request = request
        self.ended = ended
        self.arrived: list[float] = []
        self.sent = 0.0
        self.data = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.sent = time.monotonic()
        cast(asyncio.Transport, transport).write(self.request)  # uvloop's derives from nothing

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        # What may have arrived in part is looked at again, and is too short to be counted twice.
        at = max(0, len(self.data) - len(_DELTA) + 1)
        self.data += data
        self.arrived += [now] * self.data.count(_DELTA, at)
        if not self.ended.done() and self.data.find(_END, at) >= 0:
            self.ended.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_exception(RuntimeError(f"a stream ended early: {bytes(self.data[-600:])!r}"))

    def delays(self) -> list[float]:
        """Seconds by which each delta was late: it was due at its turn, counted from the sending of the request."""
        return [at - (self.sent + number / RATE) for number, at in enumerate(self.arrived)]


def wrong(data: bytes, said: list[str]) -> str:
    """What is wrong with the stream of a run, which is to say these words; empty where nothing is.

    Args:
        data: all that arrived, head and frames of the reply included.
        said: the text of each delta, in order.
    """
    events = [block.split(b"\n") for block in data.split(b"event: ")[1:]]
    names = [lines[0].decode() for lines in events]
    deltas = [lines[1] for lines in events if lines[0] == b"thread.message.delta"]
    before, after = AROUND
    if names != [*before, *["thread.message.delta"] * len(deltas), *after]:
        return f"other events than those of a run, or in another order: {[*dict.fromkeys(names)]}"
    found = [json.loads(line.removeprefix(b"data: "))["delta"]["content"][0]["text"]["value"] for line in deltas]
    if found != said:
        at = next((at for at, pair in enumerate(zip(found, said, strict=False)) if pair[0] != pair[1]), len(found))
        return f"{len(found)} deltas where there should be {len(said)}, other ones from number {at} on"
    return ""


def _stored(server: Server, thread: str) -> str:
    """The newest message of a thread, as its text."""
    connection = Connection(server.port)
    found = json.loads(connection.ask(get(f"/v1/threads/{thread}/messages?limit=1")))
    connection.close()
    return str(found["data"][0]["content"][0]["text"]["value"])


async def _read(server: Server, seconds: float, threads: list[str]) -> dict[str, Any]:
    """Begin the runs over one second, evenly, so that their deltas are not all due at once, and read them all."""
    loop = asyncio.get_running_loop()
    runs = [Reading(post(f"/v1/threads/{thread}/runs", BEGIN), loop.create_future()) for thread in threads]

    async def opened(number: int, one: Reading) -> None:
        await asyncio.sleep(number / len(runs))
        await loop.create_connection(lambda: one, "127.0.0.1", server.port)
        await one.ended

    used, own, began = server.cpu(), time.process_time(), time.monotonic()
    await asyncio.gather(*(opened(number, one) for number, one in enumerate(runs)))
    used, own, took = server.cpu() - used, time.process_time() - own, time.monotonic() - began
    faults = [wrong(bytes(one.data), words(number, seconds)) for number, one in enumerate(runs)]
    for number, thread in enumerate(threads):
        if _stored(server, thread) != "".join(words(number, seconds)):
            faults.append("a stored message is not what its deltas add up to")
    delays = [delay for one in runs for delay in one.delays()]
    return {
        "p95": round(percentile(delays, 95) * 1000, 2),
        "median": round(percentile(delays, 50) * 1000, 2),
        "latest": round(max(delays) * 1000, 2),
        "cpu": round(used / len(delays) * 1_000_000, 1),
        "deltas": len(delays),
        "own": round(own / took, 3),
        "wrong": next((fault for fault in faults if fault), ""),
    }


if __name__ == "__main__":
    try:
        found = uvloop.run(_read(Server(int(sys.argv[1]), int(sys.argv[2])), float(sys.argv[3]), sys.argv[4:]))
    except KeyboardInterrupt:
        sys.exit(130)
    print(json.dumps(found))
