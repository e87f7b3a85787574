"""What four plugins cost that wrap every operation and do nothing."""

from __future__ import annotations

import json

from tests.benchmarks.client import get, post
from tests.benchmarks.common import Bench, Row
from tests.benchmarks.load import Load, load, told
from tests.benchmarks.processes import Server, reference, serving

ABOUT = "four no-op wrapping plugins, against none, on a plain request and on a stream"
PAIRS = 16
SECONDS = 1.0
PIECES = 20
"""Text events of the stream."""


def run(bench: Bench) -> list[Row]:
    """Two figures: a listing, which is the quickest operation there is, and a short stream."""
    script = json.dumps({"say": [f"piece {number} " for number in range(PIECES)]})
    body = {"model": "scripted", "messages": [{"role": "user", "content": script}], "stream": True}
    requests = {"a listing": get("/v1/models"), "a stream of 20": post("/v1/chat/completions", body)}
    rows = []
    with (
        serving(reference("scripted", str(bench.folder), "4"), bench.folder / "four.log") as four,
        serving(reference("scripted", str(bench.folder), "0"), bench.folder / "none.log") as none,
    ):
        for name, request in requests.items():
            bench.say(name)

            loads: dict[Server, list[Load]] = {four: [], none: []}

            def measured(server: Server, request: bytes = request, loads: dict[Server, list[Load]] = loads) -> float:
                loads[server].append(load(server, request, seconds=SECONDS))
                return loads[server][-1].rate

            load(four, request), load(none, request)
            pairs = bench.pairs(lambda _: measured(four), lambda _: measured(none), PAIRS)
            remark = told(loads[four], loads[none])
            rows.append(pairs.row(f"four no-op plugins on {name}, ratio to none", 0.9, unit="/s", remark=remark))
    return rows
