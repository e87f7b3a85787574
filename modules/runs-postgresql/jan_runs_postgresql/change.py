"""One change of a run, in a transaction that keeps its row locked while its caller edits it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jan_core.errors import NotFound, Unavailable
from jan_core.schemas.runs import KeptRun
from jan_runs_postgresql import statements
from jan_runs_postgresql.rows import Texts, kept_of, texts_of

if TYPE_CHECKING:
    from jan_postgresql.database import Connection


class Change:
    """What the database does of one change, and what its caller makes of it meanwhile.

    Args:
        thread_id: the thread.
        run_id: the run.
        flush: whether the change is on the disk when it is committed.
        worker: tells which worker must still have it; None where there is none.
        say: gives what other servers are told with the change; None: nothing.

    Attributes:
        found: gets the run as it is stored, which is locked then.
        edited: to be given what is to be stored; None leaves the run as it is.
    """

    def __init__(
        self,
        thread_id: str,
        run_id: str,
        *,
        flush: bool,
        worker: Callable[[], int | None],
        say: Callable[[KeptRun], str | None],
    ) -> None:
        self._ids = (thread_id, run_id)
        self._find = statements.FIND_TO_CHANGE if flush else statements.FIND_TO_CHANGE_SOON
        self._worker, self._say = worker, say
        self._first: Texts | None = None
        self._stored: Texts | None = None
        self._ended = False
        loop = asyncio.get_running_loop()
        self.found: asyncio.Future[KeptRun] = loop.create_future()
        self.edited: asyncio.Future[KeptRun | None] = loop.create_future()

    async def work(self, connection: Connection) -> None:
        """Look, wait for the edit, and store it. It may be called again where the connection was lost.

        Raises:
            NotFound: there is no such run.
            InvalidRequest: it is damaged.
            Unavailable: it was changed in between, or the claim was lost; nothing was stored.
        """
        async with connection.transaction():
            row = await (await connection.execute(self._find, self._ids)).fetchone()
            if row is None:
                raise _not_found(*self._ids)
            there: Texts = (row[0], row[1], row[2])
            if self._first is None:
                kept = kept_of(there)
                self._first, self._ended = there, kept.run.ended
                if not self.found.done():
                    self.found.set_result(kept)
            elif there == self._stored:
                return  # it was committed, and the answer was lost
            elif there != self._first:
                raise Unavailable("The run was changed by somebody else meanwhile; try again.")
            after = await self.edited
            if after is not None:
                await self._store(connection, there, after)

    async def _store(self, connection: Connection, there: Texts, after: KeptRun) -> None:
        self._stored = texts_of(after, there if self._ended else None)
        names = ("run", "steps", "request")
        changed: dict[str, Any] = {
            name: new for name, old, new in zip(names, there, self._stored, strict=True) if new != old
        }
        if not changed:
            return
        if "run" in changed:
            run = after.run
            changed |= {"status": run.status, "goes_on": not run.ended, "expires_at": run.expires_at}
        worker, say = self._worker(), self._say(after)
        cursor = await connection.execute(*statements.change(changed, *self._ids, worker, say))
        if cursor.rowcount == 0 and worker is not None and self._worker() is None:
            # It was let go at this moment, so that this change is not of the one who held it.
            cursor = await connection.execute(*statements.change(changed, *self._ids, None, say))
        if cursor.rowcount == 0:
            raise Unavailable(f"Another server carries the run {self._ids[1]!r} on by now.")


def _not_found(thread_id: str, run_id: str) -> NotFound:
    return NotFound(f"There is no run {run_id!r} in the thread {thread_id!r}.", param="run_id", code="run_not_found")
