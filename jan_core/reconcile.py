"""Finishes the deletion of threads: what other endpoints hold of a deleted thread is removed, come what may.

`threads.delete` hides a thread and keeps a note of it. The reconciler goes through those notes: it calls the internal
operation `clear(thread_id)` of every endpoint that declares one, then `threads.forget`. It does so when the app starts
and after each deletion, in the background; what fails is tried again after growing pauses. Every step can be repeated,
so several processes may do the same, and a crash leaves nothing but a note for the next start.

An endpoint takes part by declaring `clear` as an internal operation with the one argument `thread_id`, also one that a
stranger's package brings.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from jan_core.errors import JanError, NotFound

if TYPE_CHECKING:
    from jan_core.app import Jan
    from jan_core.endpoint import Endpoint

log = logging.getLogger("jan")

FIRST_PAUSE = 1.0
"""Seconds after which what failed once is tried again; twice as long after each further failure."""
LONGEST_PAUSE = 300.0
"""Seconds between two attempts, at most. Also how often a process looks for the notes that another one left."""
LAST_SECONDS = 2.0
"""Seconds that the app, when it stops, leaves for the work at hand."""


class Reconciler:
    """The background task of one app. An async context manager: entering it begins the work, leaving it ends it.

    Args:
        jan: gives the endpoints, wrapped, so that plugins see what is cleared.
    """

    def __init__(self, jan: Jan) -> None:
        self._jan = jan
        self._awake = asyncio.Event()
        self._idle = asyncio.Event()
        self._pauses: dict[str, float] = {}
        self._due: dict[str, float] = {}
        self._why: dict[str, str] = {}
        self._task: asyncio.Task[None] | None = None

    def wrappers(self) -> Mapping[str, Callable[..., Awaitable[Any]]]:
        """What goes around the operations of `threads`, by name."""
        return {"delete": self._delete}

    async def __aenter__(self) -> Self:
        # An app may be entered again, in another event loop.
        self._awake, self._idle = asyncio.Event(), asyncio.Event()
        self._task = asyncio.create_task(self._run(), name="jan-reconciler")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        task, self._task = self._task, None
        if task is None:
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(self.settled(), LAST_SECONDS)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def settled(self) -> None:
        """Return when nothing is left to do but what failed and waits for another attempt."""
        await self._idle.wait()

    def why(self, thread_id: str) -> str:
        """Why the last attempt to finish a deletion failed, as a sentence; empty where it did not."""
        return self._why.get(thread_id, "")

    async def _delete(self, proceed: Callable[[str], Awaitable[Any]], thread_id: str) -> Any:
        try:
            reply = await proceed(thread_id)
        except asyncio.CancelledError:  # the caller has gone; the note may be there all the same
            self._wake()
            raise
        self._wake()
        return reply

    def _wake(self) -> None:
        self._idle.clear()
        self._awake.set()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._awake.clear()
            await self._pass()
            if not self._awake.is_set():
                self._idle.set()
            pause = min(self._due.values(), default=loop.time() + LONGEST_PAUSE) - loop.time()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._awake.wait(), max(0.0, pause))

    async def _pass(self) -> None:
        """Finish every deletion that is not waiting for another attempt."""
        threads = await self._attempt("", self._jan.threads.deleted)
        if threads is None:
            return
        for name in [name for name in self._due if name and name not in threads]:  # another process finished it
            self._forgive(name)
        for thread_id in threads:
            if self._due.get(thread_id, 0.0) <= asyncio.get_running_loop().time():
                await self._attempt(thread_id, self._finish, thread_id)

    async def _finish(self, thread_id: str) -> bool:
        """Clear one thread everywhere; every endpoint is asked, also after one that failed."""
        try:
            await self._jan.threads.check(thread_id)
        except NotFound:
            pass
        else:
            log.warning("the thread %s is noted as deleted and can be read; nothing of it is removed", thread_id)
            return False
        failed: list[Exception] = []
        for endpoint in self._holders():
            try:
                await endpoint.clear(thread_id)
            except Exception as error:
                failed.append(error)
        if failed:
            raise failed[0]
        await self._jan.threads.forget(thread_id)
        return True

    def _holders(self) -> list[Any]:
        return [endpoint for endpoint in self._jan.endpoints.values() if holds_of_threads(endpoint)]

    async def _attempt(self, name: str, function: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        """What a step gives; None where it failed, which is logged, and sets the time of the next attempt."""
        loop = asyncio.get_running_loop()
        try:
            result = await function(*arguments)
        except Exception as error:
            pause = self._pauses[name] = min(LONGEST_PAUSE, 2 * self._pauses.get(name, FIRST_PAUSE / 2))
            self._due[name] = loop.time() + pause
            what = f"deleting the rest of the thread {name}" if name else "looking for deleted threads"
            told = error.message if isinstance(error, JanError) else f"{type(error).__name__}: {error}"
            self._why[name] = told
            known = isinstance(error, JanError)
            log.warning("%s failed: %s; next attempt in %g s", what, told, pause, exc_info=None if known else error)
            return None
        self._forgive(name)
        return result

    def _forgive(self, name: str) -> None:
        self._pauses.pop(name, None)
        self._due.pop(name, None)
        self._why.pop(name, None)


def holds_of_threads(endpoint: Endpoint) -> bool:
    """True where an endpoint declares, and its implementation does, the internal operation `clear(thread_id)`."""
    clear = endpoint.operations().get("clear")
    if clear is None or clear.path is not None or clear.arguments != ("thread_id",):
        return False
    return endpoint.supports("clear")
