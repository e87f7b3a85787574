"""Copying messages, those of some threads at the same time: in their order, as lines or one by one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from jan_core.copying.sides import PAGE, Sides, pages
from jan_core.copying.told import Told, differing, differing_values, id_of
from jan_core.errors import Conflict, InvalidRequest, NotFound
from jan_core.schemas.messages import Message, MessagesQuery

if TYPE_CHECKING:
    from jan_core.app import Jan

BATCH = 1000
"""Messages that are copied at once."""


async def copy_messages(sides: Sides) -> Told:
    """Copy the messages of all threads of the source, and read again what was copied.

    Raises:
        JanError: see `Copying.copy`.
    """
    told = Told()
    whole = sides.have_lines("messages")

    async def one(thread_id: str) -> None:
        try:
            if whole:
                await _lines(sides, thread_id, told)
            elif await _one_by_one(sides, thread_id, told, put=True):
                await _one_by_one(sides, thread_id, told, put=False)
        finally:
            sides.step("messages", 0, 1)

    await sides.each_thread(one)
    return told


async def _lines(sides: Sides, thread_id: str, told: Told) -> None:
    """Copy the messages of a thread as lines, and look at the end whether all of them are there and the same."""
    told_of = f"the thread {thread_id!r}"
    try:
        await sides.target.threads.check(thread_id)
        theirs = _Lines(sides.target, thread_id)
        digest, count, copied = blake2b(), 0, 0
        async for ours in _batches(sides.source, thread_id):
            there = await theirs.take(len(ours))
            if there != ours[: len(there)]:
                told.conflicts.append(f"{told_of}: {_difference(ours, there)}; its further messages were left alone")
                return
            rest = ours[len(there) :]
            told.present += len(there)
            if rest:
                await sides.target.messages.restore(thread_id, rest)
                copied += len(rest)
                told.copied += len(rest)
            count += len(ours)
            digest.update(b"\n".join([*ours, b""]))
            sides.step("messages", len(ours), 0)
        if not copied:
            if more := await theirs.take(1):
                told.conflicts.append(f"{told_of} has messages there that it has not here: {id_of(more[0])!r}")
            return
        stored, found = blake2b(), 0
        async for lines in _batches(sides.target, thread_id):
            found += len(lines)
            stored.update(b"\n".join([*lines, b""]))
        if found != count:
            told.conflicts.append(f"{told_of}: {count} messages are here, and {found} there after copying")
        elif stored.digest() != digest.digest():
            told.conflicts.append(f"{told_of}: its messages are not the same there after copying")
    except (NotFound, Conflict, InvalidRequest) as error:
        told.conflicts.append(f"{told_of}: {error.message}")


def _difference(ours: Sequence[bytes], there: Sequence[bytes]) -> str:
    one, other = next((one, other) for one, other in zip(ours, there, strict=False) if one != other)
    here, found = from_json(one), from_json(other)
    if here["id"] != found["id"]:
        return f"{found['id']!r} stands there where {here['id']!r} stands here"
    return f"the message {here['id']!r} differs in {differing_values(here, found)}"


async def _one_by_one(sides: Sides, thread_id: str, told: Told, *, put: bool) -> int:
    """Go through the messages of a thread on both sides in step; returns how many were put."""
    copied = 0
    theirs = _messages(sides.target, thread_id)
    try:
        there = await anext(theirs, None)
        async for ours in _messages(sides.source, thread_id):
            if put:
                sides.step("messages", 1, 0)
            if there is None and put:
                await sides.target.messages.put(ours)
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


def _conflict(there: Message | None, ours: Message) -> str:
    if there is None:
        return f"the message {ours.id!r} is missing there"
    if there.id != ours.id:
        return f"{there.id!r} stands there where {ours.id!r} stands here"
    return f"the message {ours.id!r} differs in {differing(there, ours)}"


async def _messages(jan: Jan, thread_id: str) -> AsyncGenerator[Message, None]:
    """All messages of a thread, oldest first; those that are added meanwhile as well."""

    async def behind(after: str | None) -> Any:
        return await jan.messages.list(thread_id, MessagesQuery(limit=PAGE, order="asc", after=after))

    async for page in pages(behind):
        for one in page:
            yield one


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
        after = id_of(lines[-1])
