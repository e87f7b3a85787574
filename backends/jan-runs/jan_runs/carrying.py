"""Carrying one run on, in the process that holds it, until it waits for the client or ends.

Nothing is told before it is stored. What ends something, or has the client do something, has survived a power cut by
then. What only begins survives the end of the process: that a run goes on, and that it begins to say something, is made
to last a moment later, so that nobody waits for the disk before the first piece of an answer. Its text is stored when
it ends, and in between about once a second.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from jan_core import call
from jan_core.errors import EngineError, JanError, NotFound
from jan_core.ids import new_id, now
from jan_core.schemas.runs import (
    MessageCreation,
    MessageCreationDetails,
    RunError,
    RunStep,
    RunUsage,
    ToolCallsDetails,
)
from jan_runs import events, recovery, states, steps
from jan_runs.asking import ask
from jan_runs.calling import Calling
from jan_runs.carrying_out import CarryingOut
from jan_runs.fitting import PromptTooLong
from jan_runs.interrupt import Interrupt, Interrupted
from jan_runs.notes import Notes, Round
from jan_runs.record import NotStored, Record
from jan_runs.saying import Saying, ended
from jan_runs.tools import tools_here

if TYPE_CHECKING:
    from jan_core.app import Jan
    from jan_core.schemas.runs import KeptRun, RunEvent, RunStatus
    from jan_core.schemas.tools import AssistantFunctionTool
    from jan_runs.asking import Asked
    from jan_runs.feed import Feed
    from jan_runs.store import RunStore
    from jan_runs.tools import Toolbox

KEEP_SECONDS = 1.0
"""How often the text of an answer is stored while it is given."""
FIRST_SECONDS = 0.1
"""When that is done first, after the answer has begun; what began with it lasts from then on."""
CUT_SHORT = {"cancelled": "run_cancelled", "failed": "run_failed", "expired": "run_expired", "incomplete": "max_tokens"}
"""Why a message is incomplete, by how its run ended."""

log = logging.getLogger("jan")


class Over(Exception):
    """The run ends here.

    Args:
        status: how.
        error: why, where it fails.
        reason: which limit was reached, where it is incomplete.
        said: why the message is incomplete, where that is not what the status says.
    """

    def __init__(
        self, status: RunStatus, *, error: RunError | None = None, reason: str | None = None, said: str | None = None
    ) -> None:
        super().__init__(status)
        self.status, self.error, self.reason = status, error, reason
        self.said = said or CUT_SHORT[status]


class Carrying:
    """One run, carried on by one task of this process, which holds it.

    Args:
        jan: the running app.
        store: where the run is kept.
        kept: the run as it is stored.
        feed: where its events go.
        toolbox: carries out the assistant's own tools.

    Attributes:
        saying: the message that it is saying, None where it says nothing.
        interrupt: the wish that it be cancelled.
    """

    def __init__(self, jan: Jan, store: RunStore, kept: KeptRun, feed: Feed, toolbox: Toolbox) -> None:
        self.interrupt = Interrupt()
        self._jan, self._feed, self._notes = jan, feed, Notes.of(kept)
        self._record = Record(jan, store, kept, feed, self.interrupt)
        self.saying: Saying | None = None
        self._calling: Calling | None = None
        self._said: Saying | None = None
        self._late = ""
        self._used: RunUsage | None = None
        self._anew: list[RunStep] = []
        self._toolbox = toolbox
        self._own: list[AssistantFunctionTool] | None = None

    async def go(self) -> KeptRun:
        """Carry it on. A run that is gone, with its thread, ends quietly.

        Returns:
            The run as it is stored then.

        Raises:
            NotStored: it is where it was, for the next one who holds it.
        """
        try:
            await self._go()
        except asyncio.CancelledError:
            with suppress(Exception):
                await self._record.settled()
                if self.saying is not None:
                    await self._record.keep(self.saying)
            raise
        except NotStored:
            raise
        except Interrupted:
            await self._end(Over("cancelled"))
        except Over as over:
            await self._end(over)
        except PromptTooLong:
            await self._end(Over("incomplete", reason="max_prompt_tokens"))
        except JanError as error:
            await self._end(Over("failed", error=RunError.of(error)))
        except Exception:
            log.exception("the run %s failed", self._record.kept.run.id)
            message = (
                f"The server failed while it carried the run on; its log says why, under {self._record.kept.run.id}."
            )
            await self._end(Over("failed", error=RunError(code="server_error", message=message)))
        return self._record.kept

    async def _go(self) -> None:
        run = self._record.kept.run
        if run.status == "requires_action" and not states.overdue(run):
            return
        found = await recovery.look(self._jan, self._record.kept, self._notes)
        if found.said:
            await self._record.change(lambda kept: steps.ended(kept, "completed"), last=True)
            return
        if found.message is not None and (found.broken or run.status == "cancelling" or states.overdue(run)):
            self.saying = Saying(run, self._feed, found.message)
            self.saying.restore(found.message)
        if run.status == "cancelling":
            raise Interrupted
        if found.broken:
            raise Over("failed", error=RunError(code="server_error", message=found.why))
        if states.overdue(run):
            raise Over("expired")
        self._anew = [step for step in self._record.kept.steps if step.status == "in_progress"]
        while await self._answer():
            if states.overdue(self._record.kept.run):
                raise Over("expired")

    def _limit(self) -> int | None:
        """The most tokens that the next answer may have."""
        most = self._record.kept.run.max_completion_tokens
        if most is None:
            return None
        left = most - self._notes.used.completion_tokens
        if left <= 0:
            raise Over("incomplete", reason="max_completion_tokens")
        return left

    async def _answer(self) -> bool:
        """One answer of the model, and what follows from it; True where that is another one."""
        run = self._record.kept.run
        begun = asyncio.create_task(self._begin()) if run.status == "queued" else None
        asked: Asked | None = None
        try:
            try:
                with self.interrupt.waiting():
                    if self._own is None:
                        self._own = await tools_here(self._toolbox, run)
                    asked = await ask(self._jan, run, self._notes, self._limit(), self._own)
            finally:
                # It was stored while the model read the prompt. If it could not be, that goes before any other error.
                if begun is not None:
                    await begun
            self._used = None
            with self.interrupt.waiting():
                finish = await self._read(asked)
        finally:
            if asked is not None:
                await asked.close()
        return await self._finish(finish)

    async def _begin(self) -> None:
        await self._record.change(_in_progress, flush=False)

    async def _read(self, asked: Asked) -> str:
        """Read an answer to its end, telling it as it comes; returns why it ended."""
        finish: str | None = None
        loop = asyncio.get_running_loop()
        keep_at, lasting = loop.time() + FIRST_SECONDS, True
        held = ""
        chunk = asked.first
        while True:
            if chunk.usage is not None:
                self._used = RunUsage.of(chunk.usage)
            for choice in chunk.choices:
                delta = choice.delta
                if delta.content:
                    if self.saying is not None:
                        self.saying.say("text", delta.content)
                    elif self._calling is not None:
                        self._late += delta.content
                    elif (held := held + delta.content).strip():
                        # Blank space that calls may follow is no message.
                        await self._say("text", held)
                        held = ""
                if delta.refusal and self._calling is None:
                    await self._say("refusal", delta.refusal)
                if delta.tool_calls:
                    await self._call(delta.tool_calls)
                finish = choice.finish_reason or finish
            if loop.time() >= keep_at and self.saying is not None:
                keep_at = loop.time() + KEEP_SECONDS
                lasting = not self._record.keep_soon(self.saying, flush=lasting) and lasting
            try:
                chunk = await anext(asked.rest)
            except StopAsyncIteration:
                break
        if finish is None:
            raise EngineError("The engine ended its answer without saying why it stopped.", code="incomplete_answer")
        if self._calling is None and self.saying is None:
            await self._say("text", held)  # an empty answer is one, too
        return finish

    async def _say(self, kind: str, text: str) -> None:
        if self.saying is None:
            with self.interrupt.storing():
                await self._begin_message()
        assert self.saying is not None
        self.saying.say(kind, text)

    async def _begin_message(self) -> None:
        """Store that a message has begun, and tell it."""
        saying = Saying(self._record.kept.run, self._feed, self._notes.saying)
        details = MessageCreationDetails(message_creation=MessageCreation(message_id=saying.id))

        def edit(kept: KeptRun) -> list[RunEvent]:
            self._notes.saying, self._notes.heard = saying.begun, self._notes.heard or len(self._feed) > 0
            self._notes.to(kept)
            return steps.new_step(
                kept, self._again(kept, "message_creation") or self._step("message_creation", details)
            )

        await self._record.change(edit, flush=False)
        self.saying = saying
        self._feed.publish(*events.message_begun(saying.begun))

    async def _call(self, pieces: Any) -> None:
        if self._calling is None:
            with self.interrupt.storing():
                await self._begin_calls()
        assert self._calling is not None
        self._calling.take(pieces)

    async def _begin_calls(self) -> None:
        """Store that calls have begun, and tell it. What was said before them is finished first."""
        if self.saying is not None:
            await self._finish_message()
        begun: list[RunStep] = []

        def edit(kept: KeptRun) -> list[RunEvent]:
            self._notes.heard = self._notes.heard or len(self._feed) > 0
            self._notes.to(kept)
            begun.append(self._again(kept, "tool_calls") or self._step("tool_calls", ToolCallsDetails(tool_calls=[])))
            return steps.new_step(kept, begun[0])

        await self._record.change(edit, flush=False)
        taken = (call.id for one in self._notes.rounds for call in one.calls)
        self._calling = Calling(begun[0].id, self._feed, taken)

    async def _finish_message(self) -> None:
        """Store a message that is said while the answer goes on, and tell it."""
        assert self.saying is not None
        saying = self.saying

        def more(kept: KeptRun) -> list[RunEvent]:
            self._notes.going_on, self._notes.saying = True, saying.message()
            self._notes.to(kept)
            return []

        await self._record.change(more)
        message = await self._record.put(ended(saying.message()))
        self.saying, self._notes.saying = None, None
        self._said = saying

        def edit(kept: KeptRun) -> list[RunEvent]:
            self._notes.going_on = False
            self._notes.to(kept)
            return steps.message_done(kept, message.id)

        await self._record.change(edit, first=[events.of_message(message)])

    async def _finish(self, finish: str) -> bool:
        """What follows from the end of an answer; True where another one does."""
        if finish == "content_filter":
            message = "A content filter stopped the answer."
            raise Over("failed", error=RunError(code="server_error", message=message), said="content_filter")
        if finish == "length":
            raise Over("incomplete", reason="max_completion_tokens")
        if self._calling is not None:
            return await self._carry_out(self._calling)
        saying, first = self.saying, []
        if saying is not None:
            first.append(events.of_message(await self._record.put(ended(saying.message()))))
            self.saying = None
        await self._record.change(lambda kept: steps.ended(kept, "completed", usage=self._used), first=first, last=True)
        return False

    async def _carry_out(self, calling: Calling) -> bool:
        """The model has called tools: the assistant's own are carried out, and the run waits for what others give."""
        calls, said = calling.calls(), self._said
        own = {tool.function.name for tool in self._own or ()}
        for one in calls:
            one.here = one.name in own
        used = self._used or RunUsage()
        notes = self._notes
        # What it said behind its calls stands in no message, since a step follows the other; the model reads it again.
        text = (said.text if said is not None else "") + self._late
        notes.rounds.append(Round(text=text, message=None if said is None else said.id, calls=calls))
        notes.used, notes.asking, notes.heard = notes.used.plus(used), used, False
        out = CarryingOut(calling.step_id, notes, self._record)
        await out.begin()
        # From here on the answer is noted: it counts as used, and its step has its calls.
        self._calling, self._said, self._late, self._used = None, None, "", RunUsage()
        if (context := call.current()) is not None:
            context.prompt_tokens = context.completion_tokens = None
        return await out.go(self._toolbox, self.interrupt)

    async def _end(self, over: Over) -> None:
        """End the run, and with it the step and the message it is at."""
        if self._used is None and (context := call.current()) is not None:
            read, written = context.prompt_tokens or 0, context.completion_tokens or 0
            self._used = RunUsage(prompt_tokens=read, completion_tokens=written, total_tokens=read + written)
        first: list[RunEvent] = []
        with suppress(NotFound):
            if self.saying is not None:
                message = ended(self.saying.message(), over.said)
                try:
                    await self._record.put(message)
                except (JanError, OSError) as error:
                    # The run ends all the same: what cannot be stored now cannot be later.
                    log.warning("the answer of the run %s cannot be stored: %s", self._record.kept.run.id, error)
                first.append(events.of_message(message))
                self.saying = None
            details = None if self._calling is None else steps.calls_of(self._calling.calls())
            await self._record.change(
                lambda kept: steps.ended(
                    kept, over.status, error=over.error, reason=over.reason, usage=self._used, details=details
                ),
                first=first,
                last=True,
            )

    def _again(self, kept: KeptRun, kind: str) -> RunStep | None:
        """The step of this kind that is begun anew; one of another kind, that nobody heard of, goes."""
        anew, self._anew = self._anew, []
        others = {step.id for step in anew if step.type != kind}
        kept.steps = [step for step in kept.steps if step.id not in others]
        return next((step for step in anew if step.type == kind), None)

    def _step(self, kind: Any, details: Any) -> RunStep:
        run = self._record.kept.run
        return RunStep(
            id=new_id("step_"),
            created_at=now(),
            assistant_id=run.assistant_id,
            thread_id=run.thread_id,
            run_id=run.id,
            type=kind,
            step_details=details,
        )


def _in_progress(kept: KeptRun) -> list[RunEvent]:
    kept.run = states.gone(kept.run, "in_progress")
    return [events.of_run(kept.run)]
