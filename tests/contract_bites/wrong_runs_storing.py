"""Runs, each time with one mistake in the reference implementation: listings, ids, storage."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Any

from jan_core.errors import InvalidRequest
from jan_core.idempotency import Once
from jan_core.ids import new_id, now
from jan_core.pages import cut
from jan_core.schemas.messages import Message
from jan_core.schemas.runs import (
    KeptRun,
    Run,
    RunEvent,
    RunPage,
    RunRequest,
    RunsQuery,
    RunStepPage,
    RunStepsQuery,
    RunUpdate,
)
from jan_core.testing.memory_runs import Storage
from jan_core.testing.memory_runs_going import Going
from jan_core.testing.memory_runs_kept import Kept
from tests.contract_bites.bites import caught_by
from tests.contract_bites.wrong_runs import Wrong


class WrongPage(Wrong):
    """Cuts another page."""

    def page(self, runs: list[Run], query: RunsQuery) -> Any:
        return cut(sorted(runs, key=lambda run: (run.created_at, run.id)), query)

    async def list(self, thread_id: str, query: RunsQuery) -> RunPage:
        await self._jan.threads.check(thread_id)
        runs = [kept.run.model_copy(deep=True) for kept in self._storage.threads.get(thread_id, [])]
        return RunPage(**dict(self.page(runs, query)))


@caught_by("runs", 46)
class InTheOrderOfStoring(WrongPage):
    def page(self, runs: list[Run], query: RunsQuery) -> Any:
        return cut(runs, query)


@caught_by("runs", 47)
class ThereIsAlwaysMore(WrongPage):
    def page(self, runs: list[Run], query: RunsQuery) -> Any:
        found = super().page(runs, query)
        found.has_more = bool(found.data)
        return found


@caught_by("runs", 48)
class BeforeFromTheStart(WrongPage):
    def page(self, runs: list[Run], query: RunsQuery) -> Any:
        found = super().page(runs, query.model_copy(update={"limit": 100}))
        return cut(
            found.data if query.order == "asc" else found.data[::-1], RunsQuery(limit=query.limit, order=query.order)
        )


@caught_by("runs", 49)
class UnknownCursorsCount(WrongPage):
    def page(self, runs: list[Run], query: RunsQuery) -> Any:
        try:
            return super().page(runs, query)
        except InvalidRequest:
            return super().page(runs, query.model_copy(update={"after": None, "before": None}))


@caught_by("runs", 50)
class StepsTurned(Wrong):
    async def list_steps(self, thread_id: str, run_id: str, query: RunStepsQuery) -> RunStepPage:
        turned = "asc" if query.order == "desc" else "desc"
        return await super().list_steps(thread_id, run_id, query.model_copy(update={"order": turned}))


@caught_by("runs", 51)
class MetadataMerged(Wrong):
    async def update(self, thread_id: str, run_id: str, body: RunUpdate) -> Run:
        before = (await self.retrieve(thread_id, run_id)).metadata
        return await super().update(thread_id, run_id, RunUpdate(metadata={**before, **(body.metadata or {})}))


@caught_by("runs", 52)
class FoundFromAnywhere(Wrong):
    async def _stored(self, thread_id: str, run_id: str) -> Kept:
        for runs in self._storage.threads.values():
            for kept in runs:
                if kept.run.id == run_id:
                    return kept
        return await super()._stored(thread_id, run_id)


@caught_by("runs", 53)
class KnowsDeletedThreads(Wrong):
    async def retrieve(self, thread_id: str, run_id: str) -> Run:
        return (await self._stored(thread_id, run_id)).run.model_copy(deep=True)


@caught_by("runs", 53)
class ClearsNothing(Wrong):
    async def clear(self, thread_id: str) -> None:
        return None


@caught_by("runs", 54)
class PutsUnderAnyName(Wrong):
    async def put(self, kept: KeptRun) -> None:
        self._storage.threads.setdefault(kept.run.thread_id, []).append(Kept(kept.run))


@caught_by("runs", 55)
class KeepsToItself(Wrong):
    def __init__(self, jan: Any, expires_seconds: int = 600) -> None:
        super().__init__(jan, expires_seconds)
        self._storage = Storage()


@caught_by("runs", 56)
class WaitsEndWithTheApp(Wrong):
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for runs in self._storage.threads.values():
            for kept in runs:
                if kept.run.status == "requires_action":
                    await self._going._finish(kept, "expired")
        await super().__aexit__(kind, error, traceback)


class UnderAnotherId(Going):
    async def _message_ends(self, kept: Kept, status: str, reason: Any = None) -> None:
        if kept.message is not None and reason == "run_failed":
            await self._jan.messages.put(kept.message.model_copy(update={"id": new_id("msg_")}))
        await super()._message_ends(kept, status, reason)


@caught_by("runs", 57)
class SaysItTwice(Wrong):
    going = UnderAnotherId


@caught_by("runs", 58)
class WithoutKeys(Wrong):
    async def _begin(self, thread_id: str, body: RunRequest, asked: Once | None) -> tuple[Kept, Run]:
        return await super()._begin(thread_id, body, None)


@caught_by("runs", 58)
class AnswersWithTheRunOfToday(Wrong):
    def _repeated(self, asked: Once) -> tuple[Kept, Run]:
        kept, _ = super()._repeated(asked)
        return kept, kept.run.model_copy(deep=True)


@caught_by("runs", 59)
class AnyBodyUnderAKey(Wrong):
    def _repeated(self, asked: Once) -> tuple[Kept, Run]:
        _, kept, reply = self._storage.answered[asked.key]
        return kept, reply.model_copy(deep=True)


@caught_by("runs", 60)
class PutsWithoutSteps(Wrong):
    async def put(self, kept: KeptRun) -> None:
        await super().put(kept.model_copy(update={"steps": []}))


@caught_by("runs", 60)
class PutsWhatGoesOn(Wrong):
    async def put(self, kept: KeptRun) -> None:
        if kept.run.ended:
            await super().put(kept)


@caught_by("runs", 61)
class GoesOnWhenCleared(Wrong):
    async def clear(self, thread_id: str) -> None:
        self._storage.threads.pop(thread_id, None)


@caught_by("runs", 62)
class GivesWhatItKeeps(Wrong):
    async def retrieve(self, thread_id: str, run_id: str) -> Run:
        return (await self._find(thread_id, run_id)).run


@caught_by("runs", 62)
class KeepsWhatItIsGiven(Wrong):
    async def put(self, kept: KeptRun) -> None:
        self._storage.threads.setdefault(kept.run.thread_id, []).append(Kept(kept.run, kept.steps))


@caught_by("runs", 63)
class MessagesBeforeTheRun(Wrong):
    async def _begun(self, thread_id: str, body: RunRequest) -> tuple[Kept, Run]:
        for said in body.additional_messages or ():
            message = Message.of(said, id=new_id("msg_"), thread_id=thread_id, created_at=now())
            await self._jan.messages.put(message)
            await asyncio.sleep(0.0005)
        return await super()._begun(thread_id, body.model_copy(update={"additional_messages": None}))


@caught_by("runs", 58)
class NeedsTheAssistantAgain(Wrong):
    async def _begin(self, thread_id: str, body: RunRequest, asked: Once | None) -> tuple[Kept, Run]:
        await self._made(thread_id, body)
        return await super()._begin(thread_id, body, asked)


@caught_by("runs", 58)
class TellsNothingTwice(Wrong):
    async def create_stream(self, thread_id: str, body: RunRequest) -> AsyncIterator[RunEvent]:
        before = {run.run.id for run in self._storage.threads.get(thread_id, [])}
        events = [event async for event in super().create_stream(thread_id, body)]
        heard = events if events[0].data.id not in before else [*events[:3], events[-1]]
        for event in heard:
            yield event


@caught_by("runs", 69)
class RestoresWhatTheApiKnows(Wrong):
    async def restore(self, thread_id: str, lines: Sequence[bytes]) -> None:
        await super().restore(thread_id, lines)
        for kept in self._storage.threads.get(thread_id, []):
            kept.whole = {}


@caught_by("runs", 69)
class RestoresNoSteps(Wrong):
    async def restore(self, thread_id: str, lines: Sequence[bytes]) -> None:
        await super().restore(thread_id, lines)
        for kept in self._storage.threads.get(thread_id, []):
            kept.steps = []


@caught_by("runs", 69)
class RestoresWhatGoesOn(Wrong):
    async def restore(self, thread_id: str, lines: Sequence[bytes]) -> None:
        queued = [line.replace(b'"status":"queued"', b'"status":"completed"') for line in lines]
        await super().restore(thread_id, queued)


@caught_by("runs", 69)
class StoresWhatCameBeforeAWrongRun(Wrong):
    async def restore(self, thread_id: str, lines: Sequence[bytes]) -> None:
        for line in lines:
            await super().restore(thread_id, [line])
