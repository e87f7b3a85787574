"""Copying assistants, threads, or the runs of a thread: some at once as lines, or one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from jan_core.copying.told import Told, differing, differing_values, id_of
from jan_core.errors import Conflict, InvalidRequest, JanError, NotFound
from jan_core.schemas.assistants import Assistant
from jan_core.schemas.runs import KeptRun

if TYPE_CHECKING:
    from jan_core.app import Jan
    from jan_core.copying.sides import Sides

DEFAULT = "jan"
"""The assistant that every store has from its first start; what nobody has touched of it yields to a copy."""
_SAID = ("instructions", "tools", "metadata", "model", "temperature")


class Objects:
    """A copy of objects of one endpoint.

    Attributes:
        endpoint: assistants, threads or runs.
        told: what came of it so far.

    Args:
        sides: from where to where.
        endpoint: as above.
        thread_id: of the thread, for runs.
    """

    def __init__(self, sides: Sides, endpoint: str, thread_id: str | None = None) -> None:
        self.endpoint, self.told = endpoint, Told()
        self._sides = sides
        self._thread = () if thread_id is None else (thread_id,)
        self._as_lines = sides.have_lines(endpoint)

    async def take(self, ids: Sequence[str]) -> None:
        """Copy some objects that the source has listed, and read again what was put into the target.

        Raises:
            JanError: one side cannot be reached.
        """
        if self._as_lines:
            await self._lines(ids)
            return
        for id in ids:
            await self._object(id)

    async def _lines(self, ids: Sequence[str]) -> None:
        ours, theirs = await self._exported(self._sides.source, ids), await self._exported(self._sides.target, ids)
        missing = {}
        for id in ids:
            here, there = ours.get(id), theirs.get(id)
            if here is None:
                await self._tell_unread(id)
            elif there is None or (there != here and self._yields(id, there)):
                missing[id] = here
            elif there == here:
                self.told.present += 1
            else:
                self._tell(id, f"differs in {differing_values(from_json(there), from_json(here))}")
        copied = await self._restored(missing)
        self.told.copied += len(copied)
        stored = await self._exported(self._sides.target, copied) if copied else {}
        for id in copied:
            self._look_at(id, stored.get(id), missing[id])

    async def _exported(self, jan: Jan, ids: Sequence[str]) -> dict[str, bytes]:
        lines = await getattr(jan, self.endpoint).export(*self._thread, ids)
        return {id_of(line): line for line in lines}

    async def _restored(self, lines: dict[str, bytes]) -> list[str]:
        """Put lines into the target; returns the ids of those that it took."""
        if not lines:
            return []
        try:
            await getattr(self._sides.target, self.endpoint).restore(*self._thread, [*lines.values()])
        except (Conflict, InvalidRequest, NotFound) as error:
            if len(lines) > 1:  # whichever it is, the others are none the worse
                return [id for one, line in lines.items() for id in await self._restored({one: line})]
            self._tell(next(iter(lines)), f"could not be copied: {error.message}")
            return []
        return [*lines]

    async def _object(self, id: str) -> None:
        wanted, found = await self._own(self._sides.source, id), await self._own(self._sides.target, id)
        if wanted is None:  # deleted since it was listed
            return
        if found == wanted:
            self.told.present += 1
        elif found is not None and not self._yields(id, found.model_dump_json().encode()):
            names = differing(found, wanted)
            if isinstance(found, KeptRun) and names == "run":
                names = differing(found.run, wanted.run)
            self._tell(id, f"differs in {names}")
        else:
            try:
                await getattr(self._sides.target, self.endpoint).put(wanted)
            except JanError as error:
                self._tell(id, f"could not be copied: {error.message}")
                return
            self.told.copied += 1
            self._look_at(id, await self._own(self._sides.target, id), wanted)

    def _look_at(self, id: str, stored: object, wanted: object) -> None:
        if stored is None:
            self._tell(id, "was copied, and is not there")
        elif stored != wanted:
            self._tell(id, "was copied, and is not the same there")

    async def _own(self, jan: Jan, id: str) -> Any:
        """An object as it is stored: a run with its steps, an assistant without a model that is not its own."""
        try:
            if self.endpoint == "runs":
                return await jan.runs.kept(*self._thread, id)
            found = await getattr(jan, self.endpoint).retrieve(id)
            if not isinstance(found, Assistant):
                return found
            layers = await jan.assistants.layers(id)
        except NotFound:
            return None
        own = next((layer.values["model"] for layer in layers if layer.values.get("model")), "")
        return found.model_copy(update={"model": own})

    def _yields(self, id: str, there: bytes) -> bool:
        """Whether what is there is the assistant of a new store, which nobody has touched."""
        if self.endpoint != "assistants" or id != DEFAULT:
            return False
        values = from_json(there)
        return not any(values.get(name) for name in _SAID) and values.keys() <= Assistant.model_fields.keys()

    def _tell(self, id: str, what: str) -> None:
        self.told.conflicts.append(f"the {self.endpoint[:-1]} {id!r} {what}")

    async def _tell_unread(self, id: str) -> None:
        """Tell of one that was listed and has no line, unless it was deleted since."""
        if await self._own(self._sides.source, id) is not None:
            self._tell(id, "is listed here, and cannot be read for copying")
