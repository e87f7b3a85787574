"""What the backend's tests share: the real model as a location, and quick settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jan_llamacpp import LlamaCpp
from jan_llamacpp.settings import LlamaCppSettings
from jan_workers import Workers
from jan_workers.settings import WorkersSettings

from jan_core.schemas.models import ModelLocation


@pytest.fixture
def quick() -> LlamaCppSettings:
    """Settings under which the small model loads in a second."""
    return LlamaCppSettings(context=512, slots=2, threads=1, prompt_cache_mib=0)


@pytest.fixture
def location(smollm2_path: Path) -> Callable[..., ModelLocation]:
    """`location(revision="2", settings={…})`: the real model, or another path."""

    def make(**fields: Any) -> ModelLocation:
        told = {"id": "smollm2", "path": str(smollm2_path), "size": 1, "revision": "1", **fields}
        return ModelLocation(**told)

    return make


class App:
    """The one thing that an engine asks of the app: the backend it stands on."""

    def __init__(self, **settings: Any) -> None:
        self.workers = Workers(WorkersSettings(queue=2, load_seconds=60, **settings), None)

    def backend(self, kind: type[Workers]) -> Workers:
        return self.workers


@pytest.fixture
def engine(quick: LlamaCppSettings) -> Callable[..., LlamaCpp]:
    """`engine(keep_alive=0.2)`: the engine, on loaded models with these settings; `engine().workers` holds them."""

    def make(**settings: Any) -> LlamaCpp:
        app: Any = App(**settings)
        return LlamaCpp(quick, app)

    return make
