"""Threads, each time with one mistake in how they are stored, deleted, and kept apart."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from jan_core.errors import InvalidRequest, NotFound, Unavailable
from jan_core.idempotency import once
from jan_core.ids import new_id, new_thread_id, now
from jan_core.schemas.messages import Message
from jan_core.schemas.settings import SettingsLayer
from jan_core.schemas.threads import Thread, ThreadDeleted, ThreadRequest, ThreadUpdate
from jan_core.testing.memory_threads import Storage
from tests.contract_bites.bites import caught_by
from tests.contract_bites.wrong_threads import Wrong


@caught_by("threads", 15)
class AFileForEveryIdAskedFor(Wrong):
    async def retrieve(self, thread_id: str) -> Thread:
        if thread_id.isprintable() and thread_id.isascii() and len(thread_id) < 1000:
            path = (self._jan.root / "asked" / thread_id).resolve()
            if path.is_relative_to(self._jan.root.parents[1]):  # wrong, but never beyond the test's own folder
                path.parent.mkdir(parents=True, exist_ok=True)
                if not path.is_dir():
                    path.write_text("asked")
        return await super().retrieve(thread_id)


@caught_by("threads", 15)
class FailsAtOddIds(Wrong):
    async def check(self, thread_id: str) -> None:
        thread_id.encode()
        await super().check(thread_id)


@caught_by("threads", 15)
class PutsUnderAnyId(Wrong):
    async def put(self, thread: Thread) -> None:
        self._threads[thread.id] = thread.model_copy(deep=True)


@caught_by("threads", 15)
class ForgetsWithoutLooking(Wrong):
    async def forget(self, thread_id: str) -> None:
        self._deleted.remove(thread_id)


@caught_by("threads", 17)
class OnlyInThisProcess(Wrong):
    def __init__(self, jan: Any) -> None:
        super().__init__(jan)
        own = Storage()
        self._threads, self._deleted, self._answered = own.threads, own.deleted, own.answered


@caught_by("threads", 17)
class KeepsWhatItReadOnce(Wrong):
    def __init__(self, jan: Any) -> None:
        super().__init__(jan)
        self._known: dict[str, Thread] = {}

    async def retrieve(self, thread_id: str) -> Thread:
        found = await super().retrieve(thread_id)
        return self._known.setdefault(thread_id, found).model_copy(deep=True)

    async def update(self, thread_id: str, body: ThreadUpdate) -> Thread:
        self._known.pop(thread_id, None)
        return await super().update(thread_id, body)


@caught_by("threads", 18)
class MessagesComeAfterwards(Wrong):
    async def create(self, body: ThreadRequest) -> Thread:
        made = await super().create(body.model_copy(update={"messages": None}))
        if body.messages:
            await self._jan.messages.start(made.id, body.messages)
        return made


@caught_by("threads", 18)
class OneMessageOnly(Wrong):
    async def create(self, body: ThreadRequest) -> Thread:
        return await super().create(body.model_copy(update={"messages": (body.messages or [])[:1]}))


@caught_by("threads", 19)
class ThreadWithoutItsMessages(Wrong):
    async def create(self, body: ThreadRequest) -> Thread:
        try:
            return await super().create(body)
        except Unavailable:
            return await super().create(body.model_copy(update={"messages": None}))


@caught_by("threads", 19)
class KeyOfWhatFailed(Wrong):
    async def create(self, body: ThreadRequest) -> Thread:
        asked = once("threads.create", body)
        try:
            return await super().create(body)
        except Unavailable:
            if asked is not None:
                thread = Thread.of(body, id=new_thread_id("jan"), created_at=now())
                self._answered[asked.key] = (asked.fingerprint, thread)
            raise


@caught_by("threads", 20)
class LostUpdate(Wrong):
    async def create(self, body: ThreadRequest) -> Thread:
        before = dict(self._threads)
        await asyncio.sleep(0.001)
        made = await super().create(body)
        self._threads.clear()
        self._threads.update({**before, made.id: made.model_copy(deep=True)})
        return made


@caught_by("threads", 20)
class ReadersSeeItLater(Wrong):
    async def create(self, body: ThreadRequest) -> Thread:
        made = await super().create(body)
        thread = self._threads.pop(made.id)
        asyncio.get_running_loop().call_later(0.05, self._threads.setdefault, made.id, thread)
        return made


@caught_by("threads", 21)
class AChangeWritesAllAsItWas(Wrong):
    async def update(self, thread_id: str, body: ThreadUpdate) -> Thread:
        before = await self.retrieve(thread_id)
        await asyncio.sleep(0.001)
        self._find(thread_id)
        self._threads[thread_id] = before.changed(body).model_copy(deep=True)
        return await self.retrieve(thread_id)


@caught_by("threads", 21)
class AChangeBringsItBack(Wrong):
    async def update(self, thread_id: str, body: ThreadUpdate) -> Thread:
        self._find(thread_id)
        await asyncio.sleep(0.001)
        before = self._threads.get(thread_id) or Thread(id=thread_id, created_at=now())
        self._threads[thread_id] = before.changed(body).model_copy(deep=True)
        return self._threads[thread_id].model_copy(deep=True)


@caught_by("threads", 21)
class BothDeletionsAreAnswered(Wrong):
    async def delete(self, thread_id: str) -> ThreadDeleted:
        self._find(thread_id)
        await asyncio.sleep(0.001)
        if thread_id in self._threads:
            await super().delete(thread_id)
        return ThreadDeleted(id=thread_id, deleted=True)


@caught_by("threads", 22)
class KeyIgnored(Wrong):
    async def create(self, body: ThreadRequest) -> Thread:
        self._answered.clear()
        return await super().create(body)


@caught_by("threads", 22)
class KeyAnswersWhatIsStoredNow(Wrong):
    async def create(self, body: ThreadRequest) -> Thread:
        return await self.retrieve((await super().create(body)).id)


@caught_by("threads", 22)
class KeyStoresTheMessagesAgain(Wrong):
    async def create(self, body: ThreadRequest) -> Thread:
        made = await super().create(body.model_copy(update={"messages": None}))
        for one in body.messages or ():
            await self._jan.messages.put(Message.of(one, id=new_id("msg_"), thread_id=made.id, created_at=now()))
        return made


@caught_by("threads", 22)
class KeyOfThisProcessOnly(Wrong):
    def __init__(self, jan: Any) -> None:
        super().__init__(jan)
        self._answered = {}


@caught_by("threads", 22)
class KeyNotedTooLate(Wrong):
    async def create(self, body: ThreadRequest) -> Thread:
        asked = once("threads.create", body)
        if asked is None or asked.key in self._answered:
            return await super().create(body)
        made = await self._make(body)
        await asyncio.sleep(0.001)
        self._threads[made.id] = made.model_copy(deep=True)
        self._answered[asked.key] = (asked.fingerprint, made.model_copy(deep=True))
        return made


@caught_by("threads", 23)
class AnotherBodyGetsTheFirstReply(Wrong):
    async def create(self, body: ThreadRequest) -> Thread:
        asked = once("threads.create", body)
        if asked is not None and asked.key in self._answered:
            return self._answered[asked.key][1].model_copy(deep=True)
        return await super().create(body)


@caught_by("threads", 23)
class AnotherBodyIsABadRequest(Wrong):
    async def create(self, body: ThreadRequest) -> Thread:
        asked = once("threads.create", body)
        if asked is not None and self._answered.get(asked.key, (asked.fingerprint,))[0] != asked.fingerprint:
            raise InvalidRequest("The key was used.", code="idempotency_conflict")
        return await super().create(body)


@caught_by("threads", 24)
class TheStoredObjectItself(Wrong):
    async def retrieve(self, thread_id: str) -> Thread:
        return self._find(thread_id)


@caught_by("threads", 24)
class TheGivenObjectItself(Wrong):
    async def put(self, thread: Thread) -> None:
        await super().put(thread)
        self._threads[thread.id] = thread


@caught_by("threads", 24)
class ACopyThatIsNotDeep(Wrong):
    async def retrieve(self, thread_id: str) -> Thread:
        return self._find(thread_id).model_copy()


@caught_by("threads", 24)
class LayersOfTheStoredObject(Wrong):
    async def layers(self, thread_id: str) -> Sequence[SettingsLayer]:
        thread = self._find(thread_id)
        values = {**(thread.parameters or {}), "model": thread.model}
        return [SettingsLayer.model_construct(origin=f"thread {thread_id}", values=values)]


@caught_by("threads", 25)
class NoNoteOfADeletion(Wrong):
    async def delete(self, thread_id: str) -> ThreadDeleted:
        reply = await super().delete(thread_id)
        self._deleted.remove(thread_id)
        return reply


@caught_by("threads", 25)
class NoteOfThisProcessOnly(Wrong):
    def __init__(self, jan: Any) -> None:
        super().__init__(jan)
        self._deleted = []


@caught_by("threads", 25)
class OneNoteOnly(Wrong):
    async def deleted(self) -> Sequence[str]:
        return self._deleted[:1]


@caught_by("threads", 25)
class ForgettingDeletes(Wrong):
    async def forget(self, thread_id: str) -> None:
        await super().forget(thread_id)
        self._threads.pop(thread_id, None)


@caught_by("threads", 25)
class NothingToForgetIsAnError(Wrong):
    async def forget(self, thread_id: str) -> None:
        if thread_id not in self._deleted:
            raise NotFound("It was not deleted.")
        await super().forget(thread_id)


@caught_by("threads", 26)
class LayersWithDefaults(Wrong):
    async def layers(self, thread_id: str) -> Sequence[SettingsLayer]:
        (found,) = await super().layers(thread_id)
        return [found.model_copy(update={"values": {"temperature": 1.0, **found.values}})]


@caught_by("threads", 26)
class ModelOfTheAssistant(Wrong):
    async def layers(self, thread_id: str) -> Sequence[SettingsLayer]:
        (found,) = await super().layers(thread_id)
        for one in self._find(thread_id).assistants or ():
            found.values["model"] = found.values["model"] or one.model
        return [found]


@caught_by("threads", 26)
class NoPlaceIsTold(Wrong):
    async def layers(self, thread_id: str) -> Sequence[SettingsLayer]:
        return [one.model_copy(update={"origin": "thread"}) for one in await super().layers(thread_id)]


@caught_by("threads", 27)
class PutSetsTheTime(Wrong):
    async def put(self, thread: Thread) -> None:
        await super().put(thread.model_copy(update={"created_at": now()}))


@caught_by("threads", 27)
class PutMerges(Wrong):
    async def put(self, thread: Thread) -> None:
        before = self._threads.get(thread.id, thread)
        values = {name: getattr(thread, name) for name in thread.model_fields_set}
        await super().put(before.model_copy(update=values))


@caught_by("threads", 27)
class PutBringsADeletedThreadBack(Wrong):
    async def put(self, thread: Thread) -> None:
        if thread.id in self._deleted:
            self._deleted.remove(thread.id)
        await super().put(thread)


@caught_by("threads", 28)
class AnUnfinishedThread(Wrong):
    async def create(self, body: ThreadRequest) -> Thread:
        made = await super().create(body.model_copy(update={"title": None}))
        await asyncio.sleep(0.001)
        self._threads[made.id] = made = made.model_copy(update={"title": body.title})
        return made.model_copy(deep=True)


@caught_by("threads", 28)
class ALockThatStaysLocked(Wrong):
    def __init__(self, jan: Any) -> None:
        super().__init__(jan)
        self._busy = False

    async def create(self, body: ThreadRequest) -> Thread:
        if self._busy:
            raise InvalidRequest("Somebody else writes.")
        self._busy = True
        await asyncio.sleep(0.001)
        made = await super().create(body)
        self._busy = False
        return made


@caught_by("threads", 28)
class AChangeInTwoSteps(Wrong):
    async def update(self, thread_id: str, body: ThreadUpdate) -> Thread:
        found = self._find(thread_id)
        for name in body.model_fields_set:
            only = ThreadUpdate.model_construct(**{name: getattr(body, name)})
            found = await super().update(thread_id, only)
            await asyncio.sleep(0.0005)
        return found.model_copy(deep=True)
