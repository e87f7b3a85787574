"""Appending a message and listing the newest: in a long thread against a short one, and against bare routes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.client import Connection, get, post
from tests.benchmarks.common import Bench, Pairs, Row, percentile
from tests.benchmarks.conversations import make_threads
from tests.benchmarks.load import Load, load, told
from tests.benchmarks.processes import Server, jan_serve, reference, serving

ABOUT = "messages: append and newest 20, at 100,000 messages against few, and against bare routes"
LONG = 100_000
SHORT, NEWEST = 10, 20
SHORT_THREADS = 8
"""Short threads that take turns, so that none of them becomes long."""
BLOCK = 120
"""Requests of each side behind one pair of latencies, alternating."""
SECONDS = 1.0
PAIRS = 16
BODY = {"role": "user", "content": "What would you say of a walk by the river, now that the rain has ended?"}


def run(bench: Bench) -> list[Row]:
    """Five figures."""
    root = bench.folder / "root"
    bench.say(f"writing a thread of {LONG} messages")
    (long,) = make_threads(root, 1, LONG)
    short = make_threads(root, SHORT_THREADS, SHORT, first=1)
    (newest,) = make_threads(root, 1, NEWEST, first=100)
    (busy,) = make_threads(root, 1, SHORT, first=101)
    with serving(jan_serve(root), bench.folder / "jan.log") as jan:
        return [
            *_append_latency(bench, jan, long, short),
            _append_rate(bench, jan, busy),
            *_newest(bench, jan, long, newest),
        ]


def path_of(thread: str) -> str:
    """Of a thread's messages."""
    return f"/v1/threads/{thread}/messages"


def _seconds(connection: Connection, request: bytes) -> float:
    began = time.perf_counter()
    connection.ask(request)
    return time.perf_counter() - began


def alternating(
    bench: Bench, jan: Server, large: bytes, small: Sequence[bytes], other: Server | None = None
) -> list[tuple[list[float], list[float]]]:
    """Milliseconds of requests of both kinds that took turns on one connection, a block a pair.

    Args:
        bench: the run.
        jan: the server.
        large: the request of the first kind.
        small: those of the second, which take turns.
        other: the server of the second kind, where it is another one.
    """
    connections = [Connection(jan.port), Connection((other or jan).port)]
    for request in (large, large):
        connections[0].ask(request)
    for request in (*small, *small):
        connections[1].ask(request)
    blocks = []
    for number in range(bench.count(PAIRS)):
        block: tuple[list[float], list[float]] = ([], [])
        for turn in range(BLOCK):
            for side in (0, 1) if (turn + number) % 2 else (1, 0):
                request = small[turn % len(small)] if side else large
                block[side].append(_seconds(connections[side], request) * 1000)
        blocks.append(block)
        middle = [statistics.median(side) for side in block]
        bench.say(f"block {number + 1}: long {middle[0]:.3f} ms, short {middle[1]:.3f} ms")
    for connection in connections:
        connection.close()
    return blocks


def _append_latency(bench: Bench, jan: Server, long: str, short: Sequence[str]) -> list[Row]:
    bench.say(f"appending at {LONG} messages, and at {SHORT}")
    blocks = alternating(bench, jan, post(path_of(long), BODY), [post(path_of(one), BODY) for one in short])
    rows = []
    for percent in (50, 95):
        pairs = Pairs(
            [percentile(large, percent) for large, _ in blocks], [percentile(few, percent) for _, few in blocks]
        )
        what = f"append at {LONG:,} messages, p{percent}, ratio to at {SHORT}"
        rows.append(pairs.row(what, 1.15, unit=" ms", at_least=False))
    return rows


def _append_rate(bench: Bench, jan: Server, thread: str) -> Row:
    bench.say("appending, one client, against a bare handler that appends the same bytes and flushes them")
    request = post(path_of(thread), BODY)
    connection = Connection(jan.port)
    connection.ask(request)
    connection.close()
    stored = bench.folder / "root" / "threads" / thread / "messages.json"
    line = bench.folder / "line"
    line.write_bytes(stored.read_bytes().splitlines(keepends=True)[-2])
    loads: dict[str, list[Load]] = {"jan": [], "bare": []}
    command = reference("appending", str(line), str(bench.folder / "appended"))
    with serving(command, bench.folder / "appending.log") as bare:

        def measured(name: str, server: Server, asked: bytes) -> float:
            loads[name].append(load(server, asked, connections=1, seconds=SECONDS))
            return loads[name][-1].rate

        theirs = post("/append", BODY)
        load(jan, request, connections=1), load(bare, theirs, connections=1)
        pairs = bench.pairs(lambda _: measured("jan", jan, request), lambda _: measured("bare", bare, theirs), PAIRS)
    return pairs.row(
        "append, one client, requests/s, ratio to a bare handler with fsync",
        0.45,
        unit="/s",
        remark=told(loads["jan"], loads["bare"]),
    )


def _newest(bench: Bench, jan: Server, long: str, short: str) -> list[Row]:
    bench.say(f"the newest {NEWEST} of {LONG} messages, and of {NEWEST}")
    asked = get(f"{path_of(long)}?limit={NEWEST}")
    few = get(f"{path_of(short)}?limit={NEWEST}")
    blocks = alternating(bench, jan, asked, [few])
    lengths = Pairs(
        [statistics.median(large) for large, _ in blocks], [statistics.median(small) for _, small in blocks]
    )
    rows = [
        lengths.row(f"newest {NEWEST} of {LONG:,} messages, ratio to of {NEWEST}", 1.15, unit=" ms", at_least=False)
    ]
    bench.say(f"the newest {NEWEST}, against a bare route with the same bytes")
    connection = Connection(jan.port)
    same: Path = bench.folder / "listing.json"
    same.write_bytes(connection.ask(asked))
    connection.close()
    loads: dict[str, list[Load]] = {"jan": [], "bare": []}
    with serving(reference("bare", str(same), path_of(long)), bench.folder / "bare.log") as bare:

        def measured(name: str, server: Server) -> float:
            loads[name].append(load(server, asked, seconds=SECONDS))
            return loads[name][-1].rate

        load(jan, asked), load(bare, asked)
        pairs = bench.pairs(lambda _: measured("jan", jan), lambda _: measured("bare", bare), PAIRS)
    broken = ""
    if sum(one.limited_by_client for one in loads["bare"]) > len(loads["bare"]) / 2:
        broken = "the client was slower than the bare server, so the ratio says nothing"
    remark = told(loads["jan"], loads["bare"])
    what = f"newest {NEWEST} of {LONG:,}, requests/s, ratio to a bare route"
    return [*rows, pairs.row(what, 0.15, unit="/s", broken=broken, remark=remark)]
