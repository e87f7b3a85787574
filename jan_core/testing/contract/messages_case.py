"""An app with messages under test, and short names for what the clauses do most."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from jan_core.endpoint import Endpoint
from jan_core.endpoints.messages import Messages
from jan_core.errors import InvalidRequest, NotFound
from jan_core.schemas.messages import MessageRequest, MessagesQuery, MessageUpdate
from jan_core.schemas.threads import Thread, ThreadRequest
from jan_core.testing.contract.case import Broken, Case, same, segment, written
from jan_core.testing.contract.clauses import Contract
from jan_core.testing.contract.watch import Watch
from jan_core.testing.contract.watch_objects import MessagesWatch, MessageWatch
from jan_core.testing.elsewhere import Failed, read_elsewhere
from jan_core.testing.wired import built_by
from jan_core.validation import parse_query


class MessagesCase(Case):
    """An app with threads in memory, and messages under test."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._threads: list[Any] = []
        self._directly = itertools.cycle((True, False))

    async def follow(self, first: Self) -> None:
        """See `Case`."""
        for thread in first._threads:
            await self.ask("threads.put", thread)

    async def in_another_process(self, thread: str) -> list[dict[str, Any]]:
        """The messages of a thread, oldest first, as a process answers them that has only the storage.

        Where `make` builds its app by other means than `app`, it is a second app in this process that answers.
        """
        how = built_by(self.jan)
        if how is None:
            async with self.again() as other:
                return await other.all(thread)
        path = f"/threads/{segment(thread)}/messages?order=asc&limit=100"
        try:
            ((status, told),) = await read_elsewhere(how, [path], [written(one) for one in self._threads])
        except Failed as error:
            raise Broken(f"another process could not open the same storage: {error}") from error
        same("the status in another process", status, 200)
        return list(told["data"])

    async def thread(self) -> str:
        """The id of a new thread."""
        self._threads.append(await self.ask("threads.create", ThreadRequest()))
        return str(self._threads[-1].id)

    async def named(self, id: str) -> None:
        """Make a thread of this id."""
        self._threads.append(Thread(id=id, created_at=1_700_000_000))
        await self.ask("threads.put", self._threads[-1])

    async def say(self, thread: str, content: Any = "hello", key: str | None = None, **fields: Any) -> dict[str, Any]:
        """Create a message, by turns directly and over HTTP."""
        body = {"role": "user", "content": content, **fields}
        if next(self._directly):
            reply = await self.ask("messages.create", thread, MessageRequest.model_validate(body), key=key)
            return dict(written(reply))
        return await self.sent("POST", thread, body=body, key=key)

    async def sent(self, method: str, thread: str, id: str | None = None, **how: Any) -> dict[str, Any]:
        """A request that is answered; see `Case.send`."""
        path = f"/threads/{segment(thread)}/messages" + (f"/{segment(id)}" if id is not None else "")
        status, told = await self.send(method, path, **how)
        if status != 200:
            raise Broken(f"{method} {path[:200]} answered {status}: {told}")
        return dict(told)

    async def read(self, thread: str, id: str) -> dict[str, Any]:
        """A message, read both ways."""
        found = written(await self.ask("messages.retrieve", thread, id))
        same("the message over HTTP, against the one that other modules get", await self.sent("GET", thread, id), found)
        return dict(found)

    async def page(self, thread: str, **query: Any) -> dict[str, Any]:
        """A page, read both ways."""
        given = {name: str(value) for name, value in query.items() if value is not None}
        found = written(await self.ask("messages.list", thread, parse_query(MessagesQuery, given)))
        over_http = await self.sent("GET", thread, query=given)
        same(f"the page {given} over HTTP, against the one that other modules get", over_http, found)
        return dict(found)

    async def all(self, thread: str) -> list[dict[str, Any]]:
        """All messages, oldest first, by pages of 100 and cursors."""
        found: list[dict[str, Any]] = []
        after = None
        while True:
            page = await self.page(thread, order="asc", limit=100, after=after)
            found += page["data"]
            if not page["has_more"] or not page["data"]:
                return found
            after = page["last_id"]

    async def texts(self, thread: str) -> list[str]:
        """The text of each message, oldest first."""
        return [one["content"][0]["text"]["value"] for one in await self.all(thread)]

    async def is_nowhere(self, thread: str, id: str) -> None:
        """Look that no operation finds a message."""
        expected = {"code": "message_not_found", "param": "message_id", "status": 404}
        await self.refused(NotFound, "messages.retrieve", thread, id, **expected)
        await self.refused(NotFound, "messages.update", thread, id, MessageUpdate(metadata={"a": "b"}), **expected)
        await self.refused(NotFound, "messages.delete", thread, id, **expected)
        await self.refused(InvalidRequest, "messages.list", thread, MessagesQuery(after=id), param="after")


class OfMessages(Contract):
    """What the parts of the contract share."""

    endpoint: ClassVar[type[Endpoint]] = Messages
    letter: ClassVar[str] = "M"
    case: ClassVar[type[Case]] = MessagesCase
    live: ClassVar[Mapping[str, type[Watch]]] = {"create": MessageWatch, "update": MessageWatch, "list": MessagesWatch}
