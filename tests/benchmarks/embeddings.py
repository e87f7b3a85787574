"""Speed of embeddings, against the library called directly in a process that does nothing else."""

from __future__ import annotations

import json
import math
import time
from typing import Any

from jan_llamacpp.parameters import EMBEDDINGS, load_parameters
from jan_llamacpp.settings import LlamaCppSettings

from tests.benchmarks.client import Connection, post
from tests.benchmarks.common import Bench, Row
from tests.benchmarks.processes import MODEL, calling, jan_serve, reference, serving, smollm2
from tests.benchmarks.stream import location

ABOUT = "a request with 256 short texts, texts/s; against xllamacpp called directly"
TEXTS = 256
TAKEN = ("path", "context", "slots", "batch", "threads", "gpu_layers", "pooling")
"""What the reference takes of all that Jan's worker is told."""


def run(bench: Bench) -> list[Row]:
    """The one figure. Jan's side is a request over HTTP, the reference's the call alone."""
    root = smollm2()
    given = load_parameters(location(), LlamaCppSettings(), EMBEDDINGS)
    command = reference("embeddings", json.dumps({name: given[name] for name in TAKEN}))
    with (
        serving(jan_serve(root), bench.folder / "jan.log") as server,
        calling(command, bench.folder / "xllamacpp.log") as library,
    ):

        def asked(number: int) -> tuple[float, bytes]:
            request = post("/v1/embeddings", {"model": MODEL, "input": texts(number)})
            connection = Connection(server.port)  # the server closes one that waits for the other side's turn
            began = time.monotonic()
            reply = connection.ask(request)
            seconds = time.monotonic() - began
            connection.close()
            return seconds, reply

        def theirs(number: int) -> float:
            return TEXTS / float(library.ask({"input": texts(number)})["seconds"])

        ours = [one["embedding"] for one in json.loads(asked(1000)[1])["data"]]
        broken = differs(ours, library.ask({"input": texts(1000)}))
        pairs = bench.pairs(lambda number: TEXTS / asked(number)[0], theirs)
    row = pairs.row("256 embeddings in a request, texts/s, ratio to the library", 0.9, unit="/s", broken=broken)
    return [row]


def texts(number: int) -> list[str]:
    """The texts of a pair: short, and no other pair's."""
    return [f"bread {number} {each}" for each in range(TEXTS)]


def differs(ours: list[list[float]], theirs: dict[str, Any]) -> str:
    """What is wrong where both did not do the same work; else empty."""
    if (len(ours), len(ours[0])) != (theirs["count"], theirs["width"]):
        return f"{len(ours)} vectors of {len(ours[0])}, the reference {theirs['count']} of {theirs['width']}"
    cosine = sum(a * b for a, b in zip(ours[0], theirs["first"], strict=True))
    cosine /= math.hypot(*ours[0]) * math.hypot(*theirs["first"])
    return "" if cosine > 0.999 else f"the vectors differ: cosine {cosine:.3f}"
