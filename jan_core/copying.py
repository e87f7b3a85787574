"""Copying what one module holds of an endpoint into another: in order, as it is, and never over what differs.

Every object of the source is compared with the one of its id in the target: the same is passed over, a missing one is
put there, and one that differs is left and told. So a copy that broke off is made again and goes on where it stopped,
and one that is made twice changes nothing. Pages are read from both sides and nothing is kept, whatever there is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jan_core.errors import JanError, NotFound
from jan_core.schemas.messages import Message, MessagesQuery
from jan_core.schemas.pages import PageQuery
from jan_core.schemas.threads import ThreadsQuery

if TYPE_CHECKING:
    from jan_core.app import Jan

ENDPOINTS = ("assistants", "threads", "messages")
"""What can be copied, in the order in which it is: messages need their threads."""
AT_ONCE = 16
"""Threads whose messages are copied at the same time."""
PAGE = 100
"""Objects of a page."""
DEFAULT = "jan"
"""The assistant that every store has from its first start; what nobody has touched of it yields to a copy."""


@dataclass(slots=True)
class Told:
    """What came of copying one endpoint.

    Attributes:
        copied: how many objects were put into the target.
        present: how many were there already, the same.
        conflicts: those that differ or could not be copied, a sentence each.
    """

    copied: int = 0
    present: int = 0
    conflicts: list[str] = field(default_factory=list)


class Copying:
    """A copy from one app into another.

    Args:
        source: it is only read.
        target: what is missing is put into it.
        step: told of every object that was compared, with its endpoint's name.
    """

    def __init__(self, source: Jan, target: Jan, step: Callable[[str], None] = lambda endpoint: None) -> None:
        self._source = source
        self._target = target
        self._step = step

    async def copy(self, endpoint: str) -> Told:
        """Copy all that the source has of an endpoint, then compare all that was copied once more.

        Args:
            endpoint: one of `ENDPOINTS`.

        Raises:
            JanError: a listing failed, or the target cannot be reached; what was copied stays.
        """
        told = Told()
        if endpoint == "messages":
            await self._all_messages(told)
            return told
        told = await self._objects(endpoint, put=True)
        if told.copied:
            again = await self._objects(endpoint, put=False)
            told.conflicts += [one for one in again.conflicts if one not in told.conflicts]
        return told

    async def _objects(self, endpoint: str, *, put: bool) -> Told:
        told = Told()
        async for ours in _listed(self._source, endpoint):
            if not put:
                self._step(endpoint)
            wanted = await _own(self._source, endpoint, ours)
            found = await _found(self._target, endpoint, ours.id)
            if found is not None and found == wanted:
                told.present += 1
            elif found is not None and not (put and endpoint == "assistants" and _is_untouched(found)):
                told.conflicts.append(f"the {endpoint[:-1]} {ours.id!r} differs in {_differing(found, wanted)}")
            elif not put:
                told.conflicts.append(f"the {endpoint[:-1]} {ours.id!r} was copied, and is not there")
            else:
                try:
                    await getattr(self._target, endpoint).put(wanted)
                    told.copied += 1
                except JanError as error:
                    told.conflicts.append(f"the {endpoint[:-1]} {ours.id!r} could not be copied: {error.message}")
            if put:
                self._step(endpoint)
        return told

    async def _all_messages(self, told: Told) -> None:
        slots = asyncio.Semaphore(AT_ONCE)

        async def one(thread_id: str) -> None:
            try:
                copied = await self._messages(thread_id, told, put=True)
                if copied:
                    await self._messages(thread_id, told, put=False)
            finally:
                slots.release()

        try:
            async with asyncio.TaskGroup() as group:
                async for thread in _listed(self._source, "threads"):
                    await slots.acquire()
                    group.create_task(one(thread.id))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from errors

    async def _messages(self, thread_id: str, told: Told, *, put: bool) -> int:
        """Go through the messages of a thread on both sides in step; returns how many were put."""
        copied = 0
        theirs = _messages(self._target, thread_id)
        try:
            there = await anext(theirs, None)
            async for ours in _messages(self._source, thread_id):
                if put:
                    self._step("messages")
                if there is None and put:
                    await self._target.messages.put(ours)
                    copied += 1
                    told.copied += 1
                elif there == ours:
                    told.present += put
                    there = await anext(theirs, None)
                else:
                    what = _conflict(there, ours)
                    told.conflicts.append(f"the thread {thread_id!r}: {what}; its further messages were left alone")
                    return 0
            if there is not None and not copied:
                told.conflicts.append(f"the thread {thread_id!r} has messages there that it has not here: {there.id!r}")
        except NotFound as error:
            told.conflicts.append(f"the thread {thread_id!r}: {error.message}")
        finally:
            await theirs.aclose()
        return copied


async def _listed(jan: Jan, endpoint: str) -> AsyncGenerator[Any, None]:
    """All objects of an endpoint, oldest first."""
    after = None
    while True:
        query: Any = (ThreadsQuery if endpoint == "threads" else PageQuery)(limit=PAGE, order="asc", after=after)
        page = await getattr(jan, endpoint).list(query)
        for one in page.data:
            yield one
        after = page.last_id
        if not page.has_more or after is None:
            return


async def _messages(jan: Jan, thread_id: str) -> AsyncGenerator[Message, None]:
    """All messages of a thread, oldest first; those that are added meanwhile as well."""
    after = None
    while True:
        page = await jan.messages.list(thread_id, MessagesQuery(limit=PAGE, order="asc", after=after))
        for one in page.data:
            yield one
        after = page.last_id
        if not page.has_more or after is None:
            return


async def _found(jan: Jan, endpoint: str, id: str) -> Any:
    """The object of an id as it was put; None where there is none."""
    try:
        return await _own(jan, endpoint, await getattr(jan, endpoint).retrieve(id))
    except NotFound:
        return None


async def _own(jan: Jan, endpoint: str, found: Any) -> Any:
    """An object as it is stored: an assistant shows the model that would answer, also where it names none."""
    if endpoint != "assistants":
        return found
    layers = await jan.assistants.layers(found.id)
    own = next((layer.values["model"] for layer in layers if layer.values.get("model")), "")
    return found.model_copy(update={"model": own})


def _is_untouched(assistant: Any) -> bool:
    said = (assistant.instructions, assistant.tools, assistant.metadata, assistant.model, assistant.temperature)
    return assistant.id == DEFAULT and not any(said)


def _differing(one: Any, other: Any) -> str:
    names = [name for name in type(one).model_fields if getattr(one, name) != getattr(other, name)]
    return ", ".join(names)


def _conflict(there: Message | None, ours: Message) -> str:
    if there is None:
        return f"the message {ours.id!r} is missing there"
    if there.id != ours.id:
        return f"{there.id!r} stands there where {ours.id!r} stands here"
    return f"the message {ours.id!r} differs in {_differing(there, ours)}"
