"""An app with threads under test, and short names for what the clauses do most."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, ClassVar

from jan_core.endpoint import Endpoint
from jan_core.endpoints.threads import Threads
from jan_core.errors import NotFound
from jan_core.schemas.messages import MessagesQuery
from jan_core.schemas.threads import Thread, ThreadRequest, ThreadsQuery, ThreadUpdate
from jan_core.testing.contract.case import Case, same
from jan_core.testing.contract.clauses import Contract
from jan_core.testing.contract.objects_case import ObjectsCase
from jan_core.testing.contract.watch import Watch
from jan_core.testing.contract.watch_objects import ThreadsWatch, ThreadWatch

FULL: dict[str, Any] = {
    "tool_resources": {"code_interpreter": {"file_ids": ["file-1", "file-2"]}},
    "metadata": {"k" * 64: "v" * 512, "": ""},
    "title": "Zoë's talk",
    "assistants": [{"assistant_id": "zoe", "model": "other"}, {"assistant_id": "jan"}],
    "model": "scripted",
    "parameters": {"temperature": 0.5, "stop": ["a", "b"], "seed": 0, "mirostat": {"tau": [1, 2.5, None, True]}},
}
"""Every field that a thread may have."""


class ThreadsCase(ObjectsCase):
    """An app with threads under test."""

    kind: ClassVar[str] = "thread"
    schema: ClassVar[Any] = Thread
    new: ClassVar[Any] = ThreadRequest
    change: ClassVar[Any] = ThreadUpdate
    query: ClassVar[Any] = ThreadsQuery
    named: ClassVar[str] = "title"

    def asking(self, id: str) -> list[tuple[str, tuple[Any, ...]]]:
        """See `ObjectsCase`."""
        return [*super().asking(id), ("check", (id,))]

    async def is_nowhere(self, id: str) -> None:
        """See `ObjectsCase`; its messages are not found either."""
        await super().is_nowhere(id)
        await self.refused(NotFound, "messages.list", id, MessagesQuery(), code="thread_not_found")

    async def texts(self, thread: str) -> list[str]:
        """The texts of a thread's messages, oldest first."""
        page = await self.ask("messages.list", thread, MessagesQuery(order="asc", limit=100))
        return [one.content[0].text.value for one in page.data]

    async def settings(self, thread: str) -> dict[str, Any]:
        """What the thread itself sets."""
        found: dict[str, Any] = {}
        for layer in reversed(await self.ask("threads.layers", thread)):
            found |= {name: value for name, value in layer.values.items() if value is not None}
        return found

    @asynccontextmanager
    async def unfinished(self) -> AsyncIterator[None]:
        """Have no deletion of this app be finished meanwhile: what other endpoints hold of a thread is not removed."""
        let = asyncio.Event()

        async def waits(proceed: Callable[..., Any], *arguments: Any) -> Any:
            await let.wait()
            return await proceed(*arguments)

        try:
            with self.around("messages.clear", waits):
                yield
        finally:
            let.set()

    async def finished(self) -> None:
        """Wait until all deletions of this app are finished."""
        await self.jan.reconciler.settled()
        same("the deletions that are still noted", list(await self.ask("threads.deleted")), [])


class OfThreads(Contract):
    """What the parts of the contract share."""

    endpoint: ClassVar[type[Endpoint]] = Threads
    letter: ClassVar[str] = "T"
    case: ClassVar[type[Case]] = ThreadsCase
    live: ClassVar[Mapping[str, type[Watch]]] = {"create": ThreadWatch, "update": ThreadWatch, "list": ThreadsWatch}
