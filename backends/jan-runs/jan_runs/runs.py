"""The endpoint `runs` on any store: what is the same wherever runs are kept."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, replace
from functools import cached_property, partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from jan_code.backend import Code
from typing_extensions import override

from jan_core.endpoints.runs import Runs
from jan_core.errors import Busy, InvalidRequest, NotFound
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
from jan_runs import events
from jan_runs.steps import cancel_wished, outputs_given, saying_of
from jan_runs.store import RunStore
from jan_runs.taking_up import TakingUp
from jan_runs.tools import CodeTools

if TYPE_CHECKING:
    from jan_core.app import Jan
    from jan_core.schemas.threads import Thread
    from jan_runs.feed import Listener
    from jan_runs.loop import RunLoop
    from jan_runs.tools import Toolbox

log = logging.getLogger("jan")


@dataclass(frozen=True, slots=True)
class Begun:
    """What came of a request that has a run go on.

    Attributes:
        run: the reply.
        listener: the events, where they were asked for; None also where the request came before.
        since: where it came before with outputs: the step that they are of.
        thread: the thread that was made for the run.
    """

    run: Run
    listener: Listener | None = None
    since: str | None = None
    thread: Thread | None = None

    def leave(self) -> None:
        """Nobody is there to listen."""
        if self.listener is not None:
            self.listener.leave()


class StoredRuns(Runs):
    """Runs that are kept in a store and carried on by the loop.

    Args:
        jan: the running app.
        store: where they are kept; entered and closed with this.
        expires_seconds: how long after its creation a run that has not ended is `expired`.
        most_at_once: how many may go on, or wait for an engine, in this process.
        toolbox: carries out the assistants' own tools; default the code in their folders.
    """

    def __init__(
        self,
        jan: Jan,
        store: RunStore,
        *,
        expires_seconds: int = 600,
        most_at_once: int = 1_000,
        toolbox: Toolbox | None = None,
    ) -> None:
        self._jan = jan
        self._store = store
        self._expires_seconds, self._most_at_once = expires_seconds, most_at_once
        self._toolbox = toolbox if toolbox is not None else CodeTools(jan.backend(Code))
        self._taking_up = TakingUp(jan, store, lambda: self._loop)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._stack: AsyncExitStack | None = None

    @override
    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._store)
            stack.push_async_callback(self._left)
            if "_loop" in vars(self):  # an app may be entered again
                await self._loop.__aenter__()
            await stack.enter_async_context(self._taking_up)
            stack.push_async_callback(self._settled)
            self._stack = stack.pop_all()
        return self

    @cached_property
    def _loop(self) -> RunLoop:
        from jan_runs.loop import RunLoop  # with all that carries runs on, where there is one

        return RunLoop(self._jan, self._store, self._toolbox)

    async def _left(self) -> None:
        if "_loop" in vars(self):
            await self._loop.__aexit__(None, None, None)

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
        return (await self._whole(self._begin_in(thread_id, body, listen=False))).run

    @override
    async def create_stream(self, thread_id: str, body: RunRequest) -> AsyncIterator[RunEvent]:
        begun = await self._whole(self._begin_in(thread_id, body, listen=True))
        async with aclosing(self._told(begun)) as told:
            async for event in told:
                yield event

    @override
    async def create_thread(self, body: ThreadRunRequest) -> Run:
        asked = once("runs.create_thread", body)
        return (await self._whole(self._begin_thread(body, asked, listen=False))).run

    @override
    async def create_thread_stream(self, body: ThreadRunRequest) -> AsyncIterator[RunEvent]:
        asked = once("runs.create_thread", body)
        begun = await self._whole(self._begin_thread(body, asked, listen=True))
        async with aclosing(self._told(begun)) as told:
            assert begun.thread is not None
            yield RunEvent(event="thread.created", data=begun.thread)
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
        async def wish() -> Begun:
            await self._jan.threads.check(thread_id)
            async with self._store.changing(thread_id, run_id) as kept:
                cancel_wished(kept)
            self._loop.cancel(kept.run)
            return Begun(kept.run)

        return (await self._whole(wish())).run

    @override
    async def submit_tool_outputs(self, thread_id: str, run_id: str, body: ToolOutputsRequest) -> Run:
        return (await self._whole(self._give(thread_id, run_id, body, listen=False))).run

    @override
    async def submit_tool_outputs_stream(
        self, thread_id: str, run_id: str, body: ToolOutputsRequest
    ) -> AsyncIterator[RunEvent]:
        begun = await self._whole(self._give(thread_id, run_id, body, listen=True))
        async with aclosing(self._told(begun)) as told:
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
    def supports(self, name: str) -> bool:
        if name in ("export", "restore"):
            return getattr(type(self._store), name) is not getattr(RunStore, name)
        return super().supports(name)

    @override
    async def export(self, thread_id: str, ids: Sequence[str]) -> Sequence[bytes]:
        return await self._store.export(thread_id, ids)

    @override
    async def restore(self, thread_id: str, lines: Sequence[bytes]) -> None:
        await self._store.restore(thread_id, lines)

    @override
    async def clear(self, thread_id: str) -> None:
        await self._loop.stop(thread_id)
        await self._store.clear(thread_id)

    async def _found(self, thread_id: str, run_id: str) -> KeptRun:
        await self._jan.threads.check(thread_id)
        return await self.kept(thread_id, run_id)

    async def _begin_in(self, thread_id: str, body: RunRequest, *, listen: bool) -> Begun:
        """Begin a run in a thread that may not be there. Whoever leaves from now on leaves a run that goes on."""
        await self._jan.threads.check(thread_id)
        return await self._begin(thread_id, body, once("runs.create", body, thread_id), listen=listen)

    async def _begin(self, thread_id: str, body: RunRequest, asked: Once | None, *, listen: bool) -> Begun:
        """Begin a run, or find the one that was begun under the same key."""
        first = None if asked is None else await self._store.begun(asked)
        if first is not None:
            return Begun(first.run)
        self._check_room()
        from jan_runs import additional
        from jan_runs.asked import new_run

        kept = await new_run(self._jan, thread_id, body, expires_seconds=self._expires_seconds, toolbox=self._toolbox)
        async with AsyncExitStack() as stack:
            if body.additional_messages:
                # From before it is there until it has its messages: so nobody takes it for one that was left.
                await stack.enter_async_context(self._store.hold(thread_id, kept.run.id))
            first = await self._store.begin(kept, asked)
            if first.run.id != kept.run.id:
                return Begun(first.run)
            try:
                await self._jan.threads.check(thread_id)
                await additional.add(self._jan, self._store, first)
            except Exception as error:
                await self._take_back(first, error)
                raise
        return self._started(first.run, events.created(first.run), listen=listen)

    async def _take_back(self, kept: KeptRun, error: Exception) -> None:
        """Remove a run that was stored and cannot begin: what its request is told is then so, under a key, too."""
        thread_id, run_id = kept.run.thread_id, kept.run.id
        try:
            if isinstance(error, NotFound) and error.code == "thread_not_found":  # it was deleted in between
                await self._store.clear(thread_id)
            else:
                await self._store.withdraw(thread_id, run_id)
        except Exception as raised:  # where it is still to begin, it is taken up later
            log.warning("the run %s was not begun, and may have stayed: %s", run_id, raised)

    def _check_room(self) -> None:
        """Raise `Busy` where as many runs go on here as may: those that wait take memory, too."""
        if self._loop.count >= self._most_at_once:
            raise Busy(
                f"{self._loop.count:,} runs go on here, or wait for their models, and {self._most_at_once:,} may; ask "
                "again later.",
                retry_after=5,
            )

    async def _begin_thread(self, body: ThreadRunRequest, asked: Once | None, *, listen: bool) -> Begun:
        request, thread_request = body.run_request(), body.thread_request()
        if asked is None or await self._store.begun(asked) is None:
            self._check_room()
            from jan_runs.asked import try_settings

            await try_settings(self._jan, request, thread_request, self._toolbox)
        thread = await self._jan.threads.create(thread_request)
        try:
            return replace(await self._begin(thread.id, request, asked, listen=listen), thread=thread)
        except Exception:
            # Sent again under its key, the request finds this thread.
            if asked is None:
                await self._jan.threads.delete(thread.id)
            raise

    async def _give(self, thread_id: str, run_id: str, body: ToolOutputsRequest, *, listen: bool) -> Begun:
        await self._jan.threads.check(thread_id)
        async with self._store.changing(thread_id, run_id) as kept:
            from jan_runs import repeated

            before = repeated.step_given(kept, body)
            told = outputs_given(kept, body) if before is None else []
        if before is not None:
            return Begun(kept.run, since=before.id)
        return self._started(kept.run, told, listen=listen)

    def _started(self, run: Run, told: Sequence[RunEvent], *, listen: bool) -> Begun:
        feed = self._loop.start(run.thread_id, run.id, told)
        return Begun(run, feed.listen() if listen else None)

    def _told(self, begun: Begun) -> Listener | AsyncGenerator[RunEvent]:
        """The events for who asked for them. Whoever reads them closes them (`aclose`), also where none was read."""
        return self._told_again(begun) if begun.listener is None else begun.listener

    async def _told_again(self, begun: Begun) -> AsyncGenerator[RunEvent]:
        """The events of a run that somebody else was told, or is being told: from what is stored, as it is stored."""
        from jan_runs.following import Following

        run = begun.run
        await self._found(run.thread_id, run.id)
        following = Following(self._jan, run, seconds=self._expires_seconds, since=begun.since)
        async with self._store.following(run.thread_id, run.id) as news:
            look, more = partial(self._found, run.thread_id, run.id), partial(self._more, run, news)
            async for event in following.tell(look, more):
                yield event

    async def _more(self, run: Run, news: Callable[[], Awaitable[None]]) -> None:
        """Return when there may be more to tell; or when nothing happens any more here in a run that goes on."""
        if not self._loop.carries(run.id):
            await news()
            return
        feed = self._loop.start(run.thread_id, run.id)  # it goes on here, and this comes after it
        await feed.over()
        if feed.error is not None:
            raise feed.error

    async def _whole(self, work: Coroutine[Any, Any, Begun]) -> Begun:
        """What work gives that is done to its end, also where who asked for it leaves meanwhile."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_left)
            raise

    async def _settled(self) -> None:
        """Return when what was begun is done."""
        if self._tasks:
            await asyncio.wait(list(self._tasks))


def _left(task: asyncio.Task[Begun]) -> None:
    """Nobody is there for what was begun. Looking at its error keeps it from being reported as one that nobody saw."""
    if not task.cancelled() and task.exception() is None:
        task.result().leave()
