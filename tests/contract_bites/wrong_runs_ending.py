"""Runs, each time with one mistake in the reference implementation: tools, ends, events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from jan_core.errors import InvalidRequest, JanError
from jan_core.ids import now
from jan_core.schemas.chat import ChatCompletionRequest
from jan_core.schemas.runs import Run, RunError, RunEvent, RunRequest, RunUsage, ToolOutputsRequest
from jan_core.testing.memory_runs_going import Going
from jan_core.testing.memory_runs_kept import Kept
from tests.contract_bites.bites import caught_by
from tests.contract_bites.wrong_runs import Wrong


class OneOfAll(Kept):
    def become(self, status: Any, **changes: Any) -> None:
        if status == "requires_action":
            del changes["required_action"].submit_tool_outputs.tool_calls[1:]
        super().become(status, **changes)


@caught_by("runs", 23)
class WaitsForOneCall(Wrong):
    each = OneOfAll


class OutputsTurned(Kept):
    def answer(self, outputs: list[tuple[str, str]]) -> None:
        super().answer(outputs)
        self.rounds[-len(outputs) :] = self.rounds[: -len(outputs) - 1 : -1]


@caught_by("runs", 24)
class ShowsOutputsInAnotherOrder(Wrong):
    each = OutputsTurned


class MissingAreEmpty(Kept):
    def answer(self, outputs: list[tuple[str, str]]) -> None:
        if self.run.required_action is not None:
            calls = self.run.required_action.submit_tool_outputs.tool_calls
            given = dict(outputs)
            outputs = [(one.id, given.get(one.id, "")) for one in calls]
        super().answer(outputs)


@caught_by("runs", 25)
class TakesWhatIsThere(Wrong):
    each = MissingAreEmpty


@caught_by("runs", 26)
class TakesOutputsTwice(Wrong):
    async def submit_tool_outputs(self, thread_id: str, run_id: str, body: ToolOutputsRequest) -> Run:
        try:
            return await super().submit_tool_outputs(thread_id, run_id, body)
        except InvalidRequest:
            return await self.retrieve(thread_id, run_id)


@caught_by("runs", 26)
class ForgetsWhatItWasGiven(Wrong):
    async def _submitted(self, thread_id: str, run_id: str, body: ToolOutputsRequest) -> Any:
        found = await super()._submitted(thread_id, run_id, body)
        found[0].given.clear()
        return found


class LetsItChoose(Going):
    async def _request(self, kept: Kept) -> ChatCompletionRequest:
        return (await super()._request(kept)).model_copy(update={"tool_choice": None})


@caught_by("runs", 27)
class DemandsNothing(Wrong):
    going = LetsItChoose


class TheLastRound(Kept):
    def answer(self, outputs: list[tuple[str, str]]) -> None:
        super().answer(outputs)
        self.rounds = self.rounds[-1 - len(outputs) :]


@caught_by("runs", 28)
class ForgetsEarlierRounds(Wrong):
    each = TheLastRound


class SaidNothing(Going):
    async def _message_ends(self, kept: Kept, status: str, reason: Any = None) -> None:
        if reason == "run_cancelled":
            kept.message = None
        await super()._message_ends(kept, status, reason)


@caught_by("runs", 29)
class LosesWhatWasSaid(Wrong):
    going = SaidNothing


class StepsOutliveCancelling(Kept):
    def end_step(self, status: Any, usage: RunUsage, error: RunError | None = None) -> None:
        if status != "cancelled":
            super().end_step(status, usage, error)


@caught_by("runs", 30)
class CancelsNoStep(Wrong):
    each = StepsOutliveCancelling


@caught_by("runs", 31)
class CancelsWhatEnded(Wrong):
    async def cancel(self, thread_id: str, run_id: str) -> Run:
        try:
            return await super().cancel(thread_id, run_id)
        except InvalidRequest:
            return await self.retrieve(thread_id, run_id)


class StillBeingSaid(Going):
    async def _message_ends(self, kept: Kept, status: str, reason: Any = None) -> None:
        said = kept.message
        await super()._message_ends(kept, status, reason)
        if said is not None and reason == "run_cancelled":
            await self._jan.messages.put(said)


@caught_by("runs", 32)
class LeavesAMessageInProgress(Wrong):
    going = StillBeingSaid


class LimitOfEach(Going):
    async def _request(self, kept: Kept) -> ChatCompletionRequest:
        request = await super()._request(kept)
        return request.model_copy(update={"max_completion_tokens": kept.run.max_completion_tokens})


@caught_by("runs", 33)
class LimitsEachAnswer(Wrong):
    going = LimitOfEach


class NothingWasRead(Going):
    async def _answer(self, kept: Kept) -> None:
        kept.usage = kept.usage.model_copy(update={"prompt_tokens": 0})
        await super()._answer(kept)


@caught_by("runs", 34)
class ReadsOn(Wrong):
    going = NothingWasRead


class TheServersFault(Going):
    async def _failed(self, kept: Kept, error: JanError) -> None:
        await self._finish(kept, "failed", error=RunError(code="server_error", message=error.message))


@caught_by("runs", 35)
class OneKindOfError(Wrong):
    going = TheServersFault


@caught_by("runs", 36)
class BeginsWithoutTheModel(Wrong):
    async def _made(self, thread_id: str | None, body: RunRequest, model: str | None = None) -> Kept:
        kept = await super()._made(thread_id, body.model_copy(update={"model": "scripted"}), model)
        kept.run.model = body.model or kept.run.model
        return kept


@caught_by("runs", 37)
class IgnoresWhatNeedsFiles(Wrong):
    class WithoutFiles(Going):
        async def _request(self, kept: Kept) -> ChatCompletionRequest:
            kept.run.tools = [tool for tool in kept.run.tools if tool.type == "function"]
            return await super()._request(kept)

    going = WithoutFiles


class StepsOutliveExpiry(Kept):
    def end_step(self, status: Any, usage: RunUsage, error: RunError | None = None) -> None:
        if status != "expired":
            super().end_step(status, usage, error)


@caught_by("runs", 38)
class ExpiresWithoutItsStep(Wrong):
    each = StepsOutliveExpiry


class Impatient(Going):
    async def _asked(self, kept: Kept, request: ChatCompletionRequest) -> str | None:
        return await self._say(kept, request)


@caught_by("runs", 38)
class GivesUpOnAFullQueue(Wrong):
    going = Impatient


class EveryDeltaTwice(Kept):
    async def follow(self, start: int) -> AsyncIterator[RunEvent]:
        async for event in super().follow(start):
            yield event
            if event.event == "thread.message.delta":
                yield event


@caught_by("runs", 39)
class SaysEverythingTwice(Wrong):
    each = EveryDeltaTwice


class WithoutQueued(Kept):
    async def follow(self, start: int) -> AsyncIterator[RunEvent]:
        async for event in super().follow(start):
            if event.event != "thread.run.queued":
                yield event


@caught_by("runs", 39)
class TellsNothingOfTheQueue(Wrong):
    each = WithoutQueued


class QueuedFirst(Kept):
    def answer(self, outputs: list[tuple[str, str]]) -> None:
        super().answer(outputs)
        self.events[-2:] = self.events[:-3:-1]


@caught_by("runs", 40)
class EndsTheStepLater(Wrong):
    each = QueuedFirst


class CallsInOnePiece(Kept):
    def tell(self, name: Any, data: Any) -> None:
        if name != "thread.run.step.delta":
            super().tell(name, data)


@caught_by("runs", 40)
class TellsNothingOfCalls(Wrong):
    each = CallsInOnePiece


class WithoutTheBreak(Kept):
    def tell(self, name: Any, data: Any) -> None:
        if name != "thread.message.incomplete":
            super().tell(name, data)


@caught_by("runs", 41)
class TellsNothingOfABreak(Wrong):
    each = WithoutTheBreak


class ToldTooEarly(Going):
    async def _message_ends(self, kept: Kept, status: str, reason: Any = None) -> None:
        if kept.message is not None:
            told = kept.message.model_copy(update={"status": status, f"{status}_at": now()})
            kept.tell(f"thread.message.{status}", told)
            await asyncio.sleep(0.02)
        start = len(kept.events)
        await super()._message_ends(kept, status, reason)
        del kept.events[start:]


@caught_by("runs", 42)
class TellsBeforeItStores(Wrong):
    going = ToldTooEarly


@caught_by("runs", 43)
class EndsWithItsListener(Wrong):
    async def create_stream(self, thread_id: str, body: RunRequest) -> AsyncIterator[RunEvent]:
        kept, _ = await self._begun(thread_id, body)
        try:
            async for event in kept.follow(0):
                yield event
        finally:
            with suppress(InvalidRequest):
                await self.cancel(thread_id, kept.run.id)


class AThousandEvents(Kept):
    def tell(self, name: Any, data: Any) -> None:
        super().tell(name, data)
        if len(self.events) > 1000:
            del self.events[500]


@caught_by("runs", 44)
class ForgetsEvents(Wrong):
    each = AThousandEvents


@caught_by("runs", 45)
class OneStreamForAll(Wrong):
    def made(self, kept: Kept, body: RunRequest) -> Kept:
        kept.events = self.__dict__.setdefault("_events", kept.events)
        return kept
