from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jan_assistants_json.store import AssistantsJson

from jan_core.testing.memory import ModelsInMemory


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def models() -> ModelsInMemory:
    return ModelsInMemory({})


@pytest.fixture
def jan(root: Path, models: ModelsInMemory) -> Any:
    return SimpleNamespace(root=root, endpoints={"models": models}, models=models)


@pytest.fixture
async def assistants(jan: Any) -> AsyncIterator[AssistantsJson]:
    async with AssistantsJson(jan) as entered:
        yield entered


@pytest.fixture
def write(root: Path) -> Callable[..., Path]:
    """`write("assistants/x/assistant.json", created_at=1)` writes a file as a person would."""

    def do(name: str, /, content: str | bytes | None = None, **fields: Any) -> Path:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            content = json.dumps(fields)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return do
