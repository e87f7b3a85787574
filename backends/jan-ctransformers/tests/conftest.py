"""What the backend's tests share: both models as locations, and the engine without an app around it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from jan_ctransformers import CTransformers
from jan_ctransformers.settings import CTransformersSettings
from jan_workers import Workers
from jan_workers.settings import WorkersSettings

from jan_core.schemas.models import ModelLocation


@pytest.fixture
def tiny(tiny_gpt2: Path) -> Callable[..., ModelLocation]:
    """`tiny(settings={…})`: the tiny GPT-2, or another path."""

    def make(**fields: Any) -> ModelLocation:
        metadata = {"architecture": "gpt2", "context_length": 256}
        told = {"id": "tiny", "path": str(tiny_gpt2), "size": 1, "metadata": metadata, **fields}
        return ModelLocation(**{"revision": repr(fields), **told})

    return make


@pytest.fixture
def smollm2(smollm2_ggml: Path) -> Callable[..., ModelLocation]:
    """`smollm2(settings={…})`: the real model as an early GGUF file."""

    def make(**fields: Any) -> ModelLocation:
        told = {"id": "smollm2", "path": str(smollm2_ggml), "size": 1, "revision": repr(fields), **fields}
        return ModelLocation(**told)

    return make


class App:
    """The one thing that an engine asks of the app: the backend it stands on."""

    def __init__(self) -> None:
        self.workers = Workers(WorkersSettings(queue=2, load_seconds=60), self)  # type: ignore[arg-type]

    def backend(self, kind: type[Workers]) -> Workers:
        return self.workers


@pytest.fixture
async def engine() -> AsyncIterator[CTransformers]:
    """The engine; its workers end with the test."""
    app: Any = App()
    async with app.workers:
        yield CTransformers(CTransformersSettings(context=512, threads=1), app)


@pytest.fixture
def ask(engine: CTransformers) -> Callable[..., Any]:
    """`await ask(location, "completion", prompt="go")`: all pieces of the answer."""

    async def pieces(location: ModelLocation, task: str, **body: Any) -> list[dict[str, Any]]:
        return [piece async for piece in engine.generate(location, task, body)]

    return pieces
