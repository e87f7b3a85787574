from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jan_messages_json.store import MessagesJson

from jan_core.errors import NotFound
from jan_core.schemas.messages import Message, MessageRequest, MessagesQuery

THREAD = "jan-1790000000-0123456789abcd"


class SomeThreads:
    """The threads there are, as a messages module asks for them."""

    def __init__(self) -> None:
        self.ids = {THREAD}

    async def check(self, thread_id: str) -> None:
        if thread_id not in self.ids:
            raise NotFound(f"There is no thread {thread_id!r}.", param="thread_id", code="thread_not_found")


class Store:
    """A store, its file, and short names for what the tests do most."""

    def __init__(self, root: Path, *, rewrite: bool = False) -> None:
        self.root = root
        self.rewrite = rewrite
        self.threads = SomeThreads()
        self.messages = MessagesJson(SimpleNamespace(root=root, threads=self.threads), rewrite=rewrite)  # type: ignore[arg-type]
        self.folder = root / "threads" / THREAD
        self.file = self.folder / "messages.json"

    def again(self) -> Store:
        """As another server process serves it."""
        return Store(self.root, rewrite=self.rewrite)

    async def say(self, *texts: str, **more: Any) -> list[Message]:
        return [await self.messages.create(THREAD, MessageRequest(role="user", content=text, **more)) for text in texts]

    async def texts(self, **query: Any) -> list[str]:
        page = await self.messages.list(THREAD, MessagesQuery(**query))
        return [part.text.value for message in page.data for part in message.content[:1] if part.type == "text"]

    def stored(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.file.read_bytes())
        return found

    def write(self, elements: list[dict[str, Any]]) -> None:
        """As a person's editor may."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.file.write_text(json.dumps(elements, indent=2), "utf-8")


@pytest.fixture(params=["in-place", "rewrite"])
def store(tmp_path: Path, request: pytest.FixtureRequest) -> Store:
    return Store(tmp_path / "root", rewrite=request.param == "rewrite")


@pytest.fixture
def in_place(tmp_path: Path) -> Store:
    return Store(tmp_path / "root")
