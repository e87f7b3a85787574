"""Threads, each time with one mistake in how they are kept among many others, and for long."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from jan_core.errors import NotFound
from jan_core.idempotency import once
from jan_core.ids import now
from jan_core.schemas.threads import Thread, ThreadDeleted, ThreadPage, ThreadRequest, ThreadsQuery, ThreadUpdate
from tests.contract_bites.bites import caught_by
from tests.contract_bites.wrong_messages import like
from tests.contract_bites.wrong_threads import Wrong, WrongPage, WrongWhenMade


@caught_by("threads", 2)
class FifteenPairsAreKept(WrongWhenMade):
    def changed(self, thread: Thread, body: ThreadRequest) -> Thread:
        return thread.model_copy(update={"metadata": dict([*thread.metadata.items()][:15])})


@caught_by("threads", 2)
class TimesOf32Bits(Wrong):
    async def put(self, thread: Thread) -> None:
        await super().put(thread.model_copy(update={"created_at": min(thread.created_at, 2**31 - 1)}))


@caught_by("threads", 8)
class TheNewestOnly(Wrong):
    async def create(self, body: ThreadRequest) -> Thread:
        made = await super().create(body)
        while len(self._threads) > 150:
            del self._threads[next(iter(self._threads))]
        return made


@caught_by("threads", 12)
class TheFirstTwoAssistants(Wrong):
    async def list(self, query: ThreadsQuery) -> ThreadPage:
        kept = dict(self._threads)
        try:
            for id, one in kept.items():
                self._threads[id] = one.model_copy(update={"assistants": (one.assistants or [])[:2]})
            page = await super().list(query)
        finally:
            self._threads.update(kept)
        page.data = [kept[one.id].model_copy(deep=True) for one in page.data]
        return page


@caught_by("threads", 12)
class MetadataByPattern(WrongPage):
    async def list(self, query: ThreadsQuery) -> ThreadPage:
        pairs = {name: value for name, value in (query.metadata or {}).items() if not {*value} & {*"%_"}}
        page = await super().list(query.model_copy(update={"metadata": pairs}))
        for name, value in (query.metadata or {}).items():
            page.data = [one for one in page.data if like(value, one.metadata.get(name, ""))]
        return page


@caught_by("threads", 13)
class AnUpdateIsANewTime(Wrong):
    async def update(self, thread_id: str, body: ThreadUpdate) -> Thread:
        changed = await super().update(thread_id, body)
        self._threads[thread_id] = changed.model_copy(update={"created_at": now()})
        return self._threads[thread_id].model_copy(deep=True)


@caught_by("threads", 14)
class FoundByPattern(Wrong):
    def _find(self, thread_id: str) -> Thread:
        try:
            return super()._find(thread_id)
        except NotFound:
            for id, one in self._threads.items():
                if like(thread_id, id):
                    return one
            raise


@caught_by("threads", 14)
class DeletesByPattern(Wrong):
    async def delete(self, thread_id: str) -> ThreadDeleted:
        reply = await super().delete(thread_id)
        for id in [one for one in self._threads if like(thread_id, one)]:
            del self._threads[id]
        return reply


@caught_by("threads", 22)
class KeysGoWithTheThread(Wrong):
    async def delete(self, thread_id: str) -> ThreadDeleted:
        reply = await super().delete(thread_id)
        for key in [key for key, (_, one) in self._answered.items() if one.id == thread_id]:
            del self._answered[key]
        return reply


@caught_by("threads", 22)
class TheLastTwentyKeys(Wrong):
    async def create(self, body: ThreadRequest) -> Thread:
        made = await super().create(body)
        for key in [*self._answered][:-20]:
            del self._answered[key]
        return made


@caught_by("threads", 25)
class ForgettingOneForgetsAll(Wrong):
    async def forget(self, thread_id: str) -> None:
        if thread_id in self._deleted:
            self._deleted.clear()


@caught_by("threads", 25)
class FiveNotesOnly(Wrong):
    async def deleted(self) -> Sequence[str]:
        return self._deleted[-5:]


@caught_by("threads", 28)
class TheThreadBeforeTheKey(Wrong):
    """Stores the thread in one step, and notes its key in another one."""

    async def create(self, body: ThreadRequest) -> Thread:
        asked = once("threads.create", body)
        made = await super().create(body)
        if asked is not None and made.id in self._threads:
            noted: Any = self._answered.pop(asked.key)
            await asyncio.sleep(0.003)
            self._answered[asked.key] = noted
        return made


@caught_by("threads", 29)
class RestoresWhatTheApiKnows(Wrong):
    async def restore(self, lines: Sequence[bytes]) -> None:
        await super().restore(lines)
        self._whole.clear()


@caught_by("threads", 29)
class LeavesWhatIsThere(Wrong):
    async def restore(self, lines: Sequence[bytes]) -> None:
        before, whole = dict(self._threads), dict(self._whole)
        await super().restore(lines)
        self._threads.update(before)
        self._whole.update(whole)


@caught_by("threads", 29)
class RestoresWhatIsBeingDeleted(Wrong):
    async def restore(self, lines: Sequence[bytes]) -> None:
        noted, self._deleted[:] = [*self._deleted], []
        await super().restore(lines)
        self._deleted[:] = noted


@caught_by("threads", 29)
class ExportsWhatIsNotThere(Wrong):
    async def export(self, ids: Sequence[str]) -> Sequence[bytes]:
        return [line for id in ids for line in await super(ExportsWhatIsNotThere, self).export([id]) or [b"{}"]]
