"""The threads endpoint on folders: every reply says what the folder holds at that moment."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import anyio
import anyio.to_thread
from typing_extensions import override

from jan_core.endpoints.threads import Threads
from jan_core.errors import Conflict, InvalidRequest, JanError, NotFound
from jan_core.folder.calls import DISK
from jan_core.folder.catalogue import Catalogue
from jan_core.folder.faults import answered
from jan_core.folder.keys import KeptReplies
from jan_core.folder.layout import Layout
from jan_core.folder.locks import FOLDER as LOCKS
from jan_core.folder.locks import Locks
from jan_core.folder.names import check_name, is_name
from jan_core.folder.objects import read_object, values_there, write_object
from jan_core.folder.records import Record
from jan_core.folder.removal import BIN, empty_bin, hide_folder, secure_hidden
from jan_core.folder.shelf import Asked, Shelf, Unread
from jan_core.folder.tombstones import Tombstones
from jan_core.idempotency import once
from jan_core.ids import new_thread_id, thread_time
from jan_core.schemas.settings import SettingsLayer
from jan_core.schemas.threads import (
    Thread,
    ThreadDeleted,
    ThreadPage,
    ThreadRequest,
    ThreadsQuery,
    ThreadUpdate,
)
from jan_threads_json.document import (
    IN_MODEL,
    MODEL,
    THREAD,
    model_values,
    settings_of,
    thread_values,
)
from jan_threads_json.files import ThreadFiles
from jan_threads_json.lines import exported, restoring

if TYPE_CHECKING:
    from jan_core.app import Jan

READERS = 4
"""Threads that read, at most."""
WRITERS = 8
"""Threads that write, at most; most of the time they wait for the disk."""

T = TypeVar("T")


class ThreadsJson(Threads):
    """Threads in folders, each with a `thread.json`, wherever the root keeps threads.

    Args:
        jan: gives the root, and the messages that a new thread may have.
    """

    def __init__(self, jan: Jan) -> None:
        self._jan = jan
        self._layout = Layout(jan.root)
        self._locks = Locks(Path(self._layout.root))
        self._tombstones = Tombstones(self._layout, os.path.join(self._layout.threads, BIN))
        self._files = ThreadFiles(self._layout, self._tombstones)
        self._kept = KeptReplies(self._layout)
        self._readers = anyio.CapacityLimiter(READERS)
        self._writers = anyio.CapacityLimiter(WRITERS)
        news = os.path.join(self._layout.root, LOCKS, "threads.news")
        self._catalogue = Catalogue(self._layout.homes, THREAD, thread_time, self._files.time_made, self._locks, news)
        self._shelf: Shelf[Thread] = Shelf(self._catalogue, self._is_there, self._readers)

    @override
    async def __aenter__(self) -> Self:
        return self

    @override
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._kept.settled()
        await self._shelf.__aexit__(kind, error, traceback)

    @override
    async def create(self, body: ThreadRequest) -> Thread:
        first = body.assistants[0].assistant_id if body.assistants else "jan"
        check_name(first, param="assistants[0].assistant_id")
        if body.messages and "messages" not in self._jan.endpoints:
            raise InvalidRequest(
                "messages: no module is chosen that stores messages; choose one under [endpoints] of jan.toml.",
                param="messages",
            )

        async def new() -> dict[str, Any]:
            thread_id = new_thread_id(first)
            return Thread.of(body, id=thread_id, created_at=thread_time(thread_id) or 0).model_dump(mode="json")

        async def make(reply: dict[str, Any]) -> None:
            await self._make(Thread.model_validate(reply), body, first)

        asked = once("threads.create", body)
        with answered("The thread was not made"):
            reply = await self._kept.once(asked, new=new, is_made=self._was_made, make=make)
        return Thread.model_validate(reply)

    @override
    async def list(self, query: ThreadsQuery) -> ThreadPage:
        asked = Asked(query.limit, query.order, query.after, query.before)
        with answered("The threads cannot be listed"):
            leaf = await self._shelf.page(asked, partial(self._look, query))
        return ThreadPage(data=leaf.items, first_id=leaf.first, last_id=leaf.last, has_more=leaf.has_more)

    @override
    async def retrieve(self, thread_id: str) -> Thread:
        with answered(_which(thread_id, "cannot be read"), param="thread_id"):
            return (await self._find(thread_id)).item()

    @override
    async def update(self, thread_id: str, body: ThreadUpdate) -> Thread:
        check_name(thread_id, param="thread_id")
        with answered(_which(thread_id, "was not changed"), param="thread_id"):
            return await self._write(self._update, thread_id, body)

    @override
    async def delete(self, thread_id: str) -> ThreadDeleted:
        check_name(thread_id, param="thread_id")
        with answered(_which(thread_id, "was not deleted"), param="thread_id"):
            await self._write(self._delete, thread_id)
        return ThreadDeleted(id=thread_id, deleted=True)

    @override
    async def check(self, thread_id: str) -> None:
        if not self._files.is_checked(thread_id):
            with answered(_which(thread_id, "cannot be read"), param="thread_id"):
                (await self._find(thread_id)).item()

    @override
    async def put(self, thread: Thread) -> None:
        check_name(thread.id, param="thread_id")
        with answered(_which(thread.id, "was not stored"), param="thread_id"):
            names = set(Thread.model_fields)
            await self._write(self._put, thread, lambda folder: self._store(thread, folder, names))

    @override
    async def export(self, ids: Sequence[str]) -> Sequence[bytes]:
        def look() -> list[bytes]:
            there = (id for id in ids if is_name(id) and not self._tombstones.has(id))
            found = (exported(id, self._layout.thread_folder(id)) for id in there)
            return [line for line in found if line is not None]

        with answered("The threads cannot be read"):
            return await self._read(look)

    @override
    async def restore(self, lines: Sequence[bytes]) -> None:
        found = restoring(lines)
        self._check_deleted([thread.id for thread, _ in found])
        for thread, write in found:
            with answered(_which(thread.id, "was not stored"), param="thread_id"):
                await self._write(self._put, thread, write)

    @override
    async def layers(self, thread_id: str) -> Sequence[SettingsLayer]:
        with answered(_which(thread_id, "cannot be read"), param="thread_id"):
            record = await self._find(thread_id)
            path = os.path.join(record.folder, MODEL)
            try:
                return self._layers(path, at_once=True)
            except BlockingIOError:
                return await self._read(self._layers, path)

    @override
    async def deleted(self) -> Sequence[str]:
        return await self._write(self._deleted)

    @override
    async def forget(self, thread_id: str) -> None:
        if is_name(thread_id):
            with answered(_which(thread_id, "was not removed")):
                await self._write(self._forget, thread_id)

    async def _find(self, thread_id: str) -> Record[Thread]:
        try:
            record = self._files.find_at_once(thread_id)
        except Unread:
            record = await self._read(partial(self._files.find, thread_id, may_read=True))
        if record is None:
            raise _not_found(thread_id)
        return record

    async def _make(self, thread: Thread, body: ThreadRequest, first: str) -> None:
        folder = await self._write(lambda: self._begin(thread, self._home_for(thread.id, first)))
        try:
            if body.messages:
                await self._jan.messages.start(thread.id, body.messages)
            await self._write(self._finish, thread, folder)
        except Exception:
            await self._write(self._break_off, folder)
            raise

    def _home_for(self, thread_id: str, first: str) -> str:
        """Where a thread is made: where an attempt to make it broke off, else where its first assistant says."""
        folder = self._layout.thread_folder(thread_id)
        return os.path.dirname(folder) if os.path.isdir(folder) else self._layout.home(first)

    def _begin(self, thread: Thread, home: str) -> str:
        """Make the folder; whoever stores the first messages finds it where it is."""
        folder = os.path.join(home, thread.id)
        self._layout.make_home(home)
        self._layout.check_writable(folder)
        with self._catalogue.changing(home, thread.id, thread.created_at):
            try:
                DISK.mkdir(folder)
            except FileExistsError:
                # An attempt to make this thread broke off.
                pass
        DISK.sync_folder(home)
        return folder

    def _finish(self, thread: Thread, folder: str) -> None:
        """Write the files, the one last that makes the folder a thread."""
        names = set(Thread.model_fields)
        settings = model_values(thread, {}, names)
        if settings:
            write_object(os.path.join(folder, MODEL), settings)
        write_object(os.path.join(folder, THREAD), thread_values(thread, {}, names))

    def _break_off(self, folder: str) -> None:
        """Leave no empty folder; one that is not empty is shown by `jan doctor`."""
        try:
            DISK.rmdir(folder)
        except OSError:
            pass

    def _was_made(self, reply: dict[str, Any]) -> bool:
        thread_id = str(reply.get("id"))
        if self._tombstones.has(thread_id):
            return True
        folder = self._layout.thread_folder(thread_id)
        if not os.path.exists(os.path.join(folder, THREAD)):
            return False
        # Who made it may have been killed before its name was on the disk.
        DISK.sync_folder(folder)
        return True

    def _update(self, thread_id: str, body: ThreadUpdate) -> Thread:
        with self._locks.hold(thread_id):
            record = self._files.find(thread_id, may_read=True)
            if record is None:
                raise _not_found(thread_id)
            thread = record.item().changed(body)
            try:
                self._store(thread, record.folder, set(body.model_fields_set))
            except FileNotFoundError:
                # Somebody took the folder away meanwhile.
                raise _not_found(thread_id) from None
        found = self._files.find(thread_id, may_read=True)
        return thread if found is None else found.item()

    def _store(self, thread: Thread, folder: str, names: set[str]) -> None:
        """Write the named fields into the files, and leave alone what else is in them."""
        path, model = os.path.join(folder, THREAD), os.path.join(folder, MODEL)
        self._layout.check_writable(path)
        if names & IN_MODEL:
            settings = values_there(model)
            values = model_values(thread, settings or {}, names)
            if values:
                write_object(model, values)
            elif settings is not None:
                DISK.unlink(model)
                DISK.sync_folder(folder)
        if names - IN_MODEL:
            write_object(path, thread_values(thread, values_there(path) or {}, names))

    def _delete(self, thread_id: str) -> None:
        with self._locks.hold(thread_id):
            folder = self._layout.thread_folder(thread_id)
            if self._tombstones.has(thread_id) or not os.path.exists(os.path.join(folder, THREAD)):
                raise _not_found(thread_id)
            self._layout.check_writable(os.path.dirname(folder))
            self._tombstones.add(thread_id)
        self._files.drop(thread_id)
        if os.path.islink(folder):
            self._hide_links(thread_id)

    def _deleted(self) -> Sequence[str]:
        names = self._tombstones.names()
        for name in names:
            self._hide_links(name)
        return names

    def _hide_links(self, thread_id: str) -> None:
        """Where the folder of a deleted thread is a link, take that out of sight before anything in it is cleared.

        What it leads to is not ours to remove. Where it resists, whoever clears the thread is told, and tries again.
        """
        for home in self._layout.homes():
            if os.path.islink(os.path.join(home, thread_id)):
                try:
                    self._hide(home, thread_id)
                except (OSError, JanError):
                    continue

    def _hide(self, home: str, thread_id: str) -> None:
        """Take the folder of a deleted thread out of sight."""
        with self._catalogue.changing(home, thread_id, None):
            try:
                hide_folder(self._layout, os.path.join(home, thread_id))
            except FileNotFoundError:  # another process did it
                pass

    def _check_deleted(self, ids: Sequence[str]) -> None:
        for thread_id in ids:
            if self._tombstones.has(thread_id):
                raise Conflict(f"The thread {thread_id!r} is being deleted; try again when that is done.")

    def _put(self, thread: Thread, write: Callable[[str], None]) -> None:
        """Have the files of a thread written, in a folder that is made where there is none."""
        self._check_deleted([thread.id])
        self._tombstones.secure()
        folder = self._layout.thread_folder(thread.id)
        if not os.path.exists(os.path.join(folder, THREAD)):
            first = thread.assistants[0].assistant_id if thread.assistants else "jan"
            elsewhere = not os.path.isdir(folder) and is_name(first)
            folder = self._begin(thread, self._layout.home(first) if elsewhere else os.path.dirname(folder))
        self._layout.check_writable(os.path.join(folder, THREAD))
        with self._locks.hold(thread.id):
            write(folder)
        self._files.drop(thread.id)

    def _forget(self, thread_id: str) -> None:
        if not self._tombstones.has(thread_id):
            return
        for home in self._layout.homes():
            if os.path.lexists(os.path.join(home, thread_id)):
                self._hide(home, thread_id)
            else:
                secure_hidden(home)
            empty_bin(home, thread_id)
        self._files.drop(thread_id)
        self._tombstones.remove(thread_id)

    def _layers(self, path: str, *, at_once: bool = False) -> Sequence[SettingsLayer]:
        try:
            values, _, content = read_object(path, at_once=at_once)
        except FileNotFoundError:
            return []
        found = settings_of(path, values, content)
        return [SettingsLayer(origin=self._layout.shown(path), values=found)] if found else []

    def _look(self, query: ThreadsQuery, thread_id: str, may_read: bool) -> Thread | None:
        thread = self._files.look(thread_id, may_read, self._catalogue.learn)
        if thread is None:
            return None
        if query.assistant_id is not None:
            taking_part = [one.assistant_id for one in thread.assistants or ()]
            if query.assistant_id not in taking_part:
                return None
        for name, value in (query.metadata or {}).items():
            if thread.metadata.get(name) != value:
                return None
        return thread

    def _is_there(self, thread_id: str) -> bool:
        return not self._tombstones.has(thread_id) and os.path.isdir(self._layout.thread_folder(thread_id))

    async def _read(self, function: Callable[..., T], *arguments: Any) -> T:
        return await anyio.to_thread.run_sync(function, *arguments, limiter=self._readers)

    async def _write(self, function: Callable[..., T], *arguments: Any) -> T:
        return await anyio.to_thread.run_sync(function, *arguments, limiter=self._writers)


def _which(thread_id: str, what: str) -> str:
    return f"The thread {ascii(thread_id)[:200]} {what}"


def _not_found(thread_id: str) -> NotFound:
    return NotFound(f"There is no thread {thread_id!r}.", param="thread_id", code="thread_not_found")
