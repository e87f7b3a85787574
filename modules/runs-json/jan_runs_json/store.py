"""Where runs are kept in the root: `threads/<thread-id>/runs/<run-id>.json`, one file a run and its steps."""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import anyio
import anyio.to_thread
from jan_runs.store import RunStore
from typing_extensions import override

from jan_core.errors import JanError
from jan_core.folder.faults import answered
from jan_core.folder.lock_file import Taken
from jan_core.folder.lock_file import hold as hold_file
from jan_core.folder.names import check_name, is_name
from jan_core.folder.objects import Damaged
from jan_core.folder.shelf import Asked, Shelf, Unread
from jan_core.folder.turns import Turns
from jan_core.idempotency import Once
from jan_core.schemas.runs import KeptRun, Run, RunPage, RunsQuery
from jan_runs_json.document import copy_of
from jan_runs_json.lines import exported, restoring
from jan_runs_json.looks import Looks
from jan_runs_json.names import RunNames
from jan_runs_json.root import RunRoot

if TYPE_CHECKING:
    from types import TracebackType

T = TypeVar("T")

WORKERS = 16
"""Threads that write, at most, and again as many that wait for a turn to; each waits for the disk most of the time."""
READERS = 4
"""Threads that read what cannot be read at once, at most."""
LISTED = 64
"""Threads of the API whose runs are known in order, at most."""
NAMES = 200_000
"""Runs in all that are known in order, at most; beyond, those of the thread asked for longest ago are forgotten."""
LOOK = 0.1
"""Seconds between two looks for what another process wishes of a run."""


class RunsJson(RunStore):
    """Runs in files, a folder of them in each thread's folder. It is used from one event loop.

    Args:
        root: the root folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = RunRoot(root, self._names)
        self._turns = Turns()
        self._shelves: OrderedDict[str, tuple[RunNames, Shelf[Run]]] = OrderedDict()
        self._looks = Looks(LOOK)

    @override
    async def __aenter__(self) -> Self:
        # An app may be entered again, in another event loop.
        self._looks = Looks(LOOK)
        # Pools of our own: a thread goes on when its request is given up, and counts for as long as it does. Who has
        # a thread's lock writes in a pool of its own, where nobody waits for that lock.
        self._waiting = ThreadPoolExecutor(WORKERS, "runs-wait")
        self._writers = self._root.beside = ThreadPoolExecutor(WORKERS, "runs-write")
        self._readers = ThreadPoolExecutor(READERS, "runs-read")
        self._listing = anyio.CapacityLimiter(READERS)
        return self

    @override
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for _, shelf in self._shelves.values():
            await shelf.__aexit__(kind, error, traceback)
        self._shelves.clear()
        for pool in (self._waiting, self._writers, self._readers):
            await anyio.to_thread.run_sync(pool.shutdown)

    @override
    async def begin(self, kept: KeptRun, asked: Once | None) -> KeptRun:
        run = kept.run
        path = self._root.files.path(run.thread_id, run.id)
        async with self._turns.of(run.thread_id):
            with answered(f"The run was not begun in the thread {run.thread_id!r}"):
                return await self._to_end(self._waiting, partial(self._root.begin, kept, path, asked))

    @override
    async def begun(self, asked: Once) -> KeptRun | None:
        with answered("The run of an Idempotency-Key cannot be looked for"):
            return await self._to_end(self._waiting, partial(self._root.begun, asked))

    @override
    async def read(self, thread_id: str, run_id: str) -> KeptRun | None:
        kept = await self._find(thread_id, run_id)
        if await self._minded(thread_id, run_id, goes_on=kept is not None and not kept.run.ended):
            kept = await self._find(thread_id, run_id)
        return None if kept is None else copy_of(kept)

    @asynccontextmanager
    async def _changing(self, thread_id: str, run_id: str, flush: bool) -> AsyncIterator[KeptRun]:
        path = self._root.files.path(thread_id, run_id)
        async with self._turns.of(thread_id):
            entered: list[AbstractContextManager[None]] = []
            with answered(_which(run_id, "was not changed"), param="run_id"):
                try:
                    enter = partial(self._root.enter, thread_id, run_id, path, entered)
                    try:
                        # Mostly it is free, and the file is in the memory: a turn in a thread would take longer.
                        found = enter(at_once=True)
                    except Unread:
                        _leave(entered)
                        found = await self._to_end(self._waiting, enter)
                    kept = copy_of(found.item())
                    yield kept
                    if kept != found.kept:
                        store = partial(self._root.store, kept, path, found=found, lasting=flush)
                        await self._to_end(self._writers, store)
                        if kept.run.status == "cancelling":
                            self._looks.now(path)
                finally:
                    _leave(entered)

    @override
    def changing(self, thread_id: str, run_id: str, *, flush: bool = True) -> AbstractAsyncContextManager[KeptRun]:
        return self._changing(thread_id, run_id, flush)

    @override
    async def page(self, thread_id: str, query: RunsQuery) -> RunPage:
        names, shelf = self._shelf(thread_id)
        asked = Asked(query.limit, query.order, query.after, query.before)

        def look(run_id: str, may_read: bool) -> Run | None:
            try:
                found = self._root.files.find(thread_id, run_id, may_read=may_read)
            except OSError:
                return None
            if found is None or found.kept is None:
                return None
            names.learn(run_id, found.kept.run.created_at)
            return copy_of(found.kept.run)

        with answered(f"The runs of the thread {thread_id!r} cannot be listed"):
            leaf = await shelf.page(asked, look)
        for run in leaf.items:
            if not run.ended:
                await self._minded(thread_id, run.id, goes_on=True)
        return RunPage(data=leaf.items, first_id=leaf.first, last_id=leaf.last, has_more=leaf.has_more)

    @override
    async def active(self, thread_id: str) -> KeptRun | None:
        check_name(thread_id, param="thread_id")
        try:
            found = self._root.active(thread_id, may_read=False)
        except Unread:
            with answered(f"The runs of the thread {thread_id!r} cannot be read"):
                found = await self._read(partial(self._root.active, thread_id, may_read=True))
        return None if found is None else copy_of(found)

    @override
    def hold(self, thread_id: str, run_id: str) -> AbstractAsyncContextManager[bool]:
        check_name(thread_id, param="thread_id")
        return self._hold(check_name(run_id, param="run_id"))

    @asynccontextmanager
    async def _hold(self, run_id: str) -> AsyncIterator[bool]:
        path = self._root.locks.folder / f"run.{run_id}"
        entered: list[AbstractContextManager[None]] = []

        def enter() -> None:
            lock = hold_file(path)
            lock.__enter__()
            entered.append(lock)

        def make_and_enter() -> None:
            self._root.layout.make_folder(str(self._root.locks.folder))
            enter()

        try:
            try:
                with answered(_which(run_id, "cannot be carried on")):
                    try:
                        enter()  # an empty file, never flushed: a turn in a thread would take longer
                    except FileNotFoundError:
                        await self._to_end(self._writers, make_and_enter)
            except Taken:
                yield False
                return
            yield True
        finally:
            _leave(entered)

    @override
    async def left(self) -> Sequence[tuple[str, str]]:
        return await self._read(self._root.left)

    @override
    async def wished(self, thread_id: str, run_id: str) -> None:
        path = self._root.files.path(thread_id, run_id)
        while True:
            next_look = self._looks.next(path)  # first: who wishes it while this looks is not missed
            try:
                kept = await self._find(thread_id, run_id)
            except JanError:  # a person is writing it
                pass
            else:
                if kept is None or kept.run.status == "cancelling":
                    return
            await next_look

    @override
    async def export(self, thread_id: str, ids: Sequence[str]) -> Sequence[bytes]:
        check_name(thread_id, param="thread_id")

        def look() -> list[bytes]:
            paths = ((id, self._root.files.path(thread_id, id)) for id in ids if is_name(id))
            found = (exported(thread_id, id, path) for id, path in paths)
            return [line for line in found if line is not None]

        with answered(f"The runs of the thread {thread_id!r} cannot be read"):
            return await self._read(look)

    @override
    async def restore(self, thread_id: str, lines: Sequence[bytes]) -> None:
        check_name(thread_id, param="thread_id")
        for kept, values in restoring(thread_id, lines):
            await self._put(kept, values)

    @override
    async def put(self, kept: KeptRun) -> None:
        await self._put(kept, None)

    async def _put(self, kept: KeptRun, whole: dict[str, Any] | None) -> None:
        run = kept.run
        path = self._root.files.path(run.thread_id, run.id)

        def work() -> None:
            folder = os.path.dirname(path)
            self._root.layout.check_writable(folder)
            self._root.layout.make_folder(folder)
            with self._root.locks.hold(run.thread_id):
                self._root.store(kept, path, whole=whole)

        async with self._turns.of(run.thread_id):
            with answered(_which(run.id, "was not stored"), param="run_id"):
                await self._to_end(self._waiting, work)

    @override
    async def withdraw(self, thread_id: str, run_id: str) -> None:
        path = self._root.files.path(thread_id, run_id)
        async with self._turns.of(thread_id):
            with answered(_which(run_id, "was not removed"), param="run_id"):
                await self._to_end(self._waiting, partial(self._root.withdraw, thread_id, run_id, path))
        self._looks.now(path)

    @override
    async def clear(self, thread_id: str) -> None:
        folder = self._root.files.folder(thread_id)
        async with self._turns.of(thread_id):
            with answered(f"The runs of the thread {thread_id!r} were not removed"):
                await self._to_end(self._waiting, partial(self._root.clear, thread_id, folder))
        self._shelves.pop(folder, None)
        self._looks.all_now(folder + os.sep)

    async def _minded(self, thread_id: str, run_id: str, *, goes_on: bool) -> bool:
        """Bring the note of a thread in step with a run that was read; False where it was, and nothing was done.

        A run that goes on without a note was copied in by hand, or its note was removed: it is to go on, or end, like
        any other, once its thread has no other one.
        """
        try:
            if goes_on == self._root.notes.may_name(thread_id, run_id):
                return False
            if goes_on and await self.active(thread_id) is not None:
                return False
            path = self._root.files.path(thread_id, run_id)
            async with self._turns.of(thread_id):
                await self._to_end(self._waiting, partial(self._root.tidy, thread_id, run_id, path))
        except (OSError, Damaged, JanError):
            pass  # nobody who reads a run needs its note
        return True

    async def _find(self, thread_id: str, run_id: str) -> KeptRun | None:
        find = partial(self._root.files.find, thread_id, run_id)
        with answered(_which(run_id, "cannot be read"), param="run_id"):
            try:
                found = find(may_read=False, at_once=True)
            except Unread:
                found = await self._read(partial(find, may_read=True))
            return None if found is None else found.item()

    def _shelf(self, thread_id: str) -> tuple[RunNames, Shelf[Run]]:
        folder = self._root.files.folder(thread_id)
        known = self._shelves.pop(folder, None)
        if known is None:

            def read_time(path: str) -> int | None:
                return self._root.files.time_made(thread_id, os.path.basename(path).removesuffix(".json"), path)

            names = RunNames(folder, read_time)
            known = names, Shelf(names, names.knows, self._listing)
        self._shelves[folder] = known
        while len(self._shelves) > LISTED or (
            len(self._shelves) > 1 and sum(len(names) for names, _ in self._shelves.values()) > NAMES
        ):
            self._shelves.popitem(last=False)
        return known

    def _names(self, folder: str) -> RunNames | None:
        known = self._shelves.get(folder)
        return None if known is None else known[0]

    async def _read(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._readers, work)

    async def _to_end(self, pool: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        """What work in a thread gives. Who is cancelled meanwhile waits for its end, and is cancelled then."""
        future = asyncio.get_running_loop().run_in_executor(pool, work)
        cancelled: asyncio.CancelledError | None = None
        while not future.done():
            try:
                await asyncio.wait([future])
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            future.exception()
            raise cancelled
        return future.result()


def _leave(entered: list[AbstractContextManager[None]]) -> None:
    while entered:
        entered.pop().__exit__(None, None, None)


def _which(run_id: str, what: str) -> str:
    return f"The run {ascii(run_id)[:200]} {what}"
