"""Speed of answers from the real model, against llama.cpp's own HTTP server on the same model and threads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jan_llamacpp.parameters import load_parameters
from jan_llamacpp.settings import LlamaCppSettings

from jan_core.schemas.models import ModelLocation
from tests.benchmarks.client import Streamed, chat, stream
from tests.benchmarks.common import Bench, Row
from tests.benchmarks.processes import MODEL, Server, jan_serve, reference, serving, smollm2

ABOUT = "one stream and four, tokens/s; time to first token; against llama.cpp's own HTTP server"
TOKENS = 96
"""Tokens of an answer; the answers to the prompt below are longer."""
FIRST_PAIRS = 120
"""Pairs for the time to the first token: it is short, and its differences are of the size of the noise."""


def run(bench: Bench) -> list[Row]:
    """The three figures. Every request's prompt is new, so that no side finds an earlier one in its cache.

    The prompt of the first token's figure is short: reading it is the same work on both sides, and the longer it
    takes, the more its noise hides what is asked, which is what Jan adds.
    """
    with _servers(bench) as (jan, theirs):

        def one(server: Server, number: int) -> float:
            return _together(stream(server.port, [chat(MODEL, _long(f"one-{number}"), TOKENS)]))

        def four(server: Server, number: int) -> float:
            asked = [chat(MODEL, _long(f"four-{number}-{each}"), TOKENS) for each in range(4)]
            return _together(stream(server.port, asked))

        def first(server: Server, number: int) -> float:
            (found,) = stream(server.port, [chat(MODEL, f"{number}: say hello.", 1)])
            return (found.first - found.sent) * 1000

        for server in (jan, theirs):
            first(server, 1000)
            four(server, 1000)
        bench.say("one stream")
        single = bench.pairs(lambda number: one(jan, number), lambda number: one(theirs, number))
        bench.say("four streams")
        several = bench.pairs(lambda number: four(jan, number), lambda number: four(theirs, number))
        bench.say("first token")
        begun = bench.pairs(lambda number: first(jan, number), lambda number: first(theirs, number), FIRST_PAIRS)
    return [
        single.row("one stream, tokens/s, ratio to llama.cpp's server", 0.97, unit="/s"),
        several.row("four streams at once, tokens/s, ratio to it", 0.97, unit="/s"),
        begun.row("time to first token, more than it", 3, unit=" ms", ratio=False, at_least=False),
    ]


@contextmanager
def _servers(bench: Bench) -> Iterator[tuple[Server, Server]]:
    root = smollm2()
    given = json.dumps(parameters())
    with (
        serving(jan_serve(root), bench.folder / "jan.log") as jan,
        serving(reference("llamacpp", given), bench.folder / "llamacpp.log") as theirs,
    ):
        yield jan, theirs


def load_all(**settings: Any) -> dict[str, Any]:
    """All that Jan's worker is told to load the real model with, by default or with other settings of its backend."""
    path = next((smollm2() / "models" / MODEL).glob("*.gguf")).resolve()
    location = ModelLocation(id=MODEL, engine="llamacpp", path=str(path), size=path.stat().st_size, revision="1")
    return load_parameters(location, LlamaCppSettings(**settings))


def parameters(**settings: Any) -> dict[str, Any]:
    """Of these, what the reference server takes."""
    given = load_all(**settings)
    return {name: given[name] for name in ("path", "context", "slots", "threads", "gpu_layers")}


def _together(found: list[Streamed]) -> float:
    """Tokens a second of streams that were sent at once, from the first request to the last end."""
    if any(one.tokens != TOKENS for one in found):
        raise RuntimeError(f"answers of {[one.tokens for one in found]} tokens where each should have {TOKENS}")
    return sum(one.tokens for one in found) / (max(one.ended for one in found) - min(one.sent for one in found))


def _long(key: str) -> str:
    return (
        f"[{key}] Write a very long and detailed essay about the history of bread, from the first farmers until today."
    )
