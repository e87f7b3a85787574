"""Copying runs, those of some threads at the same time."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from jan_core.copying.objects import Objects
from jan_core.copying.sides import PAGE, Sides, pages
from jan_core.copying.told import Told
from jan_core.errors import InvalidRequest, NotFound
from jan_core.schemas.runs import Run, RunsQuery

if TYPE_CHECKING:
    from jan_core.app import Jan


async def copy_runs(sides: Sides) -> Told:
    """Copy the runs of all threads of the source, and read again what was copied.

    Raises:
        JanError: see `Copying.copy`.
    """
    told = Told()

    async def one(thread_id: str) -> None:
        objects = Objects(sides, "runs", thread_id)
        count = await _copy(sides, objects, thread_id)
        told.copied += objects.told.copied
        told.present += objects.told.present
        told.conflicts += objects.told.conflicts
        sides.step("runs", count, 1)

    await sides.each_thread(one)
    return told


async def _copy(sides: Sides, objects: Objects, thread_id: str) -> int:
    """Copy the runs of one thread; returns how many there are."""
    count, is_there = 0, False
    try:
        async for page in _runs(sides.source, thread_id):
            count += len(page)
            try:
                is_there = is_there or await _is_there(sides.target, thread_id)
            except (NotFound, InvalidRequest) as error:
                told = [f"the run {run.id!r} of the thread {thread_id!r}: {error.message}" for run in page]
                objects.told.conflicts += told
            else:
                await objects.take([run.id for run in page])
    except NotFound as error:  # the thread was deleted meanwhile
        objects.told.conflicts.append(f"the runs of the thread {thread_id!r}: {error.message}")
    return count


def _runs(jan: Jan, thread_id: str) -> AsyncGenerator[list[Run], None]:
    return pages(lambda after: jan.runs.list(thread_id, RunsQuery(limit=PAGE, order="asc", after=after)))


async def _is_there(jan: Jan, thread_id: str) -> bool:
    await jan.threads.check(thread_id)
    return True
