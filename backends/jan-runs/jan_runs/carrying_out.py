"""What follows from an answer that calls tools: those of the assistant's own are carried out here, one after another.

That a call begins is stored, durably, before it does. So whoever finds the run after a crash knows which call may have
had its effect, and makes none of them twice. What came of the last one is stored with what the model begins to say to
it, and told first; or a moment later, where the model takes longer. The client is asked for what is left, once these
are done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jan_core.schemas.runs import RequiredAction, RunToolCall
from jan_runs import events, states, steps

if TYPE_CHECKING:
    from collections.abc import Callable

    from jan_core.schemas.runs import KeptRun, RunEvent
    from jan_runs.interrupt import Interrupt
    from jan_runs.notes import NotedCall, Notes
    from jan_runs.record import Record
    from jan_runs.tools import Toolbox


class CarryingOut:
    """The calls of one answer.

    Args:
        step_id: the step that they belong to.
        notes: what is noted of the run; its newest round has the calls.
        record: the run as it is stored.
    """

    def __init__(self, step_id: str, notes: Notes, record: Record) -> None:
        self._step_id, self._notes, self._record = step_id, notes, record
        self._calls: list[NotedCall] = notes.rounds[-1].calls

    async def begin(self, before: Callable[[KeptRun], list[RunEvent]] | None = None) -> None:
        """Store the calls, and that the first one here begins, or that the run waits for the client.

        Args:
            before: changes what is to be stored with it, and returns the events that go first.

        Raises:
            Interrupted, NotFound, NotStored: as `Record.change`.
        """

        def edit(kept: KeptRun) -> list[RunEvent]:
            first = [] if before is None else before(kept)
            return [*first, *self._edit(kept)]

        await self._record.change(edit)

    async def go(self, toolbox: Toolbox, interrupt: Interrupt, *, soon: bool) -> bool:
        """Carry out the calls that are to be carried out here.

        Args:
            toolbox: does it.
            interrupt: the wish that the run be cancelled; it ends the call.
            soon: the last output need not be stored when this returns: it is with the next change, or a moment later.
                Where the process ends by then, the run cannot go on, and the call is not made again.

        Returns:
            True where all calls have their outputs, so that the model can go on; False where the run waits.

        Raises:
            Interrupted, NotFound, NotStored: as `Record.change`.
            JanError: a tool cannot be had.
        """
        for index, one in enumerate(self._calls):
            if one.here and one.output is None:
                with interrupt.waiting():
                    output = await toolbox.call(self._record.kept.run.assistant_id, one.name, one.arguments)
                one.output = output
                told = events.output_delta(self._step_id, index, output)
                if soon and all(other.output is not None for other in self._calls):
                    self._record.change_soon(self._edit, first=[told])
                else:
                    await self._record.change(self._edit, first=[told])
        return all(one.output is not None for one in self._calls)

    def _edit(self, kept: KeptRun) -> list[RunEvent]:
        """Note what is done; begin the next call here, or wait for the client, or be done with the step."""
        told: list[RunEvent] = []
        left = [one for one in self._calls if one.output is None]
        here = next((one for one in left if one.here), None)
        steps.calls_told(kept, self._step_id, self._calls)
        if here is not None:
            here.started = True
        elif left:
            wanted = [RunToolCall.of(one.id, one.name, one.arguments) for one in left]
            kept.run = states.gone(kept.run, "requires_action", required_action=RequiredAction.of(wanted))
            told = [events.of_run(kept.run)]
        else:
            told = steps.calls_done(kept, self._notes)
        self._notes.to(kept)
        return told
