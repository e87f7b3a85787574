"""Speed of answers from ctransformers, against the library called directly in a process that does nothing else."""

from __future__ import annotations

import json
from pathlib import Path

from jan_ctransformers.parameters import load_parameters
from jan_ctransformers.settings import CTransformersSettings

from jan_core.schemas.models import ModelLocation
from tests.benchmarks.client import chat, stream
from tests.benchmarks.common import Bench, Row
from tests.benchmarks.processes import MODEL, calling, jan_serve, reference, serving, smollm2
from tests.models.early_gguf import write_early_gguf

ABOUT = "one stream of ctransformers, tokens/s; against the library called directly"
TOKENS = 96
"""Tokens of an answer; the answers to the prompt below are longer."""
CONFIG = '[endpoints]\nchat = ["chat-ctransformers"]\ncompletions = []\nembeddings = []\n'


def run(bench: Bench) -> list[Row]:
    """The one figure. Every request's prompt is new, so that no side finds an earlier one in its cache."""
    root, path = _root(bench.folder)
    location = ModelLocation(id="early", engine="ctransformers", path=str(path), size=1, revision="1")
    given = load_parameters(location, CTransformersSettings())
    asked = json.dumps({name: given[name] for name in ("path", "context", "threads", "batch")})
    with (
        serving(jan_serve(root), bench.folder / "jan.log") as server,
        calling(reference("ctransformers", asked), bench.folder / "ctransformers.log") as library,
    ):

        def ours(number: int) -> float:
            (found,) = stream(server.port, [chat("early", _prompt(number), TOKENS)])
            if found.tokens != TOKENS:
                raise RuntimeError(f"an answer of {found.tokens} tokens where it should have {TOKENS}")
            return TOKENS / (found.ended - found.sent)

        def theirs(number: int) -> float:
            return TOKENS / float(library.ask({"prompt": _prompt(number), "tokens": TOKENS})["seconds"])

        ours(1000)
        theirs(1000)
        pairs = bench.pairs(ours, theirs)
    return [pairs.row("one stream of ctransformers, tokens/s, ratio to the library", 0.95, unit="/s")]


def _root(folder: Path) -> tuple[Path, Path]:
    """A root with the real model in an early GGUF file; its prompt is the message as it is."""
    root = folder / "root"
    model = root / "models" / "early"
    model.mkdir(parents=True)
    (root / "jan.toml").write_text(CONFIG)
    told = {"engine": "ctransformers", "settings": {"chat_template": "{{ messages[0].content }}"}}
    (model / "model.json").write_text(json.dumps(told))
    path = model / "early.gguf"
    write_early_gguf(next((smollm2() / "models" / MODEL).glob("*.gguf")).resolve(), path)
    return root, path


def _prompt(number: int) -> str:
    return f"{number}. The history of bread, from the first farmers until today. Bread was first made"
