"""What the backend's tests share: the real model as a location, and quick settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jan_llamacpp.settings import LlamaCppSettings

from jan_core.schemas.models import ModelLocation


@pytest.fixture
def quick() -> LlamaCppSettings:
    """Settings under which the small model loads in a second."""
    return LlamaCppSettings(context=512, slots=2, queue=2, threads=1, prompt_cache_mib=0, load_seconds=60)


@pytest.fixture
def location(smollm2_path: Path) -> Callable[..., ModelLocation]:
    """`location(revision="2", settings={…})`: the real model, or another path."""

    def make(**fields: Any) -> ModelLocation:
        told = {"id": "smollm2", "path": str(smollm2_path), "size": 1, "revision": "1", **fields}
        return ModelLocation(**told)

    return make
