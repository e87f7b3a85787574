"""Threads, each time with one mistake in the reference implementation."""

from __future__ import annotations

import unicodedata
from typing import Any

from jan_core.endpoints.threads import Threads
from jan_core.errors import InvalidRequest, NotFound
from jan_core.hookspecs import hookimpl
from jan_core.ids import new_thread_id, now
from jan_core.pages import cut
from jan_core.schemas.threads import Thread, ThreadDeleted, ThreadPage, ThreadRequest, ThreadsQuery, ThreadUpdate
from jan_core.testing.memory_threads import ThreadsInMemory, _fits
from tests.contract_bites.bites import caught_by


class Wrong(ThreadsInMemory):
    """The reference, as the plugin of itself."""

    @classmethod
    @hookimpl
    def provide_threads(cls, settings: Any, jan: Any) -> Threads:
        return cls(jan)


class WrongWhenMade(Wrong):
    """Changes a thread before it is stored and answered."""

    def changed(self, thread: Thread, body: ThreadRequest) -> Thread:
        return thread

    async def create(self, body: ThreadRequest) -> Thread:
        made = await super().create(body)
        if self._threads.pop(made.id, None) is None:
            return made
        made = self.changed(made, body)
        self._threads[made.id] = made.model_copy(deep=True)
        return made


class WrongPage(Wrong):
    """Cuts another page."""

    def sorted(self) -> list[Thread]:
        return sorted(self._threads.values(), key=lambda one: (one.created_at, one.id))

    def cut(self, threads: list[Thread], query: ThreadsQuery) -> Any:
        return cut(threads, query, keep=lambda one: _fits(one, query))

    async def list(self, query: ThreadsQuery) -> ThreadPage:
        return ThreadPage(**dict(self.cut([one.model_copy(deep=True) for one in self.sorted()], query)))


@caught_by("threads", 1)
class IdWithoutTheAssistant(WrongWhenMade):
    def changed(self, thread: Thread, body: ThreadRequest) -> Thread:
        return thread.model_copy(update={"id": "thread_" + thread.id.rpartition("-")[2]})


@caught_by("threads", 1)
class IdOfTheLastAssistant(WrongWhenMade):
    def changed(self, thread: Thread, body: ThreadRequest) -> Thread:
        last = body.assistants[-1].assistant_id if body.assistants else "jan"
        return thread.model_copy(update={"id": f"{last[:100]}-{thread.created_at}-{thread.id.rpartition('-')[2]}"})


@caught_by("threads", 1)
class AnIdThatIsTooLong(WrongWhenMade):
    def changed(self, thread: Thread, body: ThreadRequest) -> Thread:
        first = body.assistants[0].assistant_id if body.assistants else "jan"
        return thread.model_copy(update={"id": f"{first}-{thread.created_at}-{thread.id.rpartition('-')[2]}"})


@caught_by("threads", 1)
class TimeInMilliseconds(WrongWhenMade):
    def changed(self, thread: Thread, body: ThreadRequest) -> Thread:
        return thread.model_copy(update={"created_at": thread.created_at * 10})


@caught_by("threads", 2)
class OtherParametersForgotten(Wrong):
    async def retrieve(self, thread_id: str) -> Thread:
        found = await super().retrieve(thread_id)
        (found.parameters or {}).pop("mirostat", None)
        return found


@caught_by("threads", 2)
class EmptyIsNothing(Wrong):
    async def create(self, body: ThreadRequest) -> Thread:
        names = {name for name in body.model_fields_set if not getattr(body, name)}
        return await super().create(body.model_copy(update=dict.fromkeys(names)))


@caught_by("threads", 2)
class CheckAnswers(Wrong):
    async def check(self, thread_id: str) -> None:
        return self._find(thread_id)  # type: ignore[return-value]


@caught_by("threads", 3)
class TitleNormalised(Wrong):
    async def create(self, body: ThreadRequest) -> Thread:
        title = unicodedata.normalize("NFC", body.title) if body.title else body.title
        return await super().create(body.model_copy(update={"title": title}))


@caught_by("threads", 3)
class TitleCut(Wrong):
    async def create(self, body: ThreadRequest) -> Thread:
        title = body.title[:255] if body.title else body.title
        return await super().create(body.model_copy(update={"title": title}))


@caught_by("threads", 4)
class SaltOfChanceOnly(WrongWhenMade):
    def changed(self, thread: Thread, body: ThreadRequest) -> Thread:
        head, _, salt = thread.id.rpartition("-")
        return thread.model_copy(update={"id": f"{head}-{salt[::-1]}"})


@caught_by("threads", 4)
class IdsOfTheClock(WrongWhenMade):
    def changed(self, thread: Thread, body: ThreadRequest) -> Thread:
        return thread.model_copy(update={"id": thread.id.rpartition("-")[0] + "-0"})


@caught_by("threads", 5)
class InTheOrderOfStoring(WrongPage):
    def sorted(self) -> list[Thread]:
        return list(self._threads.values())


@caught_by("threads", 5)
class ByTimeOnly(WrongPage):
    def sorted(self) -> list[Thread]:
        return sorted(self._threads.values(), key=lambda one: one.created_at)


@caught_by("threads", 5)
class ByIdOnly(WrongPage):
    def sorted(self) -> list[Thread]:
        return sorted(self._threads.values(), key=lambda one: one.id)


@caught_by("threads", 5)
class OldestFirst(Wrong):
    async def list(self, query: ThreadsQuery) -> ThreadPage:
        if "order" not in query.model_fields_set:
            query = query.model_copy(update={"order": "asc"})
        return await super().list(query)


@caught_by("threads", 6)
class LimitIgnored(WrongPage):
    def cut(self, threads: list[Thread], query: ThreadsQuery) -> Any:
        return super().cut(threads, query.model_copy(update={"limit": 100}))


@caught_by("threads", 6)
class ThereIsAlwaysMoreOnAFullPage(WrongPage):
    def cut(self, threads: list[Thread], query: ThreadsQuery) -> Any:
        page = super().cut(threads, query)
        return page.model_copy(update={"has_more": len(page.data) == query.limit})


@caught_by("threads", 6)
class IdsOfThePageTurnedRound(WrongPage):
    def cut(self, threads: list[Thread], query: ThreadsQuery) -> Any:
        page = super().cut(threads, query)
        return page.model_copy(update={"first_id": page.last_id, "last_id": page.first_id})


@caught_by("threads", 7)
class NoThreadsAreNotFound(WrongPage):
    def cut(self, threads: list[Thread], query: ThreadsQuery) -> Any:
        if not threads:
            raise NotFound("There are no threads.")
        return super().cut(threads, query)


@caught_by("threads", 7)
class EmptyIds(WrongPage):
    def cut(self, threads: list[Thread], query: ThreadsQuery) -> Any:
        page = super().cut(threads, query)
        return page.model_copy(update={"first_id": page.first_id or "", "last_id": page.last_id or ""})


@caught_by("threads", 8)
class AfterIncludesIt(WrongPage):
    def cut(self, threads: list[Thread], query: ThreadsQuery) -> Any:
        ordered = threads if query.order == "asc" else threads[::-1]
        place = next((place for place, one in enumerate(ordered) if one.id == query.after), 0)
        before = {"after": ordered[place - 1].id if place else None}
        return super().cut(threads, query if query.after is None else query.model_copy(update=before))


@caught_by("threads", 8)
class AfterSkipsThoseOfOneTime(WrongPage):
    def cut(self, threads: list[Thread], query: ThreadsQuery) -> Any:
        if query.after is not None:
            at = self._find(query.after).created_at
            threads = [one for one in threads if one.id == query.after or one.created_at != at]
        return super().cut(threads, query)


@caught_by("threads", 9)
class BeforeIgnored(WrongPage):
    def cut(self, threads: list[Thread], query: ThreadsQuery) -> Any:
        return super().cut(threads, query.model_copy(update={"before": None}))


@caught_by("threads", 9)
class BeforeBeginsAtTheBeginning(WrongPage):
    def cut(self, threads: list[Thread], query: ThreadsQuery) -> Any:
        page = super().cut(threads, query.model_copy(update={"limit": 100}))
        data = page.data[: query.limit]
        ids = (data[0].id, data[-1].id) if data else (None, None)
        told = {"data": data, "first_id": ids[0], "last_id": ids[1], "has_more": len(page.data) > query.limit}
        return page.model_copy(update=told)


@caught_by("threads", 10)
class CursorsArePlaces(WrongPage):
    def __init__(self, jan: Any) -> None:
        super().__init__(jan)
        self._places: dict[str, int] = {}

    def cut(self, threads: list[Thread], query: ThreadsQuery) -> Any:
        ids = [one.id for one in threads][::-1]
        if query.after in self._places:
            place = self._places[query.after or ""]
            query = query.model_copy(update={"after": ids[min(place, len(ids) - 1)]})
        self._places |= {id: place for place, id in enumerate(ids)}
        return super().cut(threads, query)


@caught_by("threads", 11)
class UnknownCursorIgnored(Wrong):
    async def list(self, query: ThreadsQuery) -> ThreadPage:
        try:
            return await super().list(query)
        except InvalidRequest:
            return await super().list(query.model_copy(update={"after": None, "before": None}))


@caught_by("threads", 11)
class UnknownCursorIsNotFound(WrongPage):
    def cut(self, threads: list[Thread], query: ThreadsQuery) -> Any:
        for cursor in (query.after, query.before):
            if cursor is not None:
                self._find(cursor)
        return super().cut(threads, query)


@caught_by("threads", 12)
class AnyOfThePairs(WrongPage):
    def cut(self, threads: list[Thread], query: ThreadsQuery) -> Any:
        pairs = (query.metadata or {}).items()
        rest = query.model_copy(update={"metadata": None})
        return cut(
            threads,
            query,
            keep=lambda one: _fits(one, rest) and (not pairs or any(pair in one.metadata.items() for pair in pairs)),
        )


@caught_by("threads", 12)
class TheFirstAssistantOnly(WrongPage):
    def cut(self, threads: list[Thread], query: ThreadsQuery) -> Any:
        def fits(one: Thread) -> bool:
            first = one.assistants[0].assistant_id if one.assistants else None
            return _fits(one, query) and query.assistant_id in (None, first)

        return cut(threads, query, keep=fits)


@caught_by("threads", 12)
class AnEarlyEndThatLeadsNowhere(WrongPage):
    def cut(self, threads: list[Thread], query: ThreadsQuery) -> Any:
        page = cut(threads, query)
        data = [one for one in page.data if _fits(one, query)]
        return page.model_copy(update={"data": data, "last_id": data[-1].id if data else None})


@caught_by("threads", 13)
class MetadataMerged(Wrong):
    async def update(self, thread_id: str, body: ThreadUpdate) -> Thread:
        if body.metadata:
            old = await self.retrieve(thread_id)
            body = body.model_copy(update={"metadata": {**old.metadata, **body.metadata}})
        return await super().update(thread_id, body)


@caught_by("threads", 13)
class LeftOutIsNull(Wrong):
    async def update(self, thread_id: str, body: ThreadUpdate) -> Thread:
        values = {name: getattr(body, name) for name in ThreadUpdate.model_fields}
        return await super().update(thread_id, ThreadUpdate.model_construct(**values))


@caught_by("threads", 13)
class NullIsLeftOut(Wrong):
    async def update(self, thread_id: str, body: ThreadUpdate) -> Thread:
        values = {name: value for name, value in vars(body).items() if value is not None}
        return await super().update(thread_id, ThreadUpdate.model_construct(**values))


@caught_by("threads", 13)
class ParametersMerged(Wrong):
    async def update(self, thread_id: str, body: ThreadUpdate) -> Thread:
        old = (await self.retrieve(thread_id)).parameters or {}
        changed = await super().update(thread_id, body)
        if body.parameters is not None:
            changed.parameters = {**old, **(changed.parameters or {})}
            self._threads[thread_id] = changed
        return changed.model_copy(deep=True)


@caught_by("threads", 13)
class UpdateAnsweredAndNotStored(Wrong):
    async def update(self, thread_id: str, body: ThreadUpdate) -> Thread:
        return (await self.retrieve(thread_id)).changed(body)


@caught_by("threads", 14)
class DeletedIsFoundUntilItIsRemoved(Wrong):
    def __init__(self, jan: Any) -> None:
        super().__init__(jan)
        self._gone: dict[str, Thread] = {}

    async def delete(self, thread_id: str) -> ThreadDeleted:
        self._gone[thread_id] = await self.retrieve(thread_id)
        return await super().delete(thread_id)

    async def check(self, thread_id: str) -> None:
        if thread_id not in self._gone:
            await super().check(thread_id)


@caught_by("threads", 14)
class DeletedIsListed(WrongPage):
    def __init__(self, jan: Any) -> None:
        super().__init__(jan)
        self._gone: list[Thread] = []

    async def delete(self, thread_id: str) -> ThreadDeleted:
        self._gone.append(await self.retrieve(thread_id))
        return await super().delete(thread_id)

    def sorted(self) -> list[Thread]:
        return [*super().sorted(), *self._gone]


@caught_by("threads", 14)
class DeletingAgainIsContent(Wrong):
    async def delete(self, thread_id: str) -> ThreadDeleted:
        if thread_id in self._threads:
            return await super().delete(thread_id)
        return ThreadDeleted(id=thread_id, deleted=True)


@caught_by("threads", 16)
class AnyAssistantWillDo(Wrong):
    async def _make(self, body: ThreadRequest) -> Thread:
        first = body.assistants[0].assistant_id if body.assistants else "jan"
        return Thread.of(body, id=new_thread_id(first), created_at=now())
