"""Where runs are kept: all that a module for `runs` writes itself.

`StoredRuns` and the loop stand on this class and know nothing else of the place: a folder, a database. Several
processes may serve one place at once, and any of them may be killed at any moment.

A run is **kept** as one whole (`KeptRun`): the run, its steps, and what the loop needs to go on. After `begin` it is
changed in one way only, inside `changing`: so nobody overwrites what another has changed meanwhile, be it the loop in
one process and a cancel in another.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, Self

from jan_core.errors import NotSupported

if TYPE_CHECKING:
    from jan_core.idempotency import Once
    from jan_core.schemas.runs import KeptRun, RunPage, RunsQuery

LOOK = 0.2
"""Seconds between two looks at a run that is carried on elsewhere."""


class RunStore(ABC):
    """The kept runs of one root or database. An async context manager, entered and closed with the app.

    An id that cannot be one is refused by every operation with `InvalidRequest` (`invalid_id`) before it touches
    anything. None of them asks whether the thread exists. What is given and returned belongs to the caller: changing
    it changes nothing that is stored.

    Attributes:
        left_seconds: how often whoever takes up what others left asks for `left`, in seconds; None leaves that to them.
    """

    left_seconds: ClassVar[float | None] = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return None

    @abstractmethod
    async def begin(self, kept: KeptRun, asked: Once | None) -> KeptRun:
        """Store a new run, which has not ended, durably.

        Looking for another run and storing this one are one act, across processes: of two that begin at once in a
        thread, one is refused. So are storing it, the key and the reply, which is `kept.run` as it is now.

        Args:
            kept: the run, with an id that no run has yet.
            asked: the wish that the request be done once; None where there is none.

        Returns:
            `kept`; or, where the key of `asked` came before in this thread, what was kept then: its `run` is the
            reply of the first request, whatever became of the run, and its id another than that of `kept`. A key is
            known for a day at least.

        Raises:
            Conflict: the key came before with another fingerprint (`asked.check`). It goes before the next one.
            InvalidRequest: the thread has a run that has not ended; code `run_active`, the message names it. Or the run
                is too large for the store (`object_too_large`).
        """

    @abstractmethod
    async def begun(self, asked: Once) -> KeptRun | None:
        """What was kept when a run was begun under this key, in whichever thread; None where none was.

        It is asked before a run is made of a request, so that one that is repeated needs nothing but its key. Its
        `run` is the reply of the first request; whether the run is there still, `read` tells.

        Raises:
            Conflict: as `begin`.
        """

    @abstractmethod
    async def read(self, thread_id: str, run_id: str) -> KeptRun | None:
        """A run as it is stored now, whoever stored it; None where there is none.

        Raises:
            InvalidRequest: what is stored is damaged; code `damaged_file` or the like, the message says where.
        """

    @abstractmethod
    def changing(self, thread_id: str, run_id: str, *, flush: bool = True) -> AbstractAsyncContextManager[KeptRun]:
        """Change a run: the block gets it as it is stored now, changes it in place, and its end stores it.

        Nobody else changes this run meanwhile, in any process: others wait. The block must be short, and awaits
        nothing but memory. Where it raises, nothing is stored, and where it changed nothing, nothing is written.

        Args:
            thread_id: the thread.
            run_id: the run.
            flush: True: when the block has been left, the change survives a power cut. False: it survives the end of
                this process, and is seen by others; a power cut may take it back, to what was stored before it.

        Raises:
            NotFound: there is no such run (`run_not_found`); perhaps no longer, the thread having been deleted.
            InvalidRequest: as `read`; or the run would be too large for the store (`object_too_large`), and is left as
                it was. A change that ends it, or wishes to cancel it, always fits.
        """

    @abstractmethod
    async def page(self, thread_id: str, query: RunsQuery) -> RunPage:
        """The runs of a thread by `(created_at, id)`, cut as `jan_core.pages.cut` does; damaged ones are left out.

        Raises:
            InvalidRequest: `after` or `before` names no run of the thread.
        """

    @abstractmethod
    async def active(self, thread_id: str) -> KeptRun | None:
        """The run of a thread that has not ended; None where all have.

        It is asked before every message that is read or stored: where nothing changed since it was asked last, it
        reads nothing from the disk, and a thread without runs costs one look at its folder.
        """

    @abstractmethod
    def hold(self, thread_id: str, run_id: str) -> AbstractAsyncContextManager[bool]:
        """The right to carry a run on, which at most one block in all processes has at a time.

        The block gets True where it has the right, False where somebody else has it; it never waits for it. The right
        ends with the block, and also with the process, however that ends. It hinders nobody from `changing` the run.
        The run need not exist.
        """

    @abstractmethod
    async def left(self) -> Sequence[tuple[str, str]]:
        """Thread id and run id of every run that has not ended.

        One that waits for its client need not be named before it is `states.overdue`, nor one that somebody carries
        on as long as that process lives: it is asked again and again, and of those there may be thousands. It is
        durable as the runs themselves, and its cost grows with the runs that have not ended, not with what is stored.
        It may name a run that has ended or is gone, once: reading or changing that run makes it forget it.
        """

    @abstractmethod
    async def wished(self, thread_id: str, run_id: str) -> None:
        """Return when the stored run is `cancelling`, or is gone; whoever stored that, within 0.2 seconds.

        Asked by whoever holds the run, as long as it has not ended. It may be cancelled at any time.
        """

    @abstractmethod
    async def put(self, kept: KeptRun) -> None:
        """Store a run that has ended, durably, in place of one of the same id."""

    def is_followed(self, thread_id: str, run_id: str) -> bool:
        """Whether somebody in another process follows the run, which is carried on here.

        Where so, how far it is is stored more often. It is asked for every piece of an answer, so it looks at memory
        only.
        """
        return False

    def following(self, thread_id: str, run_id: str) -> AbstractAsyncContextManager[Callable[[], Awaitable[None]]]:
        """Follow a run that is carried on in another process: it is told to whoever does, where that can be.

        The block gets what returns when there may be more to read of the run.
        """
        return nullcontext(lambda: asyncio.sleep(LOOK))

    async def export(self, thread_id: str, ids: Sequence[str]) -> Sequence[bytes]:
        """As `Runs.export`. A store that does it also does `restore`."""
        raise NotSupported("This store cannot export runs.")

    async def restore(self, thread_id: str, lines: Sequence[bytes]) -> None:
        """As `Runs.restore`. What is known of keys stays as it is."""
        raise NotSupported("This store cannot restore runs.")

    @abstractmethod
    async def withdraw(self, thread_id: str, run_id: str) -> None:
        """Remove one run, durably, as if it had never begun: `left` names it no more, and its key begins a new one.

        Nothing where there is none.
        """

    @abstractmethod
    async def clear(self, thread_id: str) -> None:
        """Remove all runs of a thread, and what `left` and the keys know of them. Nothing where there are none."""
