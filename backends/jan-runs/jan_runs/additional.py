"""The `additional_messages` of a run: stored in its thread before it goes on, all or none, and none twice.

They are noted with the run, under the ids that they are to have, and the note goes when the thread has them. So a
crash in between leaves a run that says what is missing, and a message that is stored once more takes its own place.
Whoever stores them holds the run, so that nobody else does so meanwhile, or carries it on without them.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jan_core.errors import JanError, NotFound
from jan_core.schemas.runs import KeptRun, RunError
from jan_runs import steps, storing
from jan_runs.notes import Notes

if TYPE_CHECKING:
    from jan_core.app import Jan
    from jan_core.schemas.messages import Message
    from jan_runs.store import RunStore

log = logging.getLogger("jan")


async def add(jan: Jan, store: RunStore, kept: KeptRun) -> None:
    """Store the messages that are noted with a run. Nothing where there are none.

    Args:
        jan: gives the messages of its thread.
        store: keeps the run, which the caller holds (`RunStore.hold`).
        kept: the run as it is stored; it is not changed.

    Raises:
        NotFound: the thread is gone, or was deleted meanwhile; nothing of it is left.
        Exception: a message, or that all are there, could not be stored. Those that were are removed, and the run has
            ended `failed`, as far as that can be.
    """
    run, messages = kept.run, Notes.of(kept).additional
    if not messages:
        return
    try:
        await storing.put(jan, run.thread_id, messages)
        async with store.changing(run.thread_id, run.id) as now:
            notes = Notes.of(now)
            notes.additional = []
            notes.to(now)
    except Exception as error:
        await _check_still(jan, run.thread_id)
        if not isinstance(error, JanError):
            log.error("the messages of the run %s cannot be stored", run.id, exc_info=error)
        told = error if isinstance(error, JanError) else JanError(steps.defect(run))
        await _take_back(jan, run.thread_id, messages)
        async with store.changing(run.thread_id, run.id) as now:
            if not now.run.ended:
                steps.ended(now, "failed", error=RunError.of(told))
        raise


async def _check_still(jan: Jan, thread_id: str) -> None:
    """A thread that is gone takes its runs along, and there is nothing to take back; what cannot be told is no such."""
    try:
        await jan.threads.check(thread_id)
    except NotFound:
        raise
    except Exception as error:
        log.info("whether the thread %s is still there cannot be told: %s", thread_id, error)


async def _take_back(jan: Jan, thread_id: str, messages: Sequence[Message]) -> None:
    for message in messages:
        try:
            await jan.messages.delete(thread_id, message.id)
        except NotFound:  # it was not stored
            continue
        except Exception as error:
            log.info("the message %s of a run that was not begun may have stayed: %s", message.id, error)
