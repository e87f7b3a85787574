"""The loop: the runs that this process carries on, each in a task of its own, whoever asked for them.

A run goes on because it is stored as one that has not ended, not because somebody called: `start` only makes it go on
now, and lets the caller listen. What a process leaves behind when it ends is taken up by another one; see `taking_up`.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Self

from jan_core import call
from jan_core.errors import JanError, Unavailable
from jan_core.ids import now
from jan_runs import events
from jan_runs.carrying import Carrying
from jan_runs.feed import Feed
from jan_runs.notes import Notes
from jan_runs.record import NotStored

if TYPE_CHECKING:
    from jan_core.app import Jan
    from jan_core.schemas.messages import Message
    from jan_core.schemas.runs import KeptRun, RunEvent
    from jan_runs.store import RunStore
    from jan_runs.tools import Toolbox

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
"""Seconds between two looks at a run that somebody else holds."""

log = logging.getLogger("jan")


@dataclass(eq=False)
class Turn:
    """One time that a run is carried on.

    Attributes:
        feed: where its events go.
        first: events that are told before all others.
        patient: True: where another process holds the run, wait until it has let it go, or the run has ended.
    """

    feed: Feed = field(default_factory=Feed)
    first: Sequence[RunEvent] = ()
    patient: bool = True


@dataclass(eq=False)
class Going:
    """A run that this process carries on, or is about to."""

    thread_id: str
    turns: deque[Turn] = field(default_factory=deque)
    turn: Turn | None = None
    carrying: Carrying | None = None
    task: asyncio.Task[None] | None = None


class RunLoop:
    """The runs that go on here. An async context manager; leaving it lets all of them go.

    That ends no run: what is in progress is left for the next start.

    Args:
        jan: gives the endpoints, wrapped, so that plugins see all that a run does.
        store: where the runs are kept; entered before, and closed after the loop.
        toolbox: carries out the assistants' own tools.
    """

    def __init__(self, jan: Jan, store: RunStore, toolbox: Toolbox) -> None:
        self._toolbox = toolbox
        self._jan = jan
        self._store = store
        self._going: dict[str, Going] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._stopped = False

    async def __aenter__(self) -> Self:
        self._stopped = False  # an app may be entered again
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopped = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        await _ended([going.task for going in self._going.values() if going.task is not None])

    def start(self, thread_id: str, run_id: str, first: Sequence[RunEvent] = ()) -> Feed:
        """Make a stored run go on here, until it waits or ends; returns at once.

        Where it is going on here already, it goes on again after that.

        Args:
            thread_id: the thread.
            run_id: the run.
            first: events that are told before all others.

        Returns:
            Its feed. Who listens before the next await (`feed.listen()`) hears everything.
        """
        return self._take_turn(thread_id, run_id, Turn(first=first)).feed

    def cancel(self, thread_id: str, run_id: str, first: Sequence[RunEvent] = ()) -> None:
        """End a run that is stored as `cancelling`: at once where it goes on here; otherwise by whoever can hold it.

        Args:
            thread_id: the thread.
            run_id: the run.
            first: events for those who listen to it here.
        """
        going = self._going.get(run_id)
        if going is not None and going.turn is not None and not going.turn.feed.closed:
            going.turn.feed.publish(*first)
            first = ()
            if going.carrying is not None:
                going.carrying.interrupt.ask()
        # It may have come to its end before it heard of the wish.
        self._take_turn(thread_id, run_id, Turn(first=first))

    def carries(self, run_id: str) -> bool:
        """True where a run goes on here, or is about to."""
        return run_id in self._going

    def saying(self, run_id: str) -> Message | None:
        """What a run is saying that goes on here, as it is now; None where it says nothing, or does not go on here."""
        going = self._going.get(run_id)
        if going is None or going.carrying is None or going.carrying.saying is None:
            return None
        return going.carrying.saying.message()

    async def stop(self, thread_id: str) -> None:
        """Stop carrying on the runs of a thread, which are to be removed. Nothing is stored any more on return."""
        for run_id, going in list(self._going.items()):
            if going.thread_id == thread_id:
                self._forget_timer(run_id)
                await _ended([] if going.task is None else [going.task])

    async def settled(self) -> None:
        """Return when every run that goes on here waits or has ended."""
        while tasks := [going.task for going in self._going.values() if going.task is not None]:
            await asyncio.wait(tasks)

    def _take_turn(self, thread_id: str, run_id: str, turn: Turn) -> Turn:
        self._forget_timer(run_id)
        if self._stopped:
            turn.feed.close(Unavailable("The server is stopping; the run goes on when it has started again."))
            return turn
        going = self._going.get(run_id)
        if going is None:
            going = self._going[run_id] = Going(thread_id)
            going.turns.append(turn)
            going.task = asyncio.create_task(self._go(going, run_id), name=f"jan-run {run_id}")
        else:
            going.turns.append(turn)
        return turn

    async def _go(self, going: Going, run_id: str) -> None:
        """Carry a run on as often as somebody asks for it."""
        try:
            while going.turns:
                turn = going.turn = going.turns.popleft()
                turn.feed.publish(*turn.first)
                error: Exception | None = None
                try:
                    await self._one_turn(going, run_id, turn)
                except (NotStored, JanError, OSError) as raised:
                    error = raised.why if isinstance(raised, NotStored) else raised
                    log.warning("the run %s is left as it is for now: %s", run_id, raised)
                except Exception as raised:
                    error = raised
                    log.exception("the run %s is left as it is for now", run_id)
                finally:
                    going.carrying = None
                    turn.feed.close(error)
        finally:
            for turn in going.turns:
                turn.feed.close(Unavailable("The server is stopping; the run goes on when it has started again."))
            del self._going[run_id]

    async def _one_turn(self, going: Going, run_id: str, turn: Turn) -> None:
        pause = FIRST_PAUSE
        while True:
            async with self._store.hold(going.thread_id, run_id) as held:
                kept = await self._store.read(going.thread_id, run_id)
                if kept is None:
                    return
                if held and not kept.run.ended:
                    await self._carry(going, kept, turn)
                    return
            if kept.run.ended:
                turn.feed.publish(events.of_run(kept.run))
                return
            if not turn.patient or kept.run.status == "requires_action":
                self._set_timer(kept)
                return
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _carry(self, going: Going, kept: KeptRun, turn: Turn) -> None:
        notes = Notes.of(kept)
        # The run is nobody's request: it has the caller's name, and neither its `Idempotency-Key` nor its numbers.
        call.enter(call.Call(notes.request_id or kept.run.id, notes.key_name, model=kept.run.model))
        carrying = going.carrying = Carrying(self._jan, self._store, kept, turn.feed, self._toolbox)
        watch = asyncio.create_task(self._watch(going.thread_id, kept.run.id, carrying))
        try:
            after = await carrying.go()
            turn.feed.close()  # at once: who listened is not to wait for what remains to be done
        finally:
            await _ended([watch])
        self._set_timer(after)

    async def _watch(self, thread_id: str, run_id: str, carrying: Carrying) -> None:
        """Hear of a wish to cancel that another process stored."""
        try:
            await self._store.wished(thread_id, run_id)
        except (JanError, OSError) as error:
            log.warning("nobody elsewhere can cancel the run %s: %s", run_id, error)
        else:
            carrying.interrupt.ask()

    def _set_timer(self, kept: KeptRun) -> None:
        """A run that waits for the client is looked at again when it expires."""
        run = kept.run
        if run.status == "requires_action" and run.expires_at is not None and not self._stopped:
            self._forget_timer(run.id)
            loop = asyncio.get_running_loop()
            # Whole seconds: a little later it is certainly over.
            wait = max(0.0, run.expires_at - now() + 0.05)
            self._timers[run.id] = loop.call_later(wait, self._expire, run.thread_id, run.id)

    def _expire(self, thread_id: str, run_id: str) -> None:
        self._timers.pop(run_id, None)
        self._take_turn(thread_id, run_id, Turn(patient=False))

    def _forget_timer(self, run_id: str) -> None:
        timer = self._timers.pop(run_id, None)
        if timer is not None:
            timer.cancel()


async def _ended(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel tasks, and return when they have ended."""
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError, Exception):
            await task
