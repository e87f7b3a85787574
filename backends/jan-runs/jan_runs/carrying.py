"""Carrying one run on, in the process that holds it, until it waits for the client or ends.

Nothing is told before it is stored. What ends something, or has the client do something, has survived a power cut by
then. What only begins survives the end of the process: that a run goes on, and that it begins to say something, is made
to last a moment later, so that nobody waits for the disk before the first piece of an answer. What an answer says and
calls is stored when it ends, and in between about once a second; see `answering`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING

from jan_core import call
from jan_core.errors import JanError, NotFound
from jan_core.schemas.runs import RunError, RunUsage
from jan_runs import events, recovery, states, steps
from jan_runs.answering import Answer
from jan_runs.asking import Conversation
from jan_runs.beginning import going
from jan_runs.carrying_out import CarryingOut
from jan_runs.fitting import PromptTooLong
from jan_runs.interrupt import Interrupt, Interrupted
from jan_runs.notes import Notes, Round
from jan_runs.own_run import OwnRun
from jan_runs.record import EndedElsewhere, NotStored, Record
from jan_runs.saying import ended
from jan_runs.tools import not_given

if TYPE_CHECKING:
    from jan_core.app import Jan
    from jan_core.schemas.messages import Message
    from jan_core.schemas.runs import KeptRun, RunEvent, RunStatus, RunStep
    from jan_core.schemas.tools import AssistantFunctionTool
    from jan_runs.asking import Asked, Asking
    from jan_runs.calling import Calling
    from jan_runs.feed import Feed
    from jan_runs.saying import Saying
    from jan_runs.store import RunStore
    from jan_runs.tools import Toolbox

CUT_SHORT = {"cancelled": "run_cancelled", "failed": "run_failed", "expired": "run_expired", "incomplete": "max_tokens"}
"""Why a message is incomplete, by how its run ended."""
CUT_CALL = "The answer came to its limit in the middle of its calls: they are not whole, and nothing was called."
"""Why a step of calls fails in a run that is `incomplete`."""
UNREADABLE = "What is noted of the run cannot be read ({damage}), so that it cannot go on. Run the assistant again."
"""Why a run fails that somebody wrote into."""
UNSTORED = "What was said is not in the thread, since it could not be stored: {why}"
"""Why a run fails whose message was refused."""

log = logging.getLogger("jan")


class Over(Exception):
    """The run ends here.

    Args:
        status: how.
        error: why, where it fails.
        reason: which limit was reached, where it is incomplete.
        said: why the message is incomplete, where that is not what the status says.
        cut: why the step in progress fails, where the run does not.
    """

    def __init__(
        self,
        status: RunStatus,
        *,
        error: RunError | None = None,
        reason: str | None = None,
        said: str | None = None,
        cut: RunError | None = None,
    ) -> None:
        super().__init__(status)
        self.status, self.error, self.reason, self.cut = status, error, reason, cut
        self.said = said or CUT_SHORT[status]

    @classmethod
    def failed(cls, message: str) -> Over:
        """It fails, and the server is to blame."""
        return cls("failed", error=RunError(code="server_error", message=message))


class Carrying:
    """One run, carried on by one task of this process, which holds it.

    Args:
        jan: the running app.
        store: where the run is kept.
        kept: the run as it is stored.
        feed: where its events go.
        toolbox: carries out the assistant's own tools.
        asking: asks the models.

    Attributes:
        interrupt: the wish that it be cancelled.
    """

    def __init__(self, jan: Jan, store: RunStore, kept: KeptRun, feed: Feed, toolbox: Toolbox, asking: Asking) -> None:
        self.interrupt = Interrupt()
        self._jan, self._feed, self._notes = jan, feed, Notes.of(kept)
        self._record = Record(jan, store, kept, feed, self.interrupt)
        self._answer = self._next()
        self._toolbox = toolbox
        self._asking: Asking | OwnRun = asking
        self._own: list[AssistantFunctionTool] = []
        self._read = Conversation()

    @property
    def saying(self) -> Saying | None:
        """The message that it is saying, None where it says nothing."""
        return self._answer.saying

    async def go(self) -> KeptRun:
        """Carry it on.

        Returns:
            The run as it is stored then.

        Raises:
            NotFound: it is gone, with its thread.
            NotStored: it is where it was, for the next one who holds it.
        """
        try:
            over = await self._over()
            if over is not None:
                await self._end(over)
        except asyncio.CancelledError:
            with suppress(Exception):
                await self._record.rest()
            with suppress(Exception):
                await self._record.keep(self._answer.so_far)
            raise
        except EndedElsewhere:
            self._feed.publish(events.of_run(self._record.kept.run))
        return self._record.kept

    async def _over(self) -> Over | None:
        """Carry it on to its end, which is returned; None where it has ended, or waits."""
        try:
            with self.interrupt.until(self._record.kept.run.expires_at):
                await self._go()
        except EndedElsewhere:
            raise
        except NotStored as error:
            if not error.refused or not isinstance(error.why, JanError):
                raise
            return Over("failed", error=RunError.of(error.why))
        except Interrupted as interrupted:
            return Over(interrupted.why)
        except Over as over:
            return over
        except PromptTooLong:
            return Over("incomplete", reason="max_prompt_tokens")
        except JanError as error:
            return Over("failed", error=RunError.of(error))
        except Exception:
            log.exception("the run %s failed", self._record.kept.run.id)
            return Over.failed(steps.defect(self._record.kept.run))
        return None

    async def _go(self) -> None:
        run, notes = self._record.kept.run, self._notes
        if run.status == "requires_action" and not states.overdue(run):
            return
        if run.status == "cancelling":
            self._feed.cancelling(run)
        found = await recovery.look(self._jan, self._record.kept, notes)
        if found.said:
            await self._record.change(lambda kept: steps.ended(kept, "completed"), last=True)
            return
        if (done := found.done) is not None:
            await self._record.change(lambda kept: steps.message_done(kept, done), last=True)
        anew = [step for step in self._record.kept.steps if step.status == "in_progress"]
        self._answer = self._next(before=found.message, anew=anew)
        if run.status == "cancelling":
            raise Interrupted
        if notes.damage:
            raise Over.failed(UNREADABLE.format(damage=notes.damage))
        if found.broken:
            raise Over.failed(found.why)
        if states.overdue(run):
            raise Over("expired")
        async with AsyncExitStack() as stack:
            if await self._look_at_code() and not notes.rounds:
                own_run = OwnRun(self._jan, self._toolbox, self._record, notes, self.interrupt)
                stack.push_async_callback(own_run.close)
                self._toolbox = self._asking = own_run
                self._own = []  # it calls them itself
            while await self._one_answer():
                pass

    async def _look_at_code(self) -> bool:
        """Whether the assistant has a `run` of its own; its tools are known then."""
        run = self._record.kept.run
        with self.interrupt.waiting():
            own_run, tools = await self._toolbox.has(run.assistant_id)
        self._own = not_given(run, tools)
        return own_run

    def _next(self, *, before: Message | None = None, anew: Sequence[RunStep] = ()) -> Answer:
        return Answer(self._record, self._feed, self._notes, self.interrupt, before=before, anew=anew)

    def _limit(self) -> int | None:
        """The most tokens that the next answer may have."""
        most = self._record.kept.run.max_completion_tokens
        if most is None:
            return None
        left = most - self._notes.used.completion_tokens
        if left <= 0:
            raise Over("incomplete", reason="max_completion_tokens")
        return left

    async def _one_answer(self) -> bool:
        """One answer of the model, and what follows from it; True where that is another one."""
        run, beginning = self._record.kept.run, self._answer.beginning
        asked: Asked | None = None
        try:
            with self.interrupt.waiting(), beginning.awaited():
                asked = await self._asking.ask(run, self._notes, self._limit(), self._own, self._read)
            await self._record.going_on()
            beginning.soon()
            with self.interrupt.waiting():
                finish = await self._answer.read(asked)
        finally:
            if asked is not None:
                await asked.close()
            await self._answer.settled()
            await beginning.settled()
        return await self._finish(finish)

    async def _finish(self, finish: str) -> bool:
        """What follows from the end of an answer; True where another one does."""
        answer = self._answer
        if finish == "content_filter":
            message = "A content filter stopped the answer."
            raise Over("failed", error=RunError(code="server_error", message=message), said="content_filter")
        if finish == "length":
            cut = None if answer.calling is None else RunError(code="server_error", message=CUT_CALL)
            raise Over("incomplete", reason="max_completion_tokens", cut=cut)
        if answer.calling is not None:
            return await self._carry_out(answer.calling)
        first = [] if answer.saying is None else [await answer.put(ended(answer.saying.message()))]
        await self._record.change(
            lambda kept: steps.ended(kept, "completed", usage=answer.used), first=first, last=True
        )
        return False

    async def _carry_out(self, calling: Calling) -> bool:
        """The model has called tools: the assistant's own are carried out, and the run waits for what others give."""
        answer, calls = self._answer, calling.calls()
        said = answer.said
        own = {tool.function.name for tool in self._own}
        for one in calls:
            # An own run tells of what it has done, by whatever name.
            one.here = one.name in own or self._asking is self._toolbox
        used = answer.used or RunUsage()
        notes = self._notes
        # What it said behind its calls stands in no message, since a step follows the other; the model reads it again.
        text = (said.text if said is not None else "") + answer.late
        message = None if said is None else said.id
        notes.rounds.append(Round(text=text, message=message, step=calling.step_id, calls=calls))
        notes.used, notes.asking, notes.heard = notes.used.plus(used), used, False
        out = CarryingOut(calling.step_id, notes, self._record)
        await out.begin(answer.calls_begin)
        # From here on the answer is noted: it counts as used, and its step has its calls.
        self._answer = self._next()
        if (context := call.current()) is not None:
            context.prompt_tokens = context.completion_tokens = None
        # An own run goes on with its effects once it is asked for more.
        return await out.go(self._toolbox, self.interrupt, soon=self._asking is not self._toolbox)

    async def _end(self, over: Over) -> None:
        """End the run, and with it the step and the message it is at."""
        answer = self._answer
        if answer.used is None and (context := call.current()) is not None:
            read, written = context.prompt_tokens or 0, context.completion_tokens or 0
            answer.used = RunUsage(prompt_tokens=read, completion_tokens=written, total_tokens=read + written)
        first: list[RunEvent] = []
        if (saying := answer.broken_off()) is not None:
            message = ended(saying.message(), over.said)
            try:
                first.append(await answer.put(message))
            except NotFound:
                raise
            except (JanError, OSError) as error:
                # The run ends all the same, and says so: what is refused now would be refused later.
                log.warning("the answer of the run %s cannot be stored: %s", self._record.kept.run.id, error)
                reason = over.error.message if over.error is not None else ""
                over = Over.failed(f"{reason} {UNSTORED.format(why=error)}".lstrip())
                first.append(events.of_message(message))
                answer.saying = None

        def edit(kept: KeptRun) -> list[RunEvent]:
            # Who waited for the engine until it was over never went on; what fails has tried to.
            begun = going(kept) if over.status in ("failed", "incomplete") else []
            told = steps.ended(
                kept,
                over.status,
                error=over.error,
                reason=over.reason,
                usage=answer.used,
                cut=over.cut,
                details=answer.called(),
            )
            return [*begun, *told]

        await self._record.change(edit, first=first, last=True)
