"""Copying what one module holds of an endpoint into another: in order, as it is, and never over what differs.

Every object of the source is compared with the one of its id in the target: the same is passed over, a missing one is
put there, and one that differs is left and told. So a copy that broke off is made again and goes on where it stopped,
and one that is made twice changes nothing. Pages are read from both sides and nothing is kept, whatever there is.

Where both sides have messages as lines (`Messages.export`), they are copied many at once, with the fields that the API
does not know. Runs are copied with their steps, and only those that have ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from jan_core.errors import Conflict, InvalidRequest, JanError, NotFound
from jan_core.schemas.messages import Message, MessagesQuery
from jan_core.schemas.pages import PageQuery
from jan_core.schemas.runs import Run, RunsQuery
from jan_core.schemas.threads import ThreadsQuery

if TYPE_CHECKING:
    from jan_core.app import Jan

ENDPOINTS = ("assistants", "threads", "messages", "runs")
"""What can be copied, in the order in which it is: messages and runs need their threads."""
AT_ONCE = 4
"""Threads whose messages are copied at the same time."""
BATCH = 1000
"""Messages that are copied at once."""
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
        step: told of what was compared: the endpoint's name, how many objects, and how many of its `total`.
    """

    def __init__(self, source: Jan, target: Jan, step: Callable[[str, int, int], None] = lambda *_: None) -> None:
        self._source = source
        self._target = target
        self._step = step
        self._refused: set[tuple[str, str]] = set()

    async def total(self, endpoint: str) -> int:
        """How much there is to copy: assistants or threads; of messages and runs, the threads that may have some.

        Raises:
            JanError: a listing failed.
        """
        count = 0
        async for _ in _listed(self._source, "assistants" if endpoint == "assistants" else "threads"):
            count += 1
        return count

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
        await self._each(endpoint, told, put=True)
        if told.copied:
            again = Told()
            await self._each(endpoint, again, put=False)
            told.conflicts += [one for one in again.conflicts if one not in told.conflicts]
        return told

    async def _each(self, endpoint: str, told: Told, *, put: bool) -> None:
        if endpoint == "runs":
            await self._all_runs(told, put=put)
            return
        async for ours in _listed(self._source, endpoint):
            await self._object(endpoint, ours, told, put=put)
            if put:
                self._step(endpoint, 1, 1)

    async def _all_runs(self, told: Told, *, put: bool) -> None:
        async for thread in _listed(self._source, "threads"):
            count = 0
            async for ours in _runs(self._source, thread.id):
                try:
                    await self._target.threads.check(thread.id)
                    await self._object("runs", ours, told, put=put)
                except (NotFound, InvalidRequest) as error:
                    told.conflicts.append(f"the run {ours.id!r} of the thread {thread.id!r}: {error.message}")
                count += 1
            if put:
                self._step("runs", count, 1)

    async def _object(self, endpoint: str, ours: Any, told: Told, *, put: bool) -> None:
        """Copy one object, or compare it alone, where `put` is not set."""
        wanted = await _own(self._source, endpoint, ours)
        found = await _found(self._target, endpoint, ours)
        if found is not None and found == wanted:
            told.present += 1
        elif found is not None and not (put and endpoint == "assistants" and _is_untouched(found)):
            told.conflicts.append(f"the {endpoint[:-1]} {ours.id!r} differs in {_differing(found, wanted)}")
        elif not put:
            if (endpoint, ours.id) not in self._refused:
                told.conflicts.append(f"the {endpoint[:-1]} {ours.id!r} was copied, and is not there")
        else:
            try:
                await getattr(self._target, endpoint).put(wanted)
                told.copied += 1
            except JanError as error:
                self._refused.add((endpoint, ours.id))
                told.conflicts.append(f"the {endpoint[:-1]} {ours.id!r} could not be copied: {error.message}")

    async def _all_messages(self, told: Told) -> None:
        slots = asyncio.Semaphore(AT_ONCE)
        sides = (self._source.messages, self._target.messages)
        whole = all(one.supports(name) for one in sides for name in ("export", "restore"))

        async def one(thread_id: str) -> None:
            try:
                if whole:
                    await self._lines(thread_id, told)
                    return
                copied = await self._messages(thread_id, told, put=True)
                if copied:
                    await self._messages(thread_id, told, put=False)
            finally:
                self._step("messages", 0, 1)
                slots.release()

        try:
            async with asyncio.TaskGroup() as group:
                async for thread in _listed(self._source, "threads"):
                    await slots.acquire()
                    group.create_task(one(thread.id))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from errors

    async def _lines(self, thread_id: str, told: Told) -> None:
        """Copy the messages of a thread as lines, and look at the end whether all of them are there and the same."""
        told_of = f"the thread {thread_id!r}"
        try:
            await self._target.threads.check(thread_id)
            theirs = _Lines(self._target, thread_id)
            digest, count, copied = blake2b(), 0, 0
            async for ours in _batches(self._source, thread_id):
                there = await theirs.take(len(ours))
                if there != ours[: len(there)]:
                    await self._tell_difference(thread_id, ours, there, told)
                    return
                rest = ours[len(there) :]
                told.present += len(there)
                if rest:
                    await self._target.messages.restore(thread_id, rest)
                    copied += len(rest)
                    told.copied += len(rest)
                count += len(ours)
                digest.update(b"\n".join([*ours, b""]))
                self._step("messages", len(ours), 0)
            if not copied:
                if more := await theirs.take(1):
                    told.conflicts.append(f"{told_of} has messages there that it has not here: {_id_of(more[0])!r}")
                return
            stored, found = blake2b(), 0
            async for lines in _batches(self._target, thread_id):
                found += len(lines)
                stored.update(b"\n".join([*lines, b""]))
            if found != count:
                told.conflicts.append(f"{told_of}: {count} messages are here, and {found} there after copying")
            elif stored.digest() != digest.digest():
                told.conflicts.append(f"{told_of}: its messages are not the same there after copying")
        except (NotFound, Conflict, InvalidRequest) as error:
            told.conflicts.append(f"{told_of}: {error.message}")

    async def _tell_difference(self, thread_id: str, ours: Sequence[bytes], there: Sequence[bytes], told: Told) -> None:
        one, other = next((one, other) for one, other in zip(ours, there, strict=False) if one != other)
        here, found = from_json(one), from_json(other)
        if here["id"] != found["id"]:
            what = f"{found['id']!r} stands there where {here['id']!r} stands here"
        else:
            names = [name for name in {**here, **found} if here.get(name) != found.get(name)]
            what = f"the message {here['id']!r} differs in {', '.join(names) or 'the order of its fields'}"
        told.conflicts.append(f"the thread {thread_id!r}: {what}; its further messages were left alone")

    async def _messages(self, thread_id: str, told: Told, *, put: bool) -> int:
        """Go through the messages of a thread on both sides in step; returns how many were put."""
        copied = 0
        theirs = _messages(self._target, thread_id)
        try:
            there = await anext(theirs, None)
            async for ours in _messages(self._source, thread_id):
                if put:
                    self._step("messages", 1, 0)
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


def _messages(jan: Jan, thread_id: str) -> AsyncGenerator[Message, None]:
    """All messages of a thread, oldest first; those that are added meanwhile as well."""
    return _pages(lambda after: jan.messages.list(thread_id, MessagesQuery(limit=PAGE, order="asc", after=after)))


def _runs(jan: Jan, thread_id: str) -> AsyncGenerator[Run, None]:
    """All runs of a thread, oldest first."""
    return _pages(lambda after: jan.runs.list(thread_id, RunsQuery(limit=PAGE, order="asc", after=after)))


async def _pages(page_after: Callable[[str | None], Awaitable[Any]]) -> AsyncGenerator[Any, None]:
    after = None
    while True:
        page = await page_after(after)
        for one in page.data:
            yield one
        after = page.last_id
        if not page.has_more or after is None:
            return


class _Lines:
    """The lines of a thread, some after the others."""

    def __init__(self, jan: Jan, thread_id: str) -> None:
        self._batches = _batches(jan, thread_id)
        self._left: list[bytes] = []
        self._ended = False

    async def take(self, count: int) -> list[bytes]:
        """The next lines; fewer where there are no more. Once they have ended, no more are looked for."""
        while len(self._left) < count and not self._ended:
            batch = await anext(self._batches, None)
            self._ended = batch is None
            self._left += batch or ()
        taken, self._left = self._left[:count], self._left[count:]
        return taken


async def _batches(jan: Jan, thread_id: str) -> AsyncGenerator[list[bytes], None]:
    after = None
    while True:
        lines = list(await jan.messages.export(thread_id, after, BATCH))
        if lines:
            yield lines
        if len(lines) < BATCH:
            return
        after = _id_of(lines[-1])


def _id_of(line: bytes) -> str:
    return str(from_json(line)["id"])


async def _found(jan: Jan, endpoint: str, ours: Any) -> Any:
    """The object of the same id as it was put; None where there is none."""
    try:
        if endpoint == "runs":
            return await jan.runs.kept(ours.thread_id, ours.id)
        return await _own(jan, endpoint, await getattr(jan, endpoint).retrieve(ours.id))
    except NotFound:
        return None


async def _own(jan: Jan, endpoint: str, found: Any) -> Any:
    """An object as it is stored: a run with its steps, an assistant without a model that is not its own."""
    if endpoint == "runs":
        return await jan.runs.kept(found.thread_id, found.id)
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
    if names == ["run"]:
        return _differing(one.run, other.run)
    return ", ".join(names)


def _conflict(there: Message | None, ours: Message) -> str:
    if there is None:
        return f"the message {ours.id!r} is missing there"
    if there.id != ours.id:
        return f"{there.id!r} stands there where {ours.id!r} stands here"
    return f"the message {ours.id!r} differs in {_differing(there, ours)}"
