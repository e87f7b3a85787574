"""Where a run stands whose process ended while it carried it on, and what can be done about it.

A message that the thread has already is never said again. An answer that nobody had heard of is given anew, under the
ids that it had; one that somebody listened to cannot be taken back, so that its run fails, and what was said of it is
kept as an incomplete message. A call that was being carried out here may have had its effect, and is not made twice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from jan_core.errors import NotFound

if TYPE_CHECKING:
    from jan_core.app import Jan
    from jan_core.schemas.messages import Message
    from jan_core.schemas.runs import KeptRun
    from jan_runs.notes import Notes

BROKEN = "The server stopped while the answer was being given; what was said by then is kept. Run the assistant again."
"""Why a run fails that cannot be taken up."""
CALLING = (
    "The server stopped while {name} was being carried out. It may have done what it was to do, so that it is not "
    "called again. Run the assistant again."
)
"""The same, where it was at a call of the assistant's own tools."""


OWN_RUN = (
    "The server stopped while the assistant's own run went on. Nobody knows what it had done by then, so that it is "
    "not begun again; what it had said is kept. Run the assistant again."
)
"""The same, where it was the assistant's own code that answered."""


@dataclass(frozen=True, slots=True)
class Found:
    """What is found of an answer that broke off.

    Attributes:
        said: its message is in the thread, and was all of it.
        broken: it cannot be given anew.
        message: what it had said, where that is not in the thread.
        done: the id of the message that it said in front of calls, which broke off; it is whole, and in the thread.
        why: why it is broken.
    """

    said: bool = False
    broken: bool = False
    message: Message | None = None
    done: str | None = None
    why: str = BROKEN


async def look(jan: Jan, kept: KeptRun, notes: Notes) -> Found:
    """See what a run was at when it broke off; nothing where it was at nothing.

    Raises:
        NotFound: the thread is gone.
    """
    found = await _look(jan, kept, notes)
    return replace(found, broken=True, why=OWN_RUN) if notes.own_run and not found.said else found


async def _look(jan: Jan, kept: KeptRun, notes: Notes) -> Found:
    message = notes.saying
    last = notes.rounds[-1].calls if notes.rounds else []
    if (called := next((one for one in last if one.here and one.started and one.output is None), None)) is not None:
        return Found(broken=True, why=CALLING.format(name=called.name))
    if message is None:
        begun = any(step.status == "in_progress" for step in kept.steps)
        return Found(broken=begun and notes.heard)
    try:
        stored = await jan.messages.retrieve(message.thread_id, message.id)
    except NotFound:
        await jan.threads.check(message.thread_id)
        return Found(broken=notes.heard, message=message)
    # While a message is being said, it is read from the run.
    if stored.status == "in_progress":
        return Found(broken=notes.heard, message=message)
    if stored.status == "completed" and not notes.going_on:
        return Found(said=True)
    return Found(broken=True, done=stored.id if stored.status == "completed" else None)
