"""The messages endpoint on `messages.json` in the threads' folders: every reply says what the file holds then."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import anyio.to_thread
from typing_extensions import override

from jan_core.endpoints.messages import Messages
from jan_core.errors import NotFound
from jan_core.folder.calls import DISK
from jan_core.folder.faults import answered
from jan_core.folder.keys import KeptReplies
from jan_core.folder.layout import Layout
from jan_core.folder.lists import Change, Lists
from jan_core.folder.locks import Locks
from jan_core.folder.names import check_name
from jan_core.folder.objects import Damaged
from jan_core.folder.turns import Turns
from jan_core.folder.views import ListView
from jan_core.idempotency import Once, once
from jan_core.ids import new_id, now
from jan_core.schemas.messages import (
    Message,
    MessageDeleted,
    MessagePage,
    MessageRequest,
    MessagesQuery,
    MessageUpdate,
)
from jan_messages_json.pages import page
from jan_messages_json.stored import changed, element, fault_of, first_reply, kept_of, message_of, name_of_key, names

if TYPE_CHECKING:
    from types import TracebackType

    from jan_core.app import Jan

T = TypeVar("T")

FILE = "messages.json"
"""The name of the file, in the thread's folder."""
_SLASH_FILE = os.sep + FILE
WRITERS = 16
"""Threads that write, at most; each waits for the disk most of the time."""
READERS = 4
"""Threads that read what cannot be read at once, at most."""


class MessagesJson(Messages):
    """Messages in a file a thread, a line each.

    Args:
        jan: gives the threads, and the root.
        rewrite: write the whole file for each new message.
    """

    def __init__(self, jan: Jan, *, rewrite: bool = False) -> None:
        self._jan = jan
        self._layout = Layout(jan.root)
        self._lists = Lists(Locks(jan.root), names, rewrite=rewrite)
        self._kept = KeptReplies(self._layout)
        self._turns = Turns()
        self._open()

    def _open(self) -> None:
        # Pools of our own: a thread goes on when its request is given up, and counts for as long as it does.
        self._writers = ThreadPoolExecutor(WRITERS, "messages-write")
        self._readers = ThreadPoolExecutor(READERS, "messages-read")

    @override
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for pool in (self._writers, self._readers):
            await anyio.to_thread.run_sync(pool.shutdown)
        self._open()  # an app may be entered again; a pool has no thread before it is used

    @override
    async def create(self, thread_id: str, body: MessageRequest) -> Message:
        await self._jan.threads.check(thread_id)
        asked = once("messages.create", body, thread_id)
        message = Message.of(body, id=new_id("msg_"), thread_id=thread_id, created_at=now())
        reply, made = await self._write(thread_id, partial(self._create, thread_id, message, asked))
        if made:
            await self._check_still(thread_id)
        return reply

    @override
    async def repeated(self, thread_id: str, body: MessageRequest) -> Message | None:
        await self._jan.threads.check(thread_id)
        asked = once("messages.create", body, thread_id)
        if asked is None:
            return None

        def look() -> Message | None:
            path = self._path(thread_id, write=True)
            if not os.path.isdir(os.path.dirname(path)):
                return None
            with self._lists.change(path, thread_id) as change:
                return self._first(change, asked, path)

        return await self._write(thread_id, look)

    @override
    async def list(self, thread_id: str, query: MessagesQuery) -> MessagePage:
        await self._jan.threads.check(thread_id)
        return await self._read(thread_id, lambda path, view: page(view, thread_id, query))

    @override
    async def retrieve(self, thread_id: str, message_id: str) -> Message:
        await self._jan.threads.check(thread_id)
        check_name(message_id, param="message_id")

        def look(path: str, view: ListView) -> Message:
            found = view.find(message_id)
            if found is None:
                raise _not_found(thread_id, message_id)
            try:
                return message_of(found.raw, thread_id)
            except ValueError as error:
                raise Damaged(path, view.line(found), fault_of(error, found.raw)) from None

        return await self._read(thread_id, look)

    @override
    async def update(self, thread_id: str, message_id: str, body: MessageUpdate) -> Message:
        await self._jan.threads.check(thread_id)
        check_name(message_id, param="message_id")
        reply: list[Message] = []

        def edited(raw: bytes) -> bytes:
            try:
                message = message_of(raw, thread_id).changed(body)
            except ValueError:
                if not reply:
                    raise
                return raw  # a copy with the same id, and the oldest is in order
            reply.append(message)
            return changed(raw, message)

        try:
            found = await self._edit(thread_id, message_id, edited)
        except ValueError:
            # It is damaged, and reading it says where; unless somebody has mended it by now.
            await self.retrieve(thread_id, message_id)
            return await self.update(thread_id, message_id, body)
        if not found:
            raise _not_found(thread_id, message_id)
        return reply[0]

    @override
    async def delete(self, thread_id: str, message_id: str) -> MessageDeleted:
        await self._jan.threads.check(thread_id)
        check_name(message_id, param="message_id")
        if not await self._edit(thread_id, message_id, self._forget):
            raise _not_found(thread_id, message_id)
        return MessageDeleted(id=message_id, deleted=True)

    @override
    async def start(self, thread_id: str, bodies: Sequence[MessageRequest]) -> Sequence[Message]:
        at = now()
        messages = [Message.of(body, id=new_id("msg_"), thread_id=thread_id, created_at=at) for body in bodies]

        def work() -> None:
            path = self._path(thread_id, write=True)
            if not messages and not os.path.lexists(path):
                return
            self._layout.make_folder(os.path.dirname(path))
            with self._lists.change(path, thread_id) as change:
                change.replace([element(message) for message in messages])

        await self._write(thread_id, work)
        return messages

    @override
    async def put(self, message: Message) -> None:
        thread_id = check_name(message.thread_id, param="thread_id")
        check_name(message.id, param="message_id")

        def work() -> None:
            path = self._path(thread_id, write=True)
            self._layout.make_folder(os.path.dirname(path))
            with self._lists.change(path, thread_id) as change:
                if change.find(message.id, thorough=False) is None:
                    change.append(element(message))
                else:
                    change.edit(message.id, lambda raw: changed(raw, message))

        await self._write(thread_id, work)

    @override
    async def clear(self, thread_id: str) -> None:
        def work() -> None:
            path = self._path(thread_id)
            folder = os.path.dirname(path)
            if not os.path.isdir(folder) or os.path.islink(folder):
                return  # what lies behind a link is not the thread's: its deletion takes the link away
            self._layout.check_writable(folder)
            with self._lists.change(path, thread_id) as change:
                change.remove()
                try:
                    DISK.rmdir(folder)
                except OSError:  # the thread itself is kept in it
                    return
            DISK.sync_folder(os.path.dirname(folder))

        await self._write(thread_id, work)

    def _create(self, thread_id: str, message: Message, asked: Once | None) -> tuple[Message, bool]:
        """Add a message; returns the reply, and whether the folder had to be made."""
        path = self._path(thread_id, write=True)
        try:
            return self._create_in(path, message, asked), False
        except FileNotFoundError:
            # The threads are kept elsewhere, and these are the first messages; or the folder was removed just now.
            self._layout.make_folder(os.path.dirname(path))
            return self._create_in(path, message, asked), True

    def _create_in(self, path: str, message: Message, asked: Once | None) -> Message:
        with self._lists.change(path, message.thread_id) as change:
            first = None if asked is None else self._first(change, asked, path)
            if first is None:
                change.append(element(message, asked))
        return message if first is None else first

    def _first(self, change: Change, asked: Once, path: str) -> Message | None:
        """What was answered under a key before; None where nothing was."""
        kept = change.find(name_of_key(asked.key), thorough=False)
        if kept is not None:
            return _repeated(change, kept, asked, path)
        note = self._kept.find(asked.key)
        if note is None:
            return None
        asked.check(note.fingerprint)
        return Message.model_validate(note.reply)

    def _forget(self, raw: bytes) -> None:
        """Before an element goes, note what was answered under its key: a late repetition must not make a new one."""
        kept = kept_of(raw)
        if kept is not None:
            asked, reply = kept
            self._kept.begin(asked.key, asked.fingerprint, reply)

    async def _check_still(self, thread_id: str) -> None:
        """A thread that was deleted in between gets no folder."""
        try:
            await self._jan.threads.check(thread_id)
        except NotFound:
            await self.clear(thread_id)
            raise

    async def _edit(self, thread_id: str, message_id: str, edited: Callable[[bytes], bytes | None]) -> bool:
        def work() -> bool:
            path = self._path(thread_id, write=True)
            if not os.path.lexists(path):
                return False
            with self._lists.change(path, thread_id) as change:
                return change.edit(message_id, edited)

        return await self._write(thread_id, work)

    async def _read(self, thread_id: str, look: Callable[[str, ListView], T]) -> T:
        with answered(f"The messages of the thread {thread_id!r} cannot be read"):
            # Mostly they are where those of a new thread would be: then no folder is looked for.
            path = self._layout.new_thread_folder(thread_id) + _SLASH_FILE
            try:
                try:
                    return self._lists.read(path, thread_id, partial(look, path), at_once=True, there=True)
                except FileNotFoundError:
                    path = self._path(thread_id)
                    return self._lists.read(path, thread_id, partial(look, path), at_once=True)
            except BlockingIOError:
                read = partial(self._lists.read, path, thread_id, partial(look, path))
                return await asyncio.get_running_loop().run_in_executor(self._readers, read)

    async def _write(self, thread_id: str, work: Callable[[], T]) -> T:
        async with self._turns.of(thread_id):
            with answered(f"The messages of the thread {thread_id!r} were not changed"):
                return await asyncio.get_running_loop().run_in_executor(self._writers, work)

    def _path(self, thread_id: str, *, write: bool = False) -> str:
        path = os.path.join(self._layout.thread_folder(thread_id), FILE)
        if write:
            self._layout.check_writable(os.path.dirname(path))
        return path


def _repeated(change: Change, kept: bytes, asked: Once, path: str) -> Message:
    try:
        reply = first_reply(kept, asked)
    except ValueError as error:
        fault = fault_of(error, kept)
        raise Damaged(path, 1, f"the message that was created under this Idempotency-Key: {fault}") from None
    change.secure()
    return reply


def _not_found(thread_id: str, message_id: str) -> NotFound:
    return NotFound(
        f"There is no message {message_id!r} in the thread {thread_id!r}.", param="message_id", code="message_not_found"
    )
