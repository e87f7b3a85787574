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
TOKENS = 192
"""Tokens of an answer. They are what is measured: the prompts are short, and the end of an answer is forbidden."""
ENDLESS = {"logit_bias": {"2": -100}}
"""Forbids the real model's token that ends an answer, so that every answer has its full length."""
FOUR_PAIRS = 16
"""Pairs for four streams: which of them come to share a batch is chance, so they differ more than single ones."""
FIRST_PAIRS = 120
"""Pairs for the time to the first token: it is short, and its differences are of the size of the noise."""


def run(bench: Bench) -> list[Row]:
    """The three figures. Every request's prompt is new, so that no side finds an earlier one in its cache.

    The prompt of the first token's figure is short: reading it is the same work on both sides, and the longer it
    takes, the more its noise hides what is asked, which is what Jan adds.
    """
    with servers(bench) as (jan, theirs):

        def one(server: Server, number: int) -> float:
            return together(stream(server.port, [chat(MODEL, f"{number}: tell a story.", TOKENS, **ENDLESS)]), TOKENS)

        def four(server: Server, number: int) -> float:
            asked = [chat(MODEL, f"{number}, {each}: tell a story.", TOKENS, **ENDLESS) for each in range(4)]
            return together(stream(server.port, asked), TOKENS)

        def first(server: Server, number: int) -> float:
            (found,) = stream(server.port, [chat(MODEL, f"{number}: say hello.", 1)])
            return (found.first - found.sent) * 1000

        for server in (jan, theirs):
            first(server, 1000)
            four(server, 1000)
        bench.say("one stream")
        single = bench.pairs(lambda number: one(jan, number), lambda number: one(theirs, number))
        bench.say("four streams")
        several = bench.pairs(lambda number: four(jan, number), lambda number: four(theirs, number), FOUR_PAIRS)
        bench.say("first token")
        begun = bench.pairs(lambda number: first(jan, number), lambda number: first(theirs, number), FIRST_PAIRS)
    return [
        single.row("one stream, tokens/s, ratio to llama.cpp's server", 0.97, unit="/s"),
        several.row("four streams at once, tokens/s, ratio to it", 0.97, unit="/s"),
        begun.row("time to first token, more than it", 3, unit=" ms", ratio=False, at_least=False),
    ]


@contextmanager
def servers(bench: Bench) -> Iterator[tuple[Server, Server]]:
    """Jan and llama.cpp's own server, with the real model and the same parameters."""
    root = smollm2()
    given = json.dumps(parameters())
    with (
        serving(jan_serve(root), bench.folder / "jan.log") as jan,
        serving(reference("llamacpp", given), bench.folder / "llamacpp.log") as theirs,
    ):
        yield jan, theirs


def load_all(**settings: Any) -> dict[str, Any]:
    """All that Jan's worker is told to load the real model with, by default or with other settings of its backend."""
    return load_parameters(location(), LlamaCppSettings(**settings))


def location() -> ModelLocation:
    """Where the real model is, as `models` tells it."""
    path = next((smollm2() / "models" / MODEL).glob("*.gguf")).resolve()
    return ModelLocation(id=MODEL, engine="llamacpp", path=str(path), size=path.stat().st_size, revision="1")


def parameters(**settings: Any) -> dict[str, Any]:
    """Of these, what the reference server takes."""
    given = load_all(**settings)
    return {name: given[name] for name in ("path", "context", "slots", "threads", "gpu_layers")}


def together(found: list[Streamed], tokens: int) -> float:
    """Tokens a second of streams that were sent at once, from the first request to the last end.

    Raises:
        RuntimeError: an answer is not of so many tokens.
    """
    if any(one.tokens != tokens for one in found):
        raise RuntimeError(f"answers of {[one.tokens for one in found]} tokens where each should have {tokens}")
    return sum(one.tokens for one in found) / (max(one.ended for one in found) - min(one.sent for one in found))
