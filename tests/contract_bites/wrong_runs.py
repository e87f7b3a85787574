"""Runs, each time with one mistake in the reference implementation: how they begin, and how they go on."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from jan_core.effective import settings_of
from jan_core.endpoints.runs import Runs
from jan_core.errors import InvalidRequest
from jan_core.hookspecs import hookimpl
from jan_core.idempotency import Once
from jan_core.schemas.chat import ChatCompletionRequest
from jan_core.schemas.messages import Message
from jan_core.schemas.runs import Run, RunRequest, RunUsage, ThreadRunRequest, TruncationStrategy, Unfinished
from jan_core.testing.memory_runs import RunsInMemory, Settings
from jan_core.testing.memory_runs_going import Going
from jan_core.testing.memory_runs_kept import Kept
from tests.contract_bites.bites import caught_by


class Wrong(RunsInMemory):
    """The reference, as the plugin of itself."""

    going: ClassVar[type[Going]] = Going
    each: ClassVar[type[Kept]] = Kept

    def __init__(self, jan: Any, expires_seconds: int = 600) -> None:
        super().__init__(jan, expires_seconds)
        self._going = self.going(jan)

    @staticmethod
    @hookimpl
    def settings_model() -> type[Settings]:
        return Settings

    @classmethod
    @hookimpl
    def provide_runs(cls, settings: Any, jan: Any) -> Runs:
        return cls(jan, settings.expires_seconds)

    async def _made(self, thread_id: str | None, body: RunRequest, model: str | None = None) -> Kept:
        kept = await super()._made(thread_id, body, model)
        kept.__class__ = self.each
        return self.made(kept, body)

    def made(self, kept: Kept, body: RunRequest) -> Kept:
        """Change a run before it begins."""
        return kept


@caught_by("runs", 1)
class IdWithoutItsBeginning(Wrong):
    def made(self, kept: Kept, body: RunRequest) -> Kept:
        kept.run.id = kept.run.id.removeprefix("run_")
        return kept


@caught_by("runs", 1)
class AnswersWhatBecameOfIt(Wrong):
    async def create(self, thread_id: str, body: RunRequest) -> Run:
        made = await super().create(thread_id, body)
        await asyncio.sleep(0.05)
        return await self.retrieve(thread_id, made.id)


@caught_by("runs", 2)
class ForgetsAField(Wrong):
    async def retrieve(self, thread_id: str, run_id: str) -> Run:
        return (await super().retrieve(thread_id, run_id)).model_copy(update={"top_p": None})


@caught_by("runs", 3)
class WithoutTheThreadsParameters(Wrong):
    def made(self, kept: Kept, body: RunRequest) -> Kept:
        kept.parameters.pop("seed", None)
        return kept


@caught_by("runs", 3)
class TheAssistantBeforeTheRun(Wrong):
    async def _made(self, thread_id: str | None, body: RunRequest, model: str | None = None) -> Kept:
        found = await settings_of(self._jan, thread_id=thread_id, assistant_id=body.assistant_id)
        kept = await super()._made(thread_id, body, model)
        kept.run.instructions = found["instructions"].value if "instructions" in found else kept.run.instructions
        return kept


class LooksAgain(Going):
    async def _request(self, kept: Kept) -> ChatCompletionRequest:
        found = await settings_of(self._jan, thread_id=kept.run.thread_id, assistant_id=kept.run.assistant_id)
        kept.parameters = {name: one.value for name, one in found.items()}
        return await super()._request(kept)


@caught_by("runs", 4)
class SettingsThatChange(Wrong):
    going = LooksAgain


@caught_by("runs", 5)
class InstructionsReplaced(Wrong):
    def made(self, kept: Kept, body: RunRequest) -> Kept:
        kept.run.instructions = body.additional_instructions or kept.run.instructions
        return kept


@caught_by("runs", 6)
class MessagesInTheOtherOrder(Wrong):
    async def _begin(self, thread_id: str, body: RunRequest, asked: Once | None) -> tuple[Kept, Run]:
        turned = (body.additional_messages or [])[::-1]
        return await super()._begin(thread_id, body.model_copy(update={"additional_messages": turned}), asked)


@caught_by("runs", 6)
class MessagesOfARefusedRun(Wrong):
    async def _made(self, thread_id: str | None, body: RunRequest, model: str | None = None) -> Kept:
        try:
            return await super()._made(thread_id, body, model)
        except InvalidRequest:
            for said in body.additional_messages or ():
                message = Message.of(said, id="msg_early", thread_id=thread_id or "", created_at=1)
                await self._jan.messages.put(message)
            raise


@caught_by("runs", 7)
class AnyAssistant(Wrong):
    async def _made(self, thread_id: str | None, body: RunRequest, model: str | None = None) -> Kept:
        kept = await super()._made(thread_id, body.model_copy(update={"assistant_id": "jan"}), model)
        kept.run.assistant_id = body.assistant_id
        return kept


@caught_by("runs", 8)
class AnyChoice(Wrong):
    async def _made(self, thread_id: str | None, body: RunRequest, model: str | None = None) -> Kept:
        return await super()._made(thread_id, body.model_copy(update={"tool_choice": None}), model)


@caught_by("runs", 9)
class TrimsInstructions(Wrong):
    def made(self, kept: Kept, body: RunRequest) -> Kept:
        kept.run.instructions = kept.run.instructions.strip()
        return kept


class SaysWithoutLineBreaks(Going):
    def _text(self, kept: Kept, text: str) -> None:
        super()._text(kept, text.replace("\n", " "))


@caught_by("runs", 9)
class AnswersOnOneLine(Wrong):
    going = SaysWithoutLineBreaks


@caught_by("runs", 10)
class NumbersForIds(Wrong):
    def made(self, kept: Kept, body: RunRequest) -> Kept:
        kept.run.id = f"run_{len(self._storage.threads.get(kept.run.thread_id, []))}"
        return kept


@caught_by("runs", 11)
class MakesTheThreadFirst(Wrong):
    async def _begin_thread(self, body: ThreadRunRequest, asked: Once | None) -> tuple[Kept, Run]:
        made = await self._jan.threads.create(body.thread_request())
        kept, run = await self._begin(made.id, body.run_request(), asked)
        kept.made = made
        return kept, run


@caught_by("runs", 12)
class SeveralAtATime(Wrong):
    async def _active(self, thread_id: str) -> Kept | None:
        return None

    async def unfinished(self, thread_id: str) -> Unfinished | None:
        kept = await super()._active(thread_id)
        return None if kept is None else Unfinished(run=kept.run, message=kept.message).model_copy(deep=True)


@caught_by("runs", 13)
class KnowsOfNoWait(Wrong):
    async def unfinished(self, thread_id: str) -> Unfinished | None:
        found = await super().unfinished(thread_id)
        return None if found is not None and found.run.status == "requires_action" else found


class NeverStarted(Kept):
    def become(self, status: Any, **changes: Any) -> None:
        super().become(status, **changes)
        self.run = self.run.model_copy(update={"started_at": None})


@caught_by("runs", 14)
class WithoutAStart(Wrong):
    each = NeverStarted


class BeforeTheModel(Going):
    async def _answer(self, kept: Kept) -> None:
        kept.become("in_progress")
        await super()._answer(kept)


@caught_by("runs", 14)
class BeginsBeforeTheModel(Wrong):
    going = BeforeTheModel


class NeverTheFirst(Going):
    async def _messages(self, run: Run) -> list[Message]:
        found = await super()._messages(run)
        if not found:
            raise InvalidRequest("The thread has no messages.")
        return found


@caught_by("runs", 11)
class FailsInAnEmptyThread(Wrong):
    going = NeverTheFirst


class NobodysAnswer(Going):
    async def _message_ends(self, kept: Kept, status: str, reason: Any = None) -> None:
        if kept.message is not None:
            kept.message.run_id = None
        await super()._message_ends(kept, status, reason)


@caught_by("runs", 15)
class AnswersOfNoRun(Wrong):
    going = NobodysAnswer


class NewestFirst(Going):
    async def _messages(self, run: Run) -> list[Message]:
        return (await super()._messages(run))[::-1]


@caught_by("runs", 16)
class ShowsTheNewestFirst(Wrong):
    going = NewestFirst


class WithoutImages(Going):
    async def _messages(self, run: Run) -> list[Message]:
        found = await super()._messages(run)
        for one in found:
            one.content = [part for part in one.content if part.type != "image_url"]
        return found


@caught_by("runs", 16)
class LeavesOutImages(Wrong):
    going = WithoutImages


class APageAtMost(Going):
    async def _messages(self, run: Run) -> list[Message]:
        return (await super()._messages(run))[-100:]


@caught_by("runs", 17)
class ShowsAPage(Wrong):
    going = APageAtMost


@caught_by("runs", 17)
class ShowsAll(Wrong):
    class AllMessages(Going):
        async def _messages(self, run: Run) -> list[Message]:
            all_of_them = TruncationStrategy(type="auto")
            return await super()._messages(run.model_copy(update={"truncation_strategy": all_of_them}))

    going = AllMessages


@caught_by("runs", 18)
class ShowsADoneMessage(Wrong):
    async def unfinished(self, thread_id: str) -> Unfinished | None:
        found = await super().unfinished(thread_id)
        if found is not None and found.message is not None:
            found.message.status = "completed"
        return found


class SilentWithoutText(Going):
    def _text(self, kept: Kept, text: str) -> None:
        if text:
            super()._text(kept, text)


@caught_by("runs", 19)
class SaysNothing(Wrong):
    going = SilentWithoutText


class OnlyTheLast(Going):
    async def _say(self, kept: Kept, request: ChatCompletionRequest) -> str | None:
        kept.usage = RunUsage()
        return await super()._say(kept, request)


@caught_by("runs", 20)
class UsageOfTheLastAnswer(Wrong):
    going = OnlyTheLast


class ForgetsItsWords(Going):
    async def _say(self, kept: Kept, request: ChatCompletionRequest) -> str | None:
        reason = await super()._say(kept, request)
        if "tool_calls" in kept.rounds[-1]:
            kept.rounds[-1]["content"] = ""
        return reason


@caught_by("runs", 21)
class CallsWithoutWords(Wrong):
    going = ForgetsItsWords


class AnotherThread(Going):
    latest = ""

    async def _messages(self, run: Run) -> list[Message]:
        type(self).latest = run.thread_id
        await asyncio.sleep(0.01)
        return await super()._messages(run.model_copy(update={"thread_id": self.latest}))


@caught_by("runs", 22)
class AnswersTheLatestThread(Wrong):
    going = AnotherThread
