from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jan_threads_json.store import ThreadsJson

from jan_core.schemas.messages import MessageRequest


class MessagesInFiles:
    """The one operation of messages that threads call: it notes what it was given."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.started: list[tuple[str, int]] = []
        self.fails: Exception | None = None

    async def start(self, thread_id: str, bodies: list[MessageRequest]) -> None:
        self.started.append((thread_id, len(bodies)))
        if self.fails is not None:
            raise self.fails


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def messages(root: Path) -> MessagesInFiles:
    return MessagesInFiles(root)


@pytest.fixture
def jan(root: Path, messages: MessagesInFiles) -> Any:
    return SimpleNamespace(root=root, endpoints={"messages": messages}, messages=messages)


@pytest.fixture
async def threads(jan: Any) -> AsyncIterator[ThreadsJson]:
    async with ThreadsJson(jan) as entered:
        yield entered


@pytest.fixture
def write(root: Path) -> Callable[..., Path]:
    """`write("threads/x/thread.json", created_at=1)` writes a file as a person would."""

    def do(name: str, /, content: str | bytes | None = None, **fields: Any) -> Path:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            content = json.dumps(fields)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return do
