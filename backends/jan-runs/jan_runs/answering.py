"""One answer of the model: what it says and calls becomes a message and steps, stored and told as it comes.

What begins is stored before it is told, and lasts a moment later. Text in front of calls is a message of its own; that
it is done, and that the calls begin, is one change: in between nothing would say that the answer goes on, and whoever
found the run then would have the model say its text once more. Calls that are there at once, as many servers give them,
are stored as begun together with what follows from them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from jan_core.errors import EngineError
from jan_core.ids import new_id, now
from jan_core.schemas.runs import (
    MessageCreation,
    MessageCreationDetails,
    RunStep,
    RunUsage,
    ToolCallsDetails,
)
from jan_runs import events, steps
from jan_runs.beginning import Beginning, going
from jan_runs.calling import Calling
from jan_runs.interrupt import Interrupted
from jan_runs.notes import note_so_far
from jan_runs.saying import Saying, ended

if TYPE_CHECKING:
    from jan_core.schemas.messages import Message
    from jan_core.schemas.runs import KeptRun, RunEvent
    from jan_runs.asking import Asked
    from jan_runs.feed import Feed
    from jan_runs.interrupt import Interrupt
    from jan_runs.notes import Notes
    from jan_runs.record import Record

KEEP_SECONDS, FOLLOWED_SECONDS = 1.0, 0.1
"""How often it is stored how far an answer has come; the second where it is followed in another process."""
TOGETHER = 0.005
"""Seconds that calls may take to be whole without being stored as begun before."""
FIRST_SECONDS = 0.1
"""When that is done first, after the answer has begun; what began with it lasts from then on."""


class Answer:
    """An answer in the making.

    Args:
        record: the run as it is stored.
        feed: where its events go.
        notes: what is noted of the run.
        interrupt: the wish that it be cancelled.
        before: what was said when it was given the last time, in a process that ended; it is begun anew.
        anew: the steps that it had begun then.

    Attributes:
        beginning: that the engine begins with it.
        saying: the message that it is saying; None where it says nothing.
        calling: the calls that it is writing; None where it writes none.
        said: the message that stands in front of the calls; the thread has it.
        late: text that came behind the calls, which stands in no message.
        used: tokens that it took; None where nobody has told.
    """

    def __init__(
        self,
        record: Record,
        feed: Feed,
        notes: Notes,
        interrupt: Interrupt,
        *,
        before: Message | None = None,
        anew: Sequence[RunStep] = (),
    ) -> None:
        self._record, self._feed, self._notes, self._interrupt = record, feed, notes, interrupt
        self._before, self._anew = before, anew
        self._unbegun: RunStep | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._storing: asyncio.Task[None] | None = None
        self.beginning = Beginning(record)
        self.saying: Saying | None = None
        self.calling: Calling | None = None
        self.said: Saying | None = None
        self.late = ""
        self.used: RunUsage | None = None

    async def read(self, asked: Asked) -> str:
        """Read it to its end, telling it as it comes.

        Returns:
            Why it ended.

        Raises:
            EngineError: it ended without saying why.
            Interrupted, NotFound, NotStored: as `Record.change`.
            JanError: as the stream; or its message cannot be stored.
        """
        finish: str | None = None
        loop = asyncio.get_running_loop()
        keep_at, soon_at = loop.time() + FIRST_SECONDS, 0.0
        held = ""
        chunk = asked.first
        while True:
            if chunk.usage is not None:
                self.used = RunUsage.of(chunk.usage)
            for choice in chunk.choices:
                delta = choice.delta
                if delta.content:
                    if self.saying is not None:
                        self.saying.say("text", delta.content)
                    elif self.calling is not None:
                        self.late += delta.content
                    elif (held := held + delta.content).strip():
                        # Blank space that calls may follow is no message.
                        await self._say("text", held)
                        held = ""
                if delta.refusal and self.calling is None:
                    await self._say("refusal", delta.refusal)
                if delta.tool_calls:
                    await self._call(delta.tool_calls)
                finish = choice.finish_reason or finish
            begun = self.saying is not None or (self.calling is not None and self.calling.told)
            if begun and ((at := loop.time()) >= keep_at or (at >= soon_at and self._record.is_followed)):
                keep_at, soon_at = at + KEEP_SECONDS, at + FOLLOWED_SECONDS
                self._record.keep_soon(self.so_far)
            try:
                chunk = await anext(asked.rest)
            except StopAsyncIteration:
                break
        await self._calls_read(whole=finish in ("tool_calls", "stop"))
        if finish is None:
            raise EngineError("The engine ended its answer without saying why it stopped.", code="incomplete_answer")
        if self.calling is None and self.saying is None and not (self._notes.own_run and self._notes.rounds):
            # An empty answer is one, too. What an own run did last, and said nothing after, is none.
            await self._say("text", held)
        return finish

    def so_far(self, kept: KeptRun) -> None:
        """Note with a kept run how far it has come."""
        saying = None if self.saying is None else self.saying.message()
        note_so_far(kept, saying, () if self.calling is None else self.calling.calls())

    async def put(self, message: Message) -> RunEvent:
        """Store what it says, as it ended, in the thread; it says nothing any more then.

        That it says it lasts by then: a power cut that left the message alone would have it said once more.

        Args:
            message: the message as it ended.

        Returns:
            The event that tells of it.

        Raises:
            NotFound: the thread is gone.
            JanError, OSError: the message cannot be stored.
        """
        if not self._record.lasting:
            self._record.keep_soon(self.so_far)
            await self._record.settled()
        event = events.of_message(await self._record.put(message))
        self.saying = self._before = None
        return event

    def broken_off(self) -> Saying | None:
        """What it said that is not in the thread: now, or, where it says nothing yet, the last time."""
        if self.saying is None and self._before is not None:
            self.saying = Saying(self._record.kept.run, self._feed, self._before)
            self.saying.restore(self._before)
        return self.saying

    def called(self) -> ToolCallsDetails | None:
        """The calls as far as they came: now, or the last time; None where there are none."""
        calls = self._notes.calling if self.calling is None else self.calling.calls()
        return steps.calls_of(calls) if calls else None

    async def _say(self, kind: str, text: str) -> None:
        if self.saying is None:
            with self._interrupt.storing():
                await self._begin_message()
        assert self.saying is not None
        self.saying.say(kind, text)

    async def _begin_message(self) -> None:
        """Store that a message has begun, and tell it."""
        saying = Saying(self._record.kept.run, self._feed, self._before)
        details = MessageCreationDetails(message_creation=MessageCreation(message_id=saying.id))
        await self.beginning.settled()

        def edit(kept: KeptRun) -> list[RunEvent]:
            self._begins(kept, saying=saying.begun)
            self._unbegun = self._step("message_creation", details)
            return [*going(kept), *self._step_begins(kept)]

        await self._record.change(edit, flush=False)
        self.saying, self._before = saying, None
        self._feed.publish(*events.message_begun(saying.begun))

    async def _call(self, pieces: Any) -> None:
        if self.calling is None:
            self._unbegun = self._step("tool_calls", ToolCallsDetails(tool_calls=[]))
            taken = (call.id for one in self._notes.rounds for call in one.calls)
            calling = Calling(self._unbegun.id, self._feed, taken)
            if self.saying is not None:
                with self._interrupt.storing():
                    await self._end_message(self.saying, calling)
            else:
                self._timer = asyncio.get_running_loop().call_later(TOGETHER, self._store_calls)
            self.calling = calling
        self.calling.take(pieces)
        if self._storing is not None and self._storing.done():
            await self._calls_stored()

    async def _end_message(self, said: Saying, calling: Calling) -> None:
        """Store that calls have begun behind a message, which is done with the same change, and tell it."""
        await self.beginning.settled()
        first = [await self._message_of(said)]

        def edit(kept: KeptRun) -> list[RunEvent]:
            self._begins(kept, bound=True)
            told = steps.message_done(kept, said.id)
            if kept.run.status == "cancelling":
                return told  # the thread has the message; nothing more begins
            return [*going(kept), *told, *self._step_begins(kept), *calling.events()]

        await self._record.change(edit, first=first, last=True)
        self.said, self._before = said, None
        if self._unbegun is not None:
            raise Interrupted

    def _store_calls(self) -> None:
        """They are not whole yet: store that they have begun, and tell it, while more is read."""
        self._storing = asyncio.create_task(self._begin_calls())

    async def _begin_calls(self) -> None:
        await self.beginning.settled()

        def edit(kept: KeptRun) -> list[RunEvent]:
            self._begins(kept)
            return [*going(kept), *self._step_begins(kept)]

        await self._record.change(edit, flush=False)
        self._before = None
        if self.calling is not None:
            self._feed.publish(*self.calling.events())

    async def _calls_stored(self) -> None:
        """Return when it is stored that calls have begun, where that was begun to be stored.

        Raises:
            EndedElsewhere, Interrupted, NotFound, NotStored: as `Record.change`.
        """
        storing = self._storing
        if storing is not None:
            await asyncio.wait([storing])  # who is cancelled meanwhile does not cancel it
            self._storing = None
            await storing

    async def _calls_read(self, *, whole: bool) -> None:
        """The answer was read: that calls have begun is stored; of whole ones it may be stored with what follows."""
        self._stop_timer()
        await self._calls_stored()
        if self._unbegun is not None and not whole:
            with self._interrupt.storing():
                await self._begin_calls()

    def calls_begin(self, kept: KeptRun) -> list[RunEvent]:
        """The calls begin, where that is not stored yet; `kept` is changed, and what tells of it is returned.

        What is noted is stored by whoever calls this.
        """
        if self._unbegun is None or self.calling is None:
            return []
        notes = self._notes
        notes.saying, notes.calling, notes.going_on = None, [], False
        return [*going(kept), *self._step_begins(kept), *self.calling.events()]

    async def settled(self) -> None:
        """Return when nothing is stored by this any more. Whether it was, what is stored next shows."""
        self._stop_timer()
        storing, self._storing = self._storing, None
        if storing is not None:
            await asyncio.wait([storing])
            if not storing.cancelled():
                storing.exception()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _message_of(self, said: Saying) -> RunEvent:
        """Store a message that is said while its answer goes on; the event that tells of it."""

        def more(kept: KeptRun) -> list[RunEvent]:
            self._notes.going_on, self._notes.saying = True, said.message()
            self._notes.to(kept)
            return []

        await self._record.change(more)
        return await self.put(ended(said.message()))

    def _begins(self, kept: KeptRun, *, saying: Message | None = None, bound: bool = False) -> None:
        """Note what begins. `bound` where it cannot be begun anew, whoever listens."""
        notes = self._notes
        notes.saying, notes.calling, notes.going_on = saying, [], False
        notes.heard = notes.heard or bound or len(self._feed) > 0
        notes.to(kept)

    def _step(self, kind: Any, details: Any) -> RunStep:
        """The step that begins: that of the same kind that is begun anew, or a new one."""
        run = self._record.kept.run
        return next((step for step in self._anew if step.type == kind), None) or RunStep(
            id=new_id("step_"),
            created_at=now(),
            assistant_id=run.assistant_id,
            thread_id=run.thread_id,
            run_id=run.id,
            type=kind,
            step_details=details,
        )

    def _step_begins(self, kept: KeptRun) -> list[RunEvent]:
        """The step begins; of those to be begun anew, one of another kind goes, unheard of."""
        step, self._unbegun = self._unbegun, None
        assert step is not None
        anew, self._anew = self._anew, ()
        others = {one.id for one in anew if one.type != step.type}
        kept.steps = [one for one in kept.steps if one.id not in others]
        return steps.new_step(kept, step)
