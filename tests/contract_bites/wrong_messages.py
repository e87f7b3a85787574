"""Messages, each time with one mistake in the reference implementation."""

from __future__ import annotations

import asyncio
import re
import unicodedata
from typing import Any, ClassVar

from jan_core.endpoints.messages import Messages
from jan_core.errors import InvalidRequest, NotFound, Unavailable
from jan_core.hookspecs import hookimpl
from jan_core.pages import cut
from jan_core.schemas.messages import (
    Message,
    MessageDeleted,
    MessagePage,
    MessageRequest,
    MessagesQuery,
    MessageUpdate,
)
from jan_core.testing.memory_messages import MessagesInMemory
from tests.contract_bites.bites import caught_by


class Wrong(MessagesInMemory):
    """The reference, as the plugin of itself."""

    @classmethod
    @hookimpl
    def provide_messages(cls, settings: Any, jan: Any) -> Messages:
        return cls(jan)

    def stored(self, thread_id: str) -> list[Message]:
        return [one.message for one in self._threads.get(thread_id, [])]

    def paged(self, page: Any) -> MessagePage:
        return MessagePage(**dict(page))


class WrongWhenMade(Wrong):
    """Changes a message before it is stored, or before it is answered."""

    def changed(self, message: Message) -> Message:
        return message

    async def create(self, thread_id: str, body: MessageRequest) -> Message:
        made = await super().create(thread_id, body)
        for one in self._threads[thread_id]:
            if one.message.id == made.id:
                one.message = self.changed(one.message)
                return one.message.model_copy(deep=True)
        return made


class WrongPage(Wrong):
    """Cuts another page."""

    def cut(self, messages: list[Message], query: MessagesQuery) -> Any:
        return cut(messages, query)

    async def list(self, thread_id: str, query: MessagesQuery) -> MessagePage:
        await self._jan.threads.check(thread_id)
        messages = [one.model_copy(deep=True) for one in self.stored(thread_id)]
        if query.run_id is not None:
            return await super().list(thread_id, query)
        return self.paged(self.cut(messages, query))


@caught_by("messages", 1)
class IdWithoutPrefix(WrongWhenMade):
    def changed(self, message: Message) -> Message:
        return message.model_copy(update={"id": message.id.removeprefix("msg_")})


@caught_by("messages", 1)
class NeverCompleted(WrongWhenMade):
    def changed(self, message: Message) -> Message:
        return message.model_copy(update={"completed_at": None})


@caught_by("messages", 1)
class AnotherType(Wrong):
    async def create(self, thread_id: str, body: MessageRequest) -> Message:
        return (await super().create(thread_id, body)).model_dump()  # type: ignore[return-value]


@caught_by("messages", 2)
class AttachmentsForgotten(WrongWhenMade):
    async def retrieve(self, thread_id: str, message_id: str) -> Message:
        return (await super().retrieve(thread_id, message_id)).model_copy(update={"attachments": []})


@caught_by("messages", 2)
class PartsOfOneKindTogether(WrongWhenMade):
    async def retrieve(self, thread_id: str, message_id: str) -> Message:
        found = await super().retrieve(thread_id, message_id)
        return found.model_copy(update={"content": sorted(found.content, key=lambda part: part.type)})


@caught_by("messages", 3)
class TextTrimmed(Wrong):
    async def create(self, thread_id: str, body: MessageRequest) -> Message:
        content = body.content.strip() or "-" if isinstance(body.content, str) else body.content
        return await super().create(thread_id, body.model_copy(update={"content": content}))


@caught_by("messages", 3)
class TextNormalised(Wrong):
    async def create(self, thread_id: str, body: MessageRequest) -> Message:
        content = unicodedata.normalize("NFC", body.content) if isinstance(body.content, str) else body.content
        return await super().create(thread_id, body.model_copy(update={"content": content}))


@caught_by("messages", 4)
class IdsOfTheClock(WrongWhenMade):
    def changed(self, message: Message) -> Message:
        return message.model_copy(update={"id": f"msg_{message.created_at}"})


@caught_by("messages", 5)
class SortedByTime(WrongPage):
    def cut(self, messages: list[Message], query: MessagesQuery) -> Any:
        return cut(sorted(messages, key=lambda one: one.created_at), query)


@caught_by("messages", 5)
class SortedByTimeAndId(WrongPage):
    def cut(self, messages: list[Message], query: MessagesQuery) -> Any:
        return cut(sorted(messages, key=lambda one: (one.created_at, one.id)), query)


@caught_by("messages", 5)
class OldestFirstByDefault(WrongPage):
    def cut(self, messages: list[Message], query: MessagesQuery) -> Any:
        return cut(messages, query if "order" in query.model_fields_set else query.model_copy(update={"order": "asc"}))


@caught_by("messages", 6)
class LimitIgnored(WrongPage):
    def cut(self, messages: list[Message], query: MessagesQuery) -> Any:
        return cut(messages, query.model_copy(update={"limit": 1000}))


@caught_by("messages", 6)
class NeverMore(WrongPage):
    def cut(self, messages: list[Message], query: MessagesQuery) -> Any:
        return cut(messages, query).model_copy(update={"has_more": False})


@caught_by("messages", 6)
class MoreOnAFullPage(WrongPage):
    def cut(self, messages: list[Message], query: MessagesQuery) -> Any:
        page = cut(messages, query)
        return page.model_copy(update={"has_more": len(page.data) == query.limit})


@caught_by("messages", 6)
class FirstAndLastByAge(WrongPage):
    def cut(self, messages: list[Message], query: MessagesQuery) -> Any:
        page = cut(messages, query)
        return page.model_copy(update={"first_id": page.last_id, "last_id": page.first_id})


@caught_by("messages", 7)
class NoPageOfNothing(Wrong):
    async def list(self, thread_id: str, query: MessagesQuery) -> MessagePage:
        page = await super().list(thread_id, query)
        if not page.data:
            raise NotFound("There are no messages.", param="thread_id", code="thread_not_found")
        return page


@caught_by("messages", 8)
class AfterGivesTheCursorAgain(WrongPage):
    def cut(self, messages: list[Message], query: MessagesQuery) -> Any:
        if query.after is not None:
            ordered = messages if query.order == "asc" else messages[::-1]
            place = [one.id for one in ordered].index(query.after)
            query = query.model_copy(update={"after": ordered[place - 1].id if place else None})
        return cut(messages, query)


@caught_by("messages", 8)
class AfterSkipsOne(WrongPage):
    def cut(self, messages: list[Message], query: MessagesQuery) -> Any:
        page = cut(messages, query)
        return page if query.after is None else page.model_copy(update={"data": page.data[1:]})


@caught_by("messages", 8)
class AfterForgetsTheOrder(WrongPage):
    def cut(self, messages: list[Message], query: MessagesQuery) -> Any:
        return cut(messages, query if query.after is None else query.model_copy(update={"order": "desc"}))


@caught_by("messages", 9)
class BeforeIgnored(WrongPage):
    def cut(self, messages: list[Message], query: MessagesQuery) -> Any:
        return cut(messages, query.model_copy(update={"before": None}))


@caught_by("messages", 9)
class BeforeBeginsAtTheBeginning(WrongPage):
    def cut(self, messages: list[Message], query: MessagesQuery) -> Any:
        page = cut(messages, query.model_copy(update={"limit": 100}))
        data = page.data[: query.limit]
        ids = (data[0].id, data[-1].id) if data else (None, None)
        told = {"data": data, "first_id": ids[0], "last_id": ids[1], "has_more": len(page.data) > query.limit}
        return page.model_copy(update=told)


@caught_by("messages", 10)
class CursorsArePlaces(Wrong):
    def __init__(self, jan: Any) -> None:
        super().__init__(jan)
        self._places: dict[str, int] = {}

    async def list(self, thread_id: str, query: MessagesQuery) -> MessagePage:
        ids = [one.id for one in self.stored(thread_id)][::-1]
        if query.after in self._places:
            place = self._places[query.after or ""]
            query = query.model_copy(update={"after": ids[min(place, len(ids) - 1)]})
        self._places |= {id: place for place, id in enumerate(ids)}
        return await super().list(thread_id, query)


@caught_by("messages", 11)
class UnknownCursorIgnored(Wrong):
    async def list(self, thread_id: str, query: MessagesQuery) -> MessagePage:
        try:
            return await super().list(thread_id, query)
        except InvalidRequest:
            return await super().list(thread_id, query.model_copy(update={"after": None, "before": None}))


@caught_by("messages", 11)
class UnknownCursorFails(WrongPage):
    def cut(self, messages: list[Message], query: MessagesQuery) -> Any:
        for cursor in (query.after, query.before):
            if cursor is not None:
                [one.id for one in messages].index(cursor)
        return cut(messages, query)


@caught_by("messages", 12)
class RunLeftOutAfterCutting(Wrong):
    async def list(self, thread_id: str, query: MessagesQuery) -> MessagePage:
        page = await super().list(thread_id, query.model_copy(update={"run_id": None}))
        if query.run_id is not None:
            page.data = [one for one in page.data if one.run_id == query.run_id]
        return page


@caught_by("messages", 12)
class RunIgnored(Wrong):
    async def list(self, thread_id: str, query: MessagesQuery) -> MessagePage:
        return await super().list(thread_id, query.model_copy(update={"run_id": None}))


@caught_by("messages", 13)
class MetadataMerged(Wrong):
    async def update(self, thread_id: str, message_id: str, body: MessageUpdate) -> Message:
        old = await self.retrieve(thread_id, message_id)
        if body.metadata:
            body = body.model_copy(update={"metadata": {**old.metadata, **body.metadata}})
        return await super().update(thread_id, message_id, body)


@caught_by("messages", 13)
class LeftOutIsNull(Wrong):
    async def update(self, thread_id: str, message_id: str, body: MessageUpdate) -> Message:
        return await super().update(thread_id, message_id, MessageUpdate(metadata=body.metadata))


@caught_by("messages", 13)
class UpdateAnsweredAndNotStored(Wrong):
    async def update(self, thread_id: str, message_id: str, body: MessageUpdate) -> Message:
        return (await self.retrieve(thread_id, message_id)).changed(body)


@caught_by("messages", 13)
class UpdateMovesToTheEnd(Wrong):
    async def update(self, thread_id: str, message_id: str, body: MessageUpdate) -> Message:
        reply = await super().update(thread_id, message_id, body)
        self._threads[thread_id].sort(key=lambda one: one.message.id == message_id)
        return reply


@caught_by("messages", 14)
class DeletedIsOnlyHidden(Wrong):
    def __init__(self, jan: Any) -> None:
        super().__init__(jan)
        self._gone: dict[tuple[str, str], Message] = {}

    async def delete(self, thread_id: str, message_id: str) -> MessageDeleted:
        self._gone[thread_id, message_id] = await self.retrieve(thread_id, message_id)
        return await super().delete(thread_id, message_id)

    async def retrieve(self, thread_id: str, message_id: str) -> Message:
        return self._gone.get((thread_id, message_id)) or await super().retrieve(thread_id, message_id)


@caught_by("messages", 14)
class DeletesWhatFollowsToo(Wrong):
    async def delete(self, thread_id: str, message_id: str) -> MessageDeleted:
        place = [one.id for one in self.stored(thread_id)].index(message_id)
        reply = await super().delete(thread_id, message_id)
        del self._threads[thread_id][place : place + 1]
        return reply


@caught_by("messages", 2)
class FifteenPairsAreKept(WrongWhenMade):
    def changed(self, message: Message) -> Message:
        return message.model_copy(update={"metadata": dict([*message.metadata.items()][:15])})


@caught_by("messages", 2)
class TwoMegabytesAreTooMuch(Wrong):
    async def create(self, thread_id: str, body: MessageRequest) -> Message:
        if len(body.model_dump_json()) > 2_000_000:
            raise InvalidRequest("The message is too large.")
        return await super().create(thread_id, body)


@caught_by("messages", 4)
class IdsByCounting(WrongWhenMade):
    """The largest one of those that are there, and one more."""

    def changed(self, message: Message) -> Message:
        there = [one.message.id[4:] for stored in self._threads.values() for one in stored]
        last = max((int(one) for one in there if one.isdigit()), default=0)
        return message.model_copy(update={"id": f"msg_{last + 1}"})


@caught_by("messages", 8)
class TheNewestOnly(Wrong):
    async def create(self, thread_id: str, body: MessageRequest) -> Message:
        made = await super().create(thread_id, body)
        del self._threads[thread_id][:-250]
        return made


@caught_by("messages", 12)
class RunsByPattern(WrongPage):
    async def list(self, thread_id: str, query: MessagesQuery) -> MessagePage:
        await self._jan.threads.check(thread_id)
        messages = [one.model_copy(deep=True) for one in self.stored(thread_id)]
        wanted = query.run_id
        return self.paged(cut(messages, query, keep=lambda one: wanted is None or like(wanted, one.run_id or "")))


@caught_by("messages", 13)
class UpdateLosesTheRun(Wrong):
    async def update(self, thread_id: str, message_id: str, body: MessageUpdate) -> Message:
        reply = await super().update(thread_id, message_id, body)
        stored = await self._find(thread_id, message_id)
        stored.message = stored.message.model_copy(update={"run_id": None})
        return reply


def like(pattern: str, text: str) -> bool:
    """As LIKE of SQLite compares: `_` is any character, `%` any characters, and case is all one."""
    parts = {"_": ".", "%": ".*"}
    return bool(re.fullmatch("".join(parts.get(one, re.escape(one)) for one in pattern), text, re.DOTALL | re.I))


@caught_by("messages", 20)
class TwoThatOpenAtOnceClash(Wrong):
    opening: ClassVar[set[int]] = set()

    async def create(self, thread_id: str, body: MessageRequest) -> Message:
        async with vars(self).setdefault("turn", asyncio.Lock()):
            if "opened" not in vars(self):
                if id(self._threads) in self.opening:
                    raise Unavailable("The database is locked.")
                self.opening.add(id(self._threads))
                await asyncio.sleep(0.02)
                self.opening.discard(id(self._threads))
                vars(self)["opened"] = True
        return await super().create(thread_id, body)
