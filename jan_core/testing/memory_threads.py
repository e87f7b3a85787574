"""The reference implementation of `threads`, in memory: the plainest code that keeps the endpoint's promises."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakValueDictionary

from jan_core.endpoints.threads import Threads
from jan_core.errors import Conflict, InvalidRequest, NotFound
from jan_core.folder.fields import updated
from jan_core.folder.names import check_name
from jan_core.hookspecs import hookimpl
from jan_core.idempotency import once
from jan_core.ids import new_thread_id, now
from jan_core.lines import line_of, objects_in
from jan_core.pages import cut
from jan_core.schemas.settings import SettingsLayer
from jan_core.schemas.threads import (
    Thread,
    ThreadDeleted,
    ThreadPage,
    ThreadRequest,
    ThreadsQuery,
    ThreadUpdate,
)

if TYPE_CHECKING:
    from jan_core.app import Jan


@dataclass(eq=False)
class Storage:
    """The threads, the notes of deleted ones, what was answered under which key, and all that restored ones have."""

    threads: dict[str, Thread] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    answered: dict[str, tuple[str, Thread]] = field(default_factory=dict)
    whole: dict[str, dict[str, Any]] = field(default_factory=dict)
    making: asyncio.Lock = field(default_factory=asyncio.Lock)


_STORAGES: WeakValueDictionary[Path, Storage] = WeakValueDictionary()


class ThreadsInMemory(Threads):
    """Threads in a dictionary. Apps on one root share it, as long as one of these lives.

    Args:
        jan: gives the messages that a new thread may have.
    """

    in_memory: ClassVar[bool] = True

    def __init__(self, jan: Jan) -> None:
        self._jan = jan
        self._storage = _STORAGES.setdefault(jan.root, Storage())
        self._threads, self._deleted = self._storage.threads, self._storage.deleted
        self._answered, self._whole = self._storage.answered, self._storage.whole

    async def create(self, body: ThreadRequest) -> Thread:
        """See `Threads`."""
        asked = once("threads.create", body)
        async with self._storage.making:
            if asked is not None and asked.key in self._answered:
                fingerprint, reply = self._answered[asked.key]
                asked.check(fingerprint)
                return _copy(reply)
            thread = await self._make(body)
            self._threads[thread.id] = _copy(thread)
            if asked is not None:
                self._answered[asked.key] = (asked.fingerprint, _copy(thread))
        return thread

    async def list(self, query: ThreadsQuery) -> ThreadPage:
        """See `Threads`."""
        threads = sorted(self._threads.values(), key=lambda one: (one.created_at, one.id))
        found = cut(threads, query, keep=lambda one: _fits(one, query))
        found.data = [_copy(one) for one in found.data]
        return ThreadPage(**dict(found))

    async def retrieve(self, thread_id: str) -> Thread:
        """See `Threads`."""
        return _copy(self._find(thread_id))

    async def update(self, thread_id: str, body: ThreadUpdate) -> Thread:
        """See `Threads`."""
        changed = self._threads[thread_id] = _copy(self._find(thread_id).changed(body))
        if thread_id in self._whole:
            self._whole[thread_id] = updated(self._whole[thread_id], changed, body.model_fields_set)
        return _copy(self._threads[thread_id])

    async def delete(self, thread_id: str) -> ThreadDeleted:
        """See `Threads`."""
        self._find(thread_id)
        del self._threads[thread_id]
        self._whole.pop(thread_id, None)
        self._deleted.append(thread_id)
        return ThreadDeleted(id=thread_id, deleted=True)

    async def check(self, thread_id: str) -> None:
        """See `Threads`."""
        self._find(thread_id)

    async def put(self, thread: Thread) -> None:
        """See `Threads`."""
        check_name(thread.id, param="thread_id")
        if thread.id in self._deleted:
            raise Conflict(f"The thread {thread.id!r} is being deleted; try again when that is done.")
        self._threads[thread.id] = _copy(thread)
        self._whole.pop(thread.id, None)

    async def export(self, ids: Sequence[str]) -> Sequence[bytes]:
        """See `Threads`."""
        there = [id for id in ids if id in self._threads]
        return [line_of(Thread, self._whole.get(id) or self._threads[id].model_dump(mode="json")) for id in there]

    async def restore(self, lines: Sequence[bytes]) -> None:
        """See `Threads`."""
        found = objects_in(Thread, lines)
        for one, _ in found:
            if one.id in self._deleted:
                raise Conflict(f"The thread {one.id!r} is being deleted; try again when that is done.")
        for one, values in found:
            self._threads[one.id], self._whole[one.id] = one, values

    async def layers(self, thread_id: str) -> Sequence[SettingsLayer]:
        """See `Threads`."""
        thread = _copy(self._find(thread_id))
        values = {**(thread.parameters or {}), "model": thread.model}
        return [SettingsLayer(origin=f"thread {thread_id}", values=values)]

    async def deleted(self) -> Sequence[str]:
        """See `Threads`."""
        return [*self._deleted]

    async def forget(self, thread_id: str) -> None:
        """See `Threads`."""
        if thread_id in self._deleted:
            self._deleted.remove(thread_id)

    async def _make(self, body: ThreadRequest) -> Thread:
        first = body.assistants[0].assistant_id if body.assistants else "jan"
        check_name(first, param="assistants[0].assistant_id")
        thread = Thread.of(body, id=new_thread_id(first), created_at=now())
        if body.messages:
            if "messages" not in self._jan.endpoints:
                raise InvalidRequest(
                    "messages: no module is chosen that stores messages; choose one under [endpoints] of jan.toml.",
                    param="messages",
                )
            await self._jan.messages.start(thread.id, body.messages)
        return thread

    def _find(self, thread_id: str) -> Thread:
        check_name(thread_id, param="thread_id")
        if thread_id not in self._threads:
            raise NotFound(f"There is no thread {thread_id!r}.", param="thread_id", code="thread_not_found")
        return self._threads[thread_id]


def _fits(thread: Thread, query: ThreadsQuery) -> bool:
    taking_part = [one.assistant_id for one in thread.assistants or ()]
    if query.assistant_id is not None and query.assistant_id not in taking_part:
        return False
    return all(thread.metadata.get(key) == value for key, value in (query.metadata or {}).items())


def _copy(thread: Thread) -> Thread:
    """So that nobody who changes what they got or gave changes what is stored."""
    return thread.model_copy(deep=True)


@hookimpl
def provide_threads(settings: Any, jan: Jan) -> ThreadsInMemory:
    """Build the module."""
    return ThreadsInMemory(jan)
