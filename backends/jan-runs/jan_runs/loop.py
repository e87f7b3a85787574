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
from jan_core.errors import JanError, NotFound, Unavailable
from jan_core.ids import now
from jan_core.schemas.runs import RunError
from jan_runs import events, steps
from jan_runs.asking import Asking
from jan_runs.carrying import Carrying
from jan_runs.feed import Feed
from jan_runs.notes import Notes
from jan_runs.record import NotStored

if TYPE_CHECKING:
    from jan_core.app import Jan
    from jan_core.schemas.messages import Message
    from jan_core.schemas.runs import KeptRun, Run, RunEvent
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
    why: JanError | None = None
    """Why it was stopped, where it was."""


class RunLoop:
    """The runs that go on here. An async context manager; leaving it lets all of them go.

    That ends no run: what is in progress is left for the next start.

    Args:
        jan: gives the endpoints, wrapped, so that plugins see all that a run does.
        store: where the runs are kept; entered before, and closed after the loop.
        toolbox: carries out the assistants' own tools.
    """

    def __init__(self, jan: Jan, store: RunStore, toolbox: Toolbox) -> None:
        self._toolbox, self._asking = toolbox, Asking(jan)
        self._jan = jan
        self._store = store
        self._going: dict[str, Going] = {}
        self._timers: dict[str, tuple[str, asyncio.TimerHandle]] = {}
        self._defects: set[str] = set()
        self._stopped = False

    async def __aenter__(self) -> Self:
        self._stopped = False  # an app may be entered again
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopped = True
        for _, timer in self._timers.values():
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

    def cancel(self, run: Run) -> None:
        """End a run that is stored as `cancelling`: at once where it goes on here; otherwise by whoever can hold it.

        Args:
            run: the run; whoever listens to it here is told.
        """
        going = self._going.get(run.id)
        if going is not None and going.turn is not None and not going.turn.feed.closed:
            going.turn.feed.cancelling(run)
            if going.carrying is not None:
                going.carrying.interrupt.ask()
        # It may have come to its end before it heard of the wish.
        self._take_turn(run.thread_id, run.id, Turn())

    @property
    def count(self) -> int:
        """How many runs go on here, or are about to; not those that wait for a client."""
        return len(self._going)

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
        """Stop carrying on the runs of a thread, which are to be removed. Who listens gets `thread_not_found`."""
        for run_id in [run_id for run_id, (of, _) in self._timers.items() if of == thread_id]:
            self._forget_timer(run_id)
        stopped = [going for going in self._going.values() if going.thread_id == thread_id and going.task is not None]
        for going in stopped:
            going.why = NotFound(
                f"The thread {thread_id!r} was deleted, and its runs with it.",
                param="thread_id",
                code="thread_not_found",
            )
        await _ended([going.task for going in stopped if going.task is not None])

    async def settled(self) -> None:
        """Return when every run that goes on here waits or has ended."""
        while tasks := [going.task for going in self._going.values() if going.task is not None]:
            await asyncio.wait(tasks)

    def _take_turn(self, thread_id: str, run_id: str, turn: Turn) -> Turn:
        self._forget_timer(run_id)
        if self._stopped:
            turn.feed.close(_stopping())
            return turn
        going = self._going.get(run_id)
        if going is None:
            going = self._going[run_id] = Going(thread_id)
            going.turns.append(turn)
            going.task = asyncio.create_task(self._go(going, run_id), name=f"jan-run {run_id}")
            # A task that is cancelled before its first step never comes to its own end.
            going.task.add_done_callback(lambda _: self._over(going, run_id))
        else:
            going.turns.append(turn)
        return turn

    async def _go(self, going: Going, run_id: str) -> None:
        """Carry a run on as often as somebody asks for it."""
        try:
            while going.turns:
                turn = going.turn = going.turns.popleft()
                turn.feed.publish(*turn.first)
                error = await self._tried(going, run_id, turn)
                if not turn.feed.closed:
                    turn.feed.close(error)
        finally:
            self._over(going, run_id)

    def _over(self, going: Going, run_id: str) -> None:
        """A run goes on here no more: whoever listens still is told why."""
        for turn in (going.turn, *going.turns):
            if turn is not None and not turn.feed.closed:
                turn.feed.close(going.why or _stopping())
        if self._going.get(run_id) is going:
            del self._going[run_id]

    async def _tried(self, going: Going, run_id: str, turn: Turn) -> Exception | None:
        """Carry a run on once; why it did not come to its end, where it did not."""
        try:
            await self._one_turn(going, run_id, turn)
        except NotFound as gone:
            return gone
        except (NotStored, JanError, OSError) as raised:
            log.warning("the run %s is left as it is for now: %s", run_id, raised)
            return raised.why if isinstance(raised, NotStored) else raised
        except Exception:
            if run_id not in self._defects:  # where it cannot be ended either, it comes back again and again
                self._defects.add(run_id)
                log.exception("the run %s cannot be carried on", run_id)
            return await self._give_up(going, run_id, turn)
        finally:
            going.carrying = None
        return None

    async def _give_up(self, going: Going, run_id: str, turn: Turn) -> Exception | None:
        """End a run whose carrying on has a defect, which it would meet each time; why that failed, where it did."""
        try:
            async with self._store.changing(going.thread_id, run_id) as kept:
                if kept.run.ended:
                    told = [events.of_run(kept.run)]
                else:
                    error = RunError(code="server_error", message=steps.defect(kept.run))
                    told = steps.ended(kept, "failed", error=error)
        except Exception as raised:
            log.warning("the run %s could not be ended: %s", run_id, raised)
            return raised
        turn.feed.publish(*told)
        return None

    async def _one_turn(self, going: Going, run_id: str, turn: Turn) -> None:
        pause = FIRST_PAUSE
        while True:
            async with self._store.hold(going.thread_id, run_id) as held:
                kept = await self._store.read(going.thread_id, run_id)
                if kept is None:
                    raise await self._gone(going.thread_id, run_id)
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
        given = call.Call(notes.request_id or kept.run.id, notes.key_name, model=kept.run.model, depth=notes.depth)
        call.enter(given)
        carrying = going.carrying = Carrying(self._jan, self._store, kept, turn.feed, self._toolbox, self._asking)
        watch = asyncio.create_task(self._watch(kept.run, turn.feed, carrying))
        try:
            after = await carrying.go()
            turn.feed.close()  # at once: who listened is not to wait for what remains to be done
        except NotFound:
            raise await self._gone(kept.run.thread_id, kept.run.id) from None
        finally:
            await _ended([watch])
        self._set_timer(after)

    async def _gone(self, thread_id: str, run_id: str) -> NotFound:
        """What there is none of any more: the thread, or the run."""
        try:
            await self._jan.threads.check(thread_id)
        except NotFound as error:
            return error
        return NotFound(
            f"There is no run {run_id!r} in the thread {thread_id!r} any more.", param="run_id", code="run_not_found"
        )

    async def _watch(self, run: Run, feed: Feed, carrying: Carrying) -> None:
        """Hear of a wish to cancel that another process stored."""
        told = ""
        while True:
            try:
                await self._store.wished(run.thread_id, run.id)
                kept = await self._store.read(run.thread_id, run.id)
            except (JanError, OSError) as error:  # a person may just be saving the file
                if str(error) != told:
                    told = str(error)
                    log.warning("nobody elsewhere can cancel the run %s for now: %s", run.id, told)
                await asyncio.sleep(LONGEST_PAUSE)
                continue
            if kept is not None and kept.run.status == "cancelling":
                feed.cancelling(kept.run)
            carrying.interrupt.ask()
            return

    def _set_timer(self, kept: KeptRun) -> None:
        """A run that waits for the client is looked at again when it expires."""
        run = kept.run
        if run.status == "requires_action" and run.expires_at is not None and not self._stopped:
            self._forget_timer(run.id)
            loop = asyncio.get_running_loop()
            # Whole seconds: a little later it is certainly over.
            wait = max(0.0, run.expires_at - now() + 0.05)
            timer = loop.call_later(wait, self._expire, run.thread_id, run.id)
            self._timers[run.id] = (run.thread_id, timer)

    def _expire(self, thread_id: str, run_id: str) -> None:
        self._timers.pop(run_id, None)
        self._take_turn(thread_id, run_id, Turn(patient=False))

    def _forget_timer(self, run_id: str) -> None:
        found = self._timers.pop(run_id, None)
        if found is not None:
            found[1].cancel()


def _stopping() -> JanError:
    return Unavailable("The server is stopping; the run goes on when it has started again.")


async def _ended(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel tasks, and return when they have ended."""
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError, Exception):
            await task
