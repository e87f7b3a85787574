"""Replies kept under an `Idempotency-Key`, so that a request that is sent again makes nothing new.

The note is written before the object: it names the object that will be made and holds the reply. Whoever finds a
note but no object knows that the attempt broke off, and makes the same object; whoever finds both gives the reply as
it was then. Notes lie in folders by the time they were written, so that old ones go without a look at the others.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from jan_core.folder.calls import DISK
from jan_core.folder.layout import Layout
from jan_core.folder.locks import Locks
from jan_core.folder.objects import Damaged, read_values, write_object
from jan_core.folder.removal import remove_folder

if TYPE_CHECKING:
    from jan_core.idempotency import Once

FOLDER = ".idempotency"
"""The folder of the notes, in the root."""
KEPT = 24 * 3600
"""Seconds for which a reply is kept, at least."""
SPAN = 4 * 3600
"""Seconds whose notes lie in one folder."""
WORKERS = 4
"""Threads that read and write notes, at most."""
WAITING = 16
"""Threads that wait for a key that another process holds, at most."""


@dataclass(frozen=True, slots=True)
class Note:
    """What was noted of a request.

    Attributes:
        fingerprint: stands for its body.
        reply: the reply as JSON has it; it holds the object's id.
        done: the object was made. False says only that it may not have been.
    """

    fingerprint: str
    reply: dict[str, Any]
    done: bool


class KeptReplies:
    """The notes of one root. `once` is used from one event loop; all other methods block.

    Args:
        layout: of the root.
    """

    def __init__(self, layout: Layout) -> None:
        self.folder = os.path.join(layout.root, FOLDER)
        self._layout = layout
        # Locks of their own: one is held while an object is made, and making it takes locks of the root.
        self._locks = Locks(Path(self.folder))
        self._here: dict[str, tuple[anyio.Lock, int]] = {}
        self._going: set[asyncio.Task[dict[str, Any]]] = set()
        self._limiter = anyio.CapacityLimiter(WORKERS)
        self._waiting = anyio.CapacityLimiter(WAITING)

    async def once(
        self,
        asked: Once | None,
        *,
        new: Callable[[], Awaitable[dict[str, Any]]],
        is_made: Callable[[dict[str, Any]], bool],
        make: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> dict[str, Any]:
        """Make an object, unless a request under the same key did so before. What began is not broken off.

        Args:
            asked: what the caller wants to be done once; where None, the object is made and nothing is noted.
            new: returns the reply, with the id of the object to make. It changes nothing.
            is_made: takes a reply, and says whether its object was made; where it was, it returns when that is on the
                disk, which an attempt that broke off may have left open. Blocks; it is called in a thread.
            make: takes a reply, and makes its object, also where an attempt to do so broke off.

        Returns:
            The reply, as it was when the object was made.

        Raises:
            Conflict: the key was kept for another body.
            Locked: another process held the key for too long.
            OSError: the note cannot be written; nothing was made.
        """
        # In a task of its own, for a shield of anyio's holds nothing back where the caller's task itself is cancelled:
        # then a thread could take the lock of the key, and nobody would be left to give it back.
        task = asyncio.get_running_loop().create_task(self._once(asked, new, is_made, make))
        self._going.add(task)
        task.add_done_callback(self._gone)
        with anyio.CancelScope(shield=True):
            await asyncio.shield(task)
        return task.result()

    def _gone(self, task: asyncio.Task[dict[str, Any]]) -> None:
        self._going.discard(task)
        if not task.cancelled():
            task.exception()  # looked at: nobody may be there any more to hear of it

    async def settled(self) -> None:
        """Return when nothing is being made any more, also nothing whose caller has left: before a store closes."""
        while self._going:
            await asyncio.wait([*self._going])

    async def _once(
        self,
        asked: Once | None,
        new: Callable[[], Awaitable[dict[str, Any]]],
        is_made: Callable[[dict[str, Any]], bool],
        make: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> dict[str, Any]:
        if asked is None:
            reply = await new()
            await make(reply)
            return reply
        key = asked.key
        async with self._turn(key):
            note: Note | None = await self._run(self.find, key)
            if note is None:
                reply = await new()
                await self._run(self.begin, key, asked.fingerprint, reply)
            else:
                asked.check(note.fingerprint)
                reply = dict(note.reply)
                if note.done:
                    return reply
                await self._run(self.secure, key)
                if await self._run(is_made, reply):
                    return reply
            await make(reply)
            await self._run(self.finish, key)
        return reply

    def find(self, key: str) -> Note | None:
        """The note under a key, unless it has expired or a crash cut it short."""
        for span in self._spans():
            path = self._path(span, key)
            try:
                values = read_values(path)
            except (OSError, Damaged):
                continue
            fingerprint, reply = values.get("fingerprint"), values.get("reply")
            if isinstance(fingerprint, str) and isinstance(reply, dict):
                return Note(fingerprint, reply, os.path.exists(path + ".done"))
        return None

    def begin(self, key: str, fingerprint: str, reply: dict[str, Any]) -> None:
        """Write the note of a request, durably, before its object is made.

        Raises:
            OSError: it may not be on the disk.
        """
        folder = os.path.join(self.folder, self._spans()[0])
        if not os.path.isdir(folder):
            self.sweep()
        self._layout.make_folder(folder)
        write_object(os.path.join(folder, key), {"fingerprint": fingerprint, "reply": reply})

    def secure(self, key: str) -> None:
        """Return when a note that was found is on the disk: who wrote it may have been killed before.

        Raises:
            OSError: it may not be.
        """
        for span in self._spans():
            if os.path.exists(self._path(span, key)):
                DISK.sync_folder(os.path.join(self.folder, span))

    def finish(self, key: str) -> None:
        """Note that the object was made. It is not flushed: the object itself says it, as long as it is there."""
        for span in self._spans():
            path = self._path(span, key)
            if os.path.exists(path):
                try:
                    DISK.close(DISK.create(path + ".done"))
                except OSError:
                    pass
                return

    def sweep(self) -> None:
        """Remove the notes that have expired; what resists is tried again later."""
        oldest = self._spans()[-1]
        try:
            names = os.listdir(self.folder)
        except OSError:
            return
        for name in names:
            if name.isdigit() and int(name) < int(oldest):
                try:
                    remove_folder(os.path.join(self.folder, name))
                except OSError:
                    continue

    @asynccontextmanager
    async def _turn(self, key: str) -> AsyncIterator[None]:
        """Hold the key, among the requests of this process, then among all processes."""
        lock, users = self._here.get(key) or (anyio.Lock(), 0)
        self._here[key] = (lock, users + 1)
        try:
            async with lock:
                held = self._locks.hold(key)
                # Waiting takes a thread, and must not take one from those whose work it waits for.
                await anyio.to_thread.run_sync(held.__enter__, limiter=self._waiting)
                try:
                    yield
                finally:
                    held.__exit__(None, None, None)
        finally:
            lock, users = self._here.pop(key)
            if users > 1:
                self._here[key] = (lock, users - 1)

    async def _run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return await anyio.to_thread.run_sync(function, *arguments, limiter=self._limiter)

    def _path(self, span: str, key: str) -> str:
        return os.path.join(self.folder, span, key)

    @staticmethod
    def _spans() -> list[str]:
        """The folders that may hold a note now, the newest first."""
        newest = int(time.time()) // SPAN
        return [str(span) for span in range(newest, newest - KEPT // SPAN - 1, -1)]
