"""Messages, each time with one mistake in how they are stored, found, and kept apart."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from jan_core.errors import InvalidRequest, JanError, NotFound
from jan_core.folder.names import check_name
from jan_core.idempotency import once
from jan_core.ids import now
from jan_core.pages import cut
from jan_core.schemas.messages import Message, MessageDeleted, MessagePage, MessageRequest, MessagesQuery, MessageUpdate
from jan_core.testing.memory_messages import Storage, Stored
from tests.contract_bites.bites import caught_by
from tests.contract_bites.wrong_messages import Wrong, WrongPage, like


@caught_by("messages", 15)
class FoundInAnyThread(Wrong):
    async def retrieve(self, thread_id: str, message_id: str) -> Message:
        for one in self._threads:
            for message in self.stored(one):
                if message.id == message_id:
                    return message.model_copy(deep=True)
        return await super().retrieve(thread_id, message_id)


@caught_by("messages", 15)
class ClearsEveryThread(Wrong):
    async def clear(self, thread_id: str) -> None:
        self._threads.clear()


@caught_by("messages", 16)
class DoesNotAskForTheThread(WrongPage):
    async def list(self, thread_id: str, query: MessagesQuery) -> MessagePage:
        return self.paged(cut(self.stored(thread_id), query))


@caught_by("messages", 14)
class NoneIsAFailure(Wrong):
    async def retrieve(self, thread_id: str, message_id: str) -> Message:
        try:
            return await super().retrieve(thread_id, message_id)
        except NotFound as error:
            raise JanError(error.message) from None


@caught_by("messages", 17)
class AFileForEveryIdAskedFor(Wrong):
    async def retrieve(self, thread_id: str, message_id: str) -> Message:
        path = (self._jan.root / "asked" / message_id.replace("\0", "")[:50]).resolve()
        if path.is_relative_to(self._jan.root.parents[1]):  # wrong, but never beyond the test's own folder
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.is_dir():
                path.write_text("asked")
        return await super().retrieve(thread_id, message_id)


@caught_by("messages", 17)
class FailsAtOddIds(Wrong):
    async def retrieve(self, thread_id: str, message_id: str) -> Message:
        message_id.encode()
        return await super().retrieve(thread_id, message_id)


@caught_by("messages", 18)
class OnlyInThisProcess(Wrong):
    def __init__(self, jan: Any) -> None:
        super().__init__(jan)
        self._threads = Storage()


@caught_by("messages", 18)
class MetadataNotStored(Wrong):
    def __init__(self, jan: Any) -> None:
        super().__init__(jan)
        for stored in self._threads.values():
            for one in stored:
                one.message = one.message.model_copy(update={"metadata": {}})


@caught_by("messages", 19)
class LostUpdate(Wrong):
    async def create(self, thread_id: str, body: MessageRequest) -> Message:
        before = list(self._threads.get(thread_id, []))
        made = await super().create(thread_id, body)
        await asyncio.sleep(0)
        self._threads[thread_id] = [*before, self._threads[thread_id][-1]]
        return made


@caught_by("messages", 19)
class ReadersSeeItLater(Wrong):
    async def create(self, thread_id: str, body: MessageRequest) -> Message:
        made = await super().create(thread_id, body)
        last = self._threads[thread_id].pop()
        asyncio.get_running_loop().call_later(0.003, self._threads[thread_id].append, last)
        return made


@caught_by("messages", 20)
class OwnCopyOfTheList(Wrong):
    def __init__(self, jan: Any) -> None:
        super().__init__(jan)
        self._copies: dict[str, list[Stored]] = {}

    async def create(self, thread_id: str, body: MessageRequest) -> Message:
        copy = self._copies.setdefault(thread_id, list(self._threads.get(thread_id, [])))
        made = await super().create(thread_id, body)
        copy.append(self._threads[thread_id][-1])
        self._threads[thread_id] = list(copy)
        return made


@caught_by("messages", 21)
class AChangeWritesAllAsItWas(Wrong):
    async def update(self, thread_id: str, message_id: str, body: MessageUpdate) -> Message:
        before = [Stored(one.message, one.once, one.reply) for one in self._threads.get(thread_id, [])]
        reply = await super().update(thread_id, message_id, body)
        for one in before:
            if one.message.id == message_id:
                one.message = reply.model_copy(deep=True)
        await asyncio.sleep(0)
        self._threads[thread_id] = before
        return reply


@caught_by("messages", 22)
class KeyIgnored(Wrong):
    async def create(self, thread_id: str, body: MessageRequest) -> Message:
        made = await super().create(thread_id, body)
        self._threads[thread_id][-1].once = None
        return made


@caught_by("messages", 22)
class KeyAnswersWhatIsStoredNow(Wrong):
    async def create(self, thread_id: str, body: MessageRequest) -> Message:
        made = await super().create(thread_id, body)
        return await self.retrieve(thread_id, made.id)


@caught_by("messages", 22)
class KeyOfAllThreads(Wrong):
    async def create(self, thread_id: str, body: MessageRequest) -> Message:
        asked = once("messages.create", body)
        for stored in self._threads.values():
            for one in stored:
                if asked is not None and one.once is not None and one.once.key == asked.key:
                    assert one.reply is not None
                    return one.reply
        made = await super().create(thread_id, body)
        self._threads[thread_id][-1].once = asked
        return made


@caught_by("messages", 22)
class KeyNotedTooLate(Wrong):
    async def create(self, thread_id: str, body: MessageRequest) -> Message:
        await asyncio.sleep(0)
        made = await super().create(thread_id, body)
        noted, self._threads[thread_id][-1].once = self._threads[thread_id][-1].once, None
        last = self._threads[thread_id][-1]
        await asyncio.sleep(0)
        last.once = noted
        return made


@caught_by("messages", 23)
class AnotherBodyGetsTheFirstReply(Wrong):
    async def create(self, thread_id: str, body: MessageRequest) -> Message:
        asked = once("messages.create", body, thread_id)
        for one in self._threads.get(thread_id, []):
            if asked is not None and one.once is not None and one.once.key == asked.key and one.reply is not None:
                return one.reply.model_copy(deep=True)
        return await super().create(thread_id, body)


@caught_by("messages", 24)
class TheStoredObjectItself(Wrong):
    async def retrieve(self, thread_id: str, message_id: str) -> Message:
        return (await self._find(thread_id, message_id)).message


@caught_by("messages", 24)
class TheGivenObjectItself(Wrong):
    async def put(self, message: Message) -> None:
        await super().put(message)
        self._threads[message.thread_id][-1].message = message


@caught_by("messages", 25)
class StartAdds(Wrong):
    async def start(self, thread_id: str, bodies: Sequence[MessageRequest]) -> Sequence[Message]:
        before = self._threads.get(thread_id, [])
        made = await super().start(thread_id, bodies)
        self._threads[thread_id] = [*before, *self._threads[thread_id]]
        return made


@caught_by("messages", 25)
class StartTurnsThemRound(Wrong):
    async def start(self, thread_id: str, bodies: Sequence[MessageRequest]) -> Sequence[Message]:
        return await super().start(thread_id, bodies[::-1])


@caught_by("messages", 26)
class PutAtTheEnd(Wrong):
    async def put(self, message: Message) -> None:
        stored = self._threads.setdefault(message.thread_id, [])
        stored[:] = [one for one in stored if one.message.id != message.id]
        await super().put(message)


@caught_by("messages", 26)
class PutSetsTheTime(Wrong):
    async def put(self, message: Message) -> None:
        await super().put(message.model_copy(update={"created_at": now()}))


@caught_by("messages", 26)
class PutAsksForTheThread(Wrong):
    async def put(self, message: Message) -> None:
        await self._jan.threads.check(message.thread_id)
        await super().put(message)


@caught_by("messages", 27)
class ClearLeavesOne(Wrong):
    async def clear(self, thread_id: str) -> None:
        del self._threads.get(thread_id, [])[1:]


@caught_by("messages", 27)
class NothingToClearIsAnError(Wrong):
    async def clear(self, thread_id: str) -> None:
        del self._threads[thread_id]


@caught_by("messages", 28)
class AnUnfinishedMessage(Wrong):
    async def create(self, thread_id: str, body: MessageRequest) -> Message:
        await self._jan.threads.check(thread_id)
        empty = body.model_copy(update={"content": "0"})
        made = await super().create(thread_id, empty)
        stored = self._threads[thread_id][-1]
        await asyncio.sleep(0.001)
        whole = Message.of(body, id=made.id, thread_id=thread_id, created_at=made.created_at)
        stored.message = whole
        return whole.model_copy(deep=True)


@caught_by("messages", 28)
class ALockThatStaysLocked(Wrong):
    def __init__(self, jan: Any) -> None:
        super().__init__(jan)
        self._busy = False

    async def create(self, thread_id: str, body: MessageRequest) -> Message:
        if self._busy:
            raise InvalidRequest("Somebody else writes.")
        self._busy = True
        await asyncio.sleep(0.001)
        made = await super().create(thread_id, body)
        self._busy = False
        return made


@caught_by("messages", 19)
class ATaskThatGoesOn(Wrong):
    """Caught by whatever clause runs: something is still going on when the app is closed."""

    async def create(self, thread_id: str, body: MessageRequest) -> Message:
        self._left = asyncio.create_task(asyncio.sleep(3600))
        return await super().create(thread_id, body)


@caught_by("messages", 15)
class AnIdIsInOneThreadOnly(Wrong):
    async def put(self, message: Message) -> None:
        for thread_id, stored in self._threads.items():
            if thread_id != message.thread_id:
                stored[:] = [one for one in stored if one.message.id != message.id]
        await super().put(message)


@caught_by("messages", 15)
class DeletesTheCopiesToo(Wrong):
    async def delete(self, thread_id: str, message_id: str) -> MessageDeleted:
        reply = await super().delete(thread_id, message_id)
        for stored in self._threads.values():
            stored[:] = [one for one in stored if one.message.id != message_id]
        return reply


@caught_by("messages", 15)
class ClearsByPattern(Wrong):
    async def clear(self, thread_id: str) -> None:
        for other in [one for one in self._threads if like(thread_id, one)]:
            await super().clear(other)


@caught_by("messages", 15)
class FindsByPattern(Wrong):
    async def retrieve(self, thread_id: str, message_id: str) -> Message:
        await self._jan.threads.check(thread_id)
        check_name(message_id, param="message_id")
        for one in self.stored(thread_id):
            if like(message_id, one.id):
                return one.model_copy(deep=True)
        return await super().retrieve(thread_id, message_id)


@caught_by("messages", 15)
class CaseIsAllOne(Wrong):
    async def put(self, message: Message) -> None:
        stored = self._threads.setdefault(message.thread_id, [])
        stored[:] = [one for one in stored if one.message.id.lower() != message.id.lower()]
        await super().put(message)


@caught_by("messages", 22)
class TheLastTwentyKeys(Wrong):
    async def create(self, thread_id: str, body: MessageRequest) -> Message:
        made = await super().create(thread_id, body)
        for one in [one for one in self._threads[thread_id] if one.once is not None][:-20]:
            one.once = None
        return made


@caught_by("messages", 26)
class PutDropsAnnotations(Wrong):
    async def put(self, message: Message) -> None:
        message = message.model_copy(deep=True)
        for part in message.content:
            if part.type == "text":
                part.text.annotations = []
        await super().put(message)


@caught_by("messages", 26)
class TimesOf32Bits(Wrong):
    async def put(self, message: Message) -> None:
        await super().put(message.model_copy(update={"created_at": min(message.created_at, 2**31 - 1)}))


@caught_by("messages", 26)
class PutLeavesTheRunAsItWas(Wrong):
    async def put(self, message: Message) -> None:
        before = {one.id: one.run_id for one in self.stored(message.thread_id)}
        run = before.get(message.id, message.run_id)
        await super().put(message.model_copy(update={"run_id": run}))


@caught_by("messages", 28)
class TheKeyBeforeTheMessage(Wrong):
    """Notes the key and its answer in one step, and stores the message in another one."""

    async def create(self, thread_id: str, body: MessageRequest) -> Message:
        made = await super().create(thread_id, body)
        stored = self._threads[thread_id]
        if stored and stored[-1].message.id == made.id and stored[-1].once is not None:
            one = stored.pop()
            self._threads.deleted.setdefault(thread_id, []).append(one)
            await asyncio.sleep(0.003)
            self._threads.deleted[thread_id].remove(one)
            stored.append(one)
        return made


@caught_by("messages", 28)
class TheMessageBeforeTheKey(Wrong):
    """Stores the message in one step, and notes its key in another one."""

    async def create(self, thread_id: str, body: MessageRequest) -> Message:
        made = await super().create(thread_id, body)
        one = next((one for one in self._threads[thread_id] if one.message.id == made.id), None)
        if one is not None and one.once is not None:
            key, one.once = one.once, None
            await asyncio.sleep(0.003)
            one.once = key
        return made
