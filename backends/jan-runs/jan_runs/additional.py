"""The `additional_messages` of a run: stored in its thread before it goes on, all or none, and none twice.

They are noted with the run, under the ids that they are to have, and the note goes when the thread has them. So a
crash in between leaves a run that says what is missing, and a message that is stored once more takes its own place.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from jan_core.errors import JanError
from jan_core.schemas.runs import KeptRun, RunError
from jan_runs import steps
from jan_runs.notes import Notes

if TYPE_CHECKING:
    from jan_core.app import Jan
    from jan_runs.store import RunStore

log = logging.getLogger("jan")


async def add(jan: Jan, store: RunStore, kept: KeptRun) -> None:
    """Store the messages that are noted with a run. Nothing where there are none.

    Args:
        jan: gives the messages of its thread.
        store: keeps the run.
        kept: the run as it is stored, with nobody carrying it on; it is not changed.

    Raises:
        JanError: a message could not be stored. Those that were are removed, and the run has ended `failed`.
    """
    run, done = kept.run, []
    for message in Notes.of(kept).additional:
        try:
            done.append(message.id)
            await jan.messages.put(message)
        except Exception as error:
            told = error if isinstance(error, JanError) else JanError(f"{type(error).__name__}: {error}")
            await _take_back(jan, run.thread_id, done)
            async with store.changing(run.thread_id, run.id) as now:
                if not now.run.ended:
                    steps.ended(now, "failed", error=RunError.of(told))
            raise
    if done:
        async with store.changing(run.thread_id, run.id) as now:
            notes = Notes.of(now)
            notes.additional = []
            notes.to(now)


async def _take_back(jan: Jan, thread_id: str, ids: list[str]) -> None:
    for id in ids:
        try:
            await jan.messages.delete(thread_id, id)
        except JanError as error:
            log.info("the message %s of a run that was not begun may have stayed: %s", id, error.message)
