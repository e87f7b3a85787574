"""The endpoint `runs` on any store: what is the same wherever runs are kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, aclosing
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from jan_code.backend import Code
from typing_extensions import override

from jan_core.endpoints.runs import Runs
from jan_core.errors import InvalidRequest, JanError, NotFound
from jan_core.idempotency import Once, once
from jan_core.pages import cut
from jan_core.schemas.runs import (
    KeptRun,
    Run,
    RunEvent,
    RunPage,
    RunRequest,
    RunsQuery,
    RunStep,
    RunStepPage,
    RunStepQuery,
    RunStepsQuery,
    RunUpdate,
    ThreadRunRequest,
    ToolOutputsRequest,
    Unfinished,
)
from jan_runs import additional, events
from jan_runs.asked import new_run, try_settings
from jan_runs.loop import RunLoop
from jan_runs.steps import cancel_wished, outputs_given, saying_of
from jan_runs.taking_up import TakingUp
from jan_runs.tools import CodeTools

if TYPE_CHECKING:
    from jan_core.app import Jan
    from jan_core.schemas.threads import Thread
    from jan_runs.feed import Listener
    from jan_runs.store import RunStore
    from jan_runs.tools import Toolbox

T = TypeVar("T")

LOOK = 0.2
"""Seconds between two looks for the end of a run that is carried on elsewhere."""


class StoredRuns(Runs):
    """Runs that are kept in a store and carried on by the loop.

    Args:
        jan: the running app.
        store: where they are kept; entered and closed with this.
        expires_seconds: how long a run may wait before it ends `expired`.
        toolbox: carries out the assistants' own tools; default the code in their folders.
    """

    def __init__(
        self, jan: Jan, store: RunStore, *, expires_seconds: int = 600, toolbox: Toolbox | None = None
    ) -> None:
        self._jan = jan
        self._store = store
        self._expires_seconds = expires_seconds
        self._toolbox = toolbox if toolbox is not None else CodeTools(jan.backend(Code))
        self._loop = RunLoop(jan, store, self._toolbox)
        self._taking_up = TakingUp(jan, store, self._loop)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._stack: AsyncExitStack | None = None

    @override
    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._store)
            await stack.enter_async_context(self._loop)
            await stack.enter_async_context(self._taking_up)
            stack.push_async_callback(self._settled)
            self._stack = stack.pop_all()
        return self

    @override
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        stack, self._stack = self._stack, None
        if stack is not None:
            await stack.aclose()

    @override
    async def serving(self) -> None:
        self._taking_up.begin()

    @override
    async def create(self, thread_id: str, body: RunRequest) -> Run:
        await self._jan.threads.check(thread_id)
        asked = once("runs.create", body, thread_id)
        first, _ = await self._whole(self._begin(thread_id, body, asked, listen=False))
        return first

    @override
    async def create_stream(self, thread_id: str, body: RunRequest) -> AsyncIterator[RunEvent]:
        await self._jan.threads.check(thread_id)
        asked = once("runs.create", body, thread_id)
        async with aclosing(self._listened(self._begin(thread_id, body, asked, listen=True))) as told:
            async for event in told:
                yield event

    @override
    async def create_thread(self, body: ThreadRunRequest) -> Run:
        asked = once("runs.create_thread", body)
        _, (first, _) = await self._whole(self._begin_thread(body, asked, listen=False))
        return first

    @override
    async def create_thread_stream(self, body: ThreadRunRequest) -> AsyncIterator[RunEvent]:
        asked = once("runs.create_thread", body)
        thread, begun = await self._whole(self._begin_thread(body, asked, listen=True), _leave_second)

        async def found() -> tuple[Run, Listener | None]:
            return begun

        async with aclosing(self._listened(found())) as told:
            yield RunEvent(event="thread.created", data=thread)
            async for event in told:
                yield event

    @override
    async def list(self, thread_id: str, query: RunsQuery) -> RunPage:
        await self._jan.threads.check(thread_id)
        return await self._store.page(thread_id, query)

    @override
    async def retrieve(self, thread_id: str, run_id: str) -> Run:
        return (await self._found(thread_id, run_id)).run

    @override
    async def update(self, thread_id: str, run_id: str, body: RunUpdate) -> Run:
        await self._jan.threads.check(thread_id)
        async with self._store.changing(thread_id, run_id) as kept:
            kept.run = kept.run.changed(body)
        return kept.run

    @override
    async def cancel(self, thread_id: str, run_id: str) -> Run:
        await self._jan.threads.check(thread_id)

        async def wish() -> Run:
            async with self._store.changing(thread_id, run_id) as kept:
                told = cancel_wished(kept)
            run = kept.run
            self._loop.cancel(thread_id, run_id, told)
            return run

        return await self._whole(wish())

    @override
    async def submit_tool_outputs(self, thread_id: str, run_id: str, body: ToolOutputsRequest) -> Run:
        await self._jan.threads.check(thread_id)
        run, _ = await self._whole(self._give(thread_id, run_id, body, listen=False))
        return run

    @override
    async def submit_tool_outputs_stream(
        self, thread_id: str, run_id: str, body: ToolOutputsRequest
    ) -> AsyncIterator[RunEvent]:
        await self._jan.threads.check(thread_id)
        async with aclosing(self._listened(self._give(thread_id, run_id, body, listen=True))) as told:
            async for event in told:
                yield event

    @override
    async def list_steps(self, thread_id: str, run_id: str, query: RunStepsQuery) -> RunStepPage:
        kept = await self._found(thread_id, run_id)
        page = cut(kept.steps, query)
        return RunStepPage(data=page.data, first_id=page.first_id, last_id=page.last_id, has_more=page.has_more)

    @override
    async def retrieve_step(self, thread_id: str, run_id: str, step_id: str, query: RunStepQuery) -> RunStep:
        kept = await self._found(thread_id, run_id)
        for step in kept.steps:
            if step.id == step_id:
                return step
        raise NotFound(
            f"There is no step {step_id[:200]!r} in the run {run_id!r}.", param="step_id", code="step_not_found"
        )

    @override
    async def unfinished(self, thread_id: str) -> Unfinished | None:
        kept = await self._store.active(thread_id)
        if kept is None:
            return None
        return Unfinished(run=kept.run, message=self._loop.saying(kept.run.id) or saying_of(kept))

    @override
    async def kept(self, thread_id: str, run_id: str) -> KeptRun:
        found = await self._store.read(thread_id, run_id)
        if found is None:
            raise NotFound(
                f"There is no run {run_id!r} in the thread {thread_id!r}.", param="run_id", code="run_not_found"
            )
        return found

    @override
    async def put(self, kept: KeptRun) -> None:
        if not kept.run.ended:
            raise InvalidRequest(
                f"The run {kept.run.id!r} is {kept.run.status}; only one that has ended can be stored as it is.",
                param="status",
                code="run_not_ended",
            )
        await self._store.put(kept)

    @override
    async def clear(self, thread_id: str) -> None:
        await self._loop.stop(thread_id)
        await self._store.clear(thread_id)

    async def _found(self, thread_id: str, run_id: str) -> KeptRun:
        await self._jan.threads.check(thread_id)
        return await self.kept(thread_id, run_id)

    async def _begin(
        self, thread_id: str, body: RunRequest, asked: Once | None, *, listen: bool
    ) -> tuple[Run, Listener | None]:
        """Begin a run: what is answered, and, where `listen`, the events of a new one."""
        kept = await new_run(self._jan, thread_id, body, expires_seconds=self._expires_seconds, toolbox=self._toolbox)
        first = await self._store.begin(kept, asked)
        if first.run.id != kept.run.id:
            return first.run, None
        try:
            await self._jan.threads.check(thread_id)
        except NotFound:  # it was deleted in between
            await self._store.clear(thread_id)
            raise
        await additional.add(self._jan, self._store, first)
        return first.run, self._started(first.run, events.created(first.run), listen=listen)

    async def _begin_thread(
        self, body: ThreadRunRequest, asked: Once | None, *, listen: bool
    ) -> tuple[Thread, tuple[Run, Listener | None]]:
        request, thread_request = body.run_request(), body.thread_request()
        await try_settings(self._jan, request, thread_request, self._toolbox)
        thread = await self._jan.threads.create(thread_request)
        try:
            return thread, await self._begin(thread.id, request, asked, listen=listen)
        except JanError:
            # Sent again under its key, the request finds this thread.
            if asked is None:
                await self._jan.threads.delete(thread.id)
            raise

    async def _give(
        self, thread_id: str, run_id: str, body: ToolOutputsRequest, *, listen: bool
    ) -> tuple[Run, Listener | None]:
        async with self._store.changing(thread_id, run_id) as kept:
            told = outputs_given(kept, body)
        run = kept.run
        return run, self._started(run, told, listen=listen)

    def _started(self, run: Run, told: Sequence[RunEvent], *, listen: bool) -> Listener | None:
        feed = self._loop.start(run.thread_id, run.id, told)
        return feed.listen() if listen else None

    async def _listened(self, begun: Coroutine[Any, Any, tuple[Run, Listener | None]]) -> AsyncGenerator[RunEvent]:
        """The events of a run that is begun, or taken up, for this listener."""
        run, listener = await self._whole(begun, _leave)
        if listener is None:
            # The request was sent again: its run goes on, or has ended, and was told in full the first time.
            yield RunEvent(event="thread.run.created", data=run)
            yield events.of_run(await self._rested(run))
            return
        async with aclosing(listener):
            async for event in listener:
                yield event

    async def _rested(self, run: Run) -> Run:
        """A run once it waits for the client, or has ended."""
        while True:
            kept = await self._store.read(run.thread_id, run.id)
            if kept is None or kept.run.ended or kept.run.status == "requires_action":
                return run if kept is None else kept.run
            await asyncio.sleep(LOOK)

    async def _whole(self, work: Coroutine[Any, Any, T], undo: Any = None) -> T:
        """What work gives that is done to its end, also where who asked for it leaves meanwhile.

        Args:
            work: what is begun.
            undo: takes what it gave, where nobody is there to take it.
        """
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if undo is not None:
                task.add_done_callback(lambda done: undo(done.result()) if _worked(done) else None)
            else:
                task.add_done_callback(_worked)
            raise

    async def _settled(self) -> None:
        """Return when what was begun is done."""
        if self._tasks:
            await asyncio.wait(list(self._tasks))


def _worked(task: asyncio.Task[Any]) -> bool:
    """Whether a task gave something; looking at its error keeps it from being reported as one that nobody saw."""
    return not task.cancelled() and task.exception() is None


def _leave(begun: tuple[Run, Listener | None]) -> None:
    if begun[1] is not None:
        begun[1].leave()


def _leave_second(begun: tuple[Thread, tuple[Run, Listener | None]]) -> None:
    _leave(begun[1])
