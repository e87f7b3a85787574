"""The reference implementation of `messages`, in memory: the plainest code that keeps the endpoint's promises."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakValueDictionary

from pydantic import ValidationError
from pydantic_core import from_json

from jan_core.endpoints.messages import Messages
from jan_core.errors import Conflict, InvalidRequest, NotFound
from jan_core.folder.names import check_name
from jan_core.hookspecs import hookimpl
from jan_core.idempotency import Once, once
from jan_core.ids import new_id, now
from jan_core.lines import line_of
from jan_core.pages import cut
from jan_core.schemas.messages import (
    Message,
    MessageDeleted,
    MessagePage,
    MessageRequest,
    MessagesQuery,
    MessageUpdate,
)

if TYPE_CHECKING:
    from jan_core.app import Jan


@dataclass
class Stored:
    """A message as it is, the wish to store it once, and what was answered then."""

    message: Message
    once: Once | None = None
    reply: Message | None = None
    whole: dict[str, Any] = field(default_factory=dict)
    """What it was restored from, with all its fields."""


class Storage(dict[str, list[Stored]]):
    """The messages of each thread, oldest first, and those that were deleted: their keys are remembered."""

    def __init__(self) -> None:
        super().__init__()
        self.deleted: dict[str, list[Stored]] = {}


_STORAGES: WeakValueDictionary[Path, Storage] = WeakValueDictionary()


class MessagesInMemory(Messages):
    """Messages in lists, one a thread. Apps on one root share them, as long as one of these lives.

    Args:
        jan: gives the threads.
    """

    in_memory: ClassVar[bool] = True

    def __init__(self, jan: Jan) -> None:
        self._jan = jan
        self._threads = _STORAGES.setdefault(jan.root, Storage())

    async def create(self, thread_id: str, body: MessageRequest) -> Message:
        """See `Messages`."""
        await self._jan.threads.check(thread_id)
        asked = once("messages.create", body, thread_id)
        first = self._first(thread_id, asked)
        if first is not None:
            return first
        message = Message.of(body, id=new_id("msg_"), thread_id=thread_id, created_at=now())
        self._threads.setdefault(thread_id, []).append(Stored(_copy(message), asked, _copy(message)))
        return message

    async def list(self, thread_id: str, query: MessagesQuery) -> MessagePage:
        """See `Messages`."""
        await self._jan.threads.check(thread_id)
        messages = [one.message for one in self._threads.get(thread_id, [])]
        found = cut(messages, query, keep=lambda one: query.run_id in (None, one.run_id))
        found.data = [_copy(one) for one in found.data]
        return MessagePage(**dict(found))

    async def retrieve(self, thread_id: str, message_id: str) -> Message:
        """See `Messages`."""
        return _copy((await self._find(thread_id, message_id)).message)

    async def update(self, thread_id: str, message_id: str, body: MessageUpdate) -> Message:
        """See `Messages`."""
        found = await self._find(thread_id, message_id)
        found.message = found.message.changed(body)
        return _copy(found.message)

    async def delete(self, thread_id: str, message_id: str) -> MessageDeleted:
        """See `Messages`."""
        found = await self._find(thread_id, message_id)
        self._threads[thread_id].remove(found)
        self._threads.deleted.setdefault(thread_id, []).append(found)
        return MessageDeleted(id=message_id, deleted=True)

    async def repeated(self, thread_id: str, body: MessageRequest) -> Message | None:
        """See `Messages`."""
        await self._jan.threads.check(thread_id)
        return self._first(thread_id, once("messages.create", body, thread_id))

    async def start(self, thread_id: str, bodies: Sequence[MessageRequest]) -> Sequence[Message]:
        """See `Messages`."""
        at = now()
        messages = [Message.of(body, id=new_id("msg_"), thread_id=thread_id, created_at=at) for body in bodies]
        self._threads[thread_id] = [Stored(_copy(message)) for message in messages]
        return messages

    async def put(self, message: Message) -> None:
        """See `Messages`."""
        stored = self._threads.setdefault(message.thread_id, [])
        for one in stored:
            if one.message.id == message.id:
                one.message = _copy(message)
                one.whole = {name: value for name, value in one.whole.items() if name not in Message.model_fields}
                return
        stored.append(Stored(_copy(message)))

    async def export(self, thread_id: str, after: str | None, limit: int) -> Sequence[bytes]:
        """See `Messages`."""
        stored = self._threads.get(thread_id, [])
        ids = [one.message.id for one in stored]
        if after is not None and after not in ids:
            raise InvalidRequest(f"after: there is no message {after!r} in the thread {thread_id!r}.", param="after")
        begin = 0 if after is None else ids.index(after) + 1
        return [
            line_of(
                Message, {**one.message.model_dump(mode="json"), **one.whole, "metadata": dict(one.message.metadata)}
            )
            for one in stored[begin : begin + limit]
        ]

    async def restore(self, thread_id: str, lines: Sequence[bytes]) -> None:
        """See `Messages`."""
        found = []
        for line in lines:
            try:
                message = Message.model_validate_json(line, extra="ignore")
            except ValidationError as error:
                raise InvalidRequest(f"lines: one is no message: {error.title}", param="lines") from None
            check_name(message.id, param="lines")
            found.append(Stored(message, whole=from_json(line)))
        if any(one.message.thread_id != thread_id for one in found) or len({one.message.id for one in found}) < len(
            found
        ):
            raise InvalidRequest(f"lines: one is not of the thread {thread_id!r}, or is there twice.", param="lines")
        stored = self._threads.setdefault(thread_id, [])
        if {one.message.id for one in found} & {one.message.id for one in stored}:
            raise Conflict(f"A message of such an id is in the thread {thread_id!r} already.")
        stored += found

    async def clear(self, thread_id: str) -> None:
        """See `Messages`."""
        self._threads.pop(thread_id, None)
        self._threads.deleted.pop(thread_id, None)

    def _first(self, thread_id: str, asked: Once | None) -> Message | None:
        """What was answered under a key before."""
        for one in [*self._threads.get(thread_id, []), *self._threads.deleted.get(thread_id, [])]:
            if asked is not None and one.once is not None and one.once.key == asked.key:
                asked.check(one.once.fingerprint)
                assert one.reply is not None
                return _copy(one.reply)
        return None

    async def _find(self, thread_id: str, message_id: str) -> Stored:
        await self._jan.threads.check(thread_id)
        check_name(message_id, param="message_id")
        for one in self._threads.get(thread_id, []):
            if one.message.id == message_id:
                return one
        raise NotFound(
            f"There is no message {message_id!r} in the thread {thread_id!r}.",
            param="message_id",
            code="message_not_found",
        )


def _copy(message: Message) -> Message:
    """So that nobody who changes what they got or gave changes what is stored."""
    return message.model_copy(deep=True)


@hookimpl
def provide_messages(settings: Any, jan: Jan) -> MessagesInMemory:
    """Build the module."""
    return MessagesInMemory(jan)
