"""A copy of the objects of one endpoint after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from jan_core.copying.messages import copy_messages
from jan_core.copying.objects import Objects
from jan_core.copying.runs import copy_runs
from jan_core.copying.sides import Sides, listed
from jan_core.copying.told import Told

if TYPE_CHECKING:
    from jan_core.app import Jan

ENDPOINTS = ("assistants", "threads", "messages", "runs")
"""What can be copied, in the order in which it is: messages and runs need their threads."""


class Copying:
    """A copy from one app into another.

    Args:
        source: it is only read.
        target: what is missing is put into it.
        step: told of what was compared: the endpoint's name, how many objects, and how many of its `total`.
    """

    def __init__(self, source: Jan, target: Jan, step: Callable[[str, int, int], None] = lambda *_: None) -> None:
        self._sides = Sides(source, target, step)

    async def total(self, endpoint: str) -> int:
        """How much there is to copy: assistants or threads; of messages and runs, the threads that may have some.

        Raises:
            JanError: a listing failed.
        """
        count = 0
        async for page in listed(self._sides.source, "assistants" if endpoint == "assistants" else "threads"):
            count += len(page)
        return count

    async def copy(self, endpoint: str) -> Told:
        """Copy all that the source has of an endpoint, and read again what was copied.

        Args:
            endpoint: one of `ENDPOINTS`.

        Raises:
            JanError: a listing failed, or the target cannot be reached; what was copied stays.
        """
        if endpoint == "messages":
            return await copy_messages(self._sides)
        if endpoint == "runs":
            return await copy_runs(self._sides)
        objects = Objects(self._sides, endpoint)
        async for page in listed(self._sides.source, endpoint):
            await objects.take([one.id for one in page])
            self._sides.step(endpoint, len(page), len(page))
        return objects.told
