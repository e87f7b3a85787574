"""The reference implementation of `runs`, in memory: the plainest code that keeps the endpoint's promises.

How a run goes on is in `memory_runs_going`.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar
from weakref import WeakValueDictionary

from pydantic import BaseModel, ConfigDict

from jan_core import call
from jan_core.effective import settings_of
from jan_core.endpoints.runs import Runs
from jan_core.errors import InvalidRequest, ModelNotFound, NotFound
from jan_core.folder.fields import updated
from jan_core.folder.names import check_name
from jan_core.hookspecs import hookimpl
from jan_core.idempotency import Once, once
from jan_core.ids import new_id, new_timed_id, now
from jan_core.lines import line_of, runs_in
from jan_core.pages import cut
from jan_core.schemas.messages import Message
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
    StoredRun,
    ThreadRunRequest,
    ToolOutputsRequest,
    Unfinished,
)
from jan_core.schemas.settings import SettingsLayer
from jan_core.schemas.threads import Thread
from jan_core.testing.memory_runs_going import Going
from jan_core.testing.memory_runs_kept import Kept

if TYPE_CHECKING:
    from jan_core.app import Jan

T = TypeVar("T")


class Settings(BaseModel):
    """The table of the module."""

    model_config = ConfigDict(extra="forbid")

    expires_seconds: int = 600
    """Seconds after its creation when a run that waits expires."""


@dataclass(eq=False)
class Storage:
    """The runs of each thread, and what was answered under which key to which body."""

    threads: dict[str, list[Kept]] = field(default_factory=dict)
    answered: dict[str, tuple[str, Kept, Run]] = field(default_factory=dict)
    making: asyncio.Lock = field(default_factory=asyncio.Lock)


_STORAGES: WeakValueDictionary[Path, Storage] = WeakValueDictionary()


class RunsInMemory(Runs):
    """Runs in lists, one a thread. Apps on one root share them, as long as one of these lives.

    Args:
        jan: gives the other endpoints.
        expires_seconds: how long a run waits.
    """

    in_memory: ClassVar[bool] = True

    def __init__(self, jan: Jan, expires_seconds: int = 600) -> None:
        self._jan = jan
        self._expires = expires_seconds
        self._storage = _STORAGES.setdefault(jan.root, Storage())
        self._going = Going(jan)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._going.stop()

    async def create(self, thread_id: str, body: RunRequest) -> Run:
        """See `Runs`."""
        return (await self._begun(thread_id, body))[1]

    async def create_stream(self, thread_id: str, body: RunRequest) -> AsyncIterator[RunEvent]:
        """See `Runs`."""
        kept, _ = await self._begun(thread_id, body)
        async for event in kept.follow(0):
            yield event

    async def create_thread(self, body: ThreadRunRequest) -> Run:
        """See `Runs`."""
        return (await self._thread_begun(body))[1]

    async def create_thread_stream(self, body: ThreadRunRequest) -> AsyncIterator[RunEvent]:
        """See `Runs`."""
        kept, _ = await self._thread_begun(body)
        assert kept.made is not None
        yield RunEvent(event="thread.created", data=_copy(kept.made))
        async for event in kept.follow(0):
            yield event

    async def list(self, thread_id: str, query: RunsQuery) -> RunPage:
        """See `Runs`."""
        await self._jan.threads.check(thread_id)
        kept = self._storage.threads.get(thread_id, [])
        for one in kept:
            await self._going.expire(one)
        found = cut(sorted((one.run for one in kept), key=lambda run: (run.created_at, run.id)), query)
        found.data = [_copy(one) for one in found.data]
        return RunPage(**dict(found))

    async def retrieve(self, thread_id: str, run_id: str) -> Run:
        """See `Runs`."""
        return _copy((await self._find(thread_id, run_id)).run)

    async def update(self, thread_id: str, run_id: str, body: RunUpdate) -> Run:
        """See `Runs`."""
        kept = await self._find(thread_id, run_id)
        kept.run = _copy(kept.run.changed(body))
        if kept.whole:
            kept.whole = updated(kept.whole, kept.run, body.model_fields_set)
        return _copy(kept.run)

    async def cancel(self, thread_id: str, run_id: str) -> Run:
        """See `Runs`."""
        kept = await self._find(thread_id, run_id)
        if kept.run.ended:
            raise InvalidRequest(
                f"The run {run_id!r} has ended, {kept.run.status}; it cannot be cancelled.",
                param="run_id",
                code="run_ended",
            )
        if kept.run.status != "cancelling":
            kept.become("cancelling")
            self._going.cancel(kept)
        return _copy(kept.run)

    async def submit_tool_outputs(self, thread_id: str, run_id: str, body: ToolOutputsRequest) -> Run:
        """See `Runs`."""
        return (await self._submitted(thread_id, run_id, body))[1]

    async def submit_tool_outputs_stream(
        self, thread_id: str, run_id: str, body: ToolOutputsRequest
    ) -> AsyncIterator[RunEvent]:
        """See `Runs`."""
        kept, _, start = await self._submitted(thread_id, run_id, body)
        async for event in kept.follow(start):
            yield event

    async def list_steps(self, thread_id: str, run_id: str, query: RunStepsQuery) -> RunStepPage:
        """See `Runs`."""
        found = cut((await self._find(thread_id, run_id)).steps, query)
        found.data = [_copy(one) for one in found.data]
        return RunStepPage(**dict(found))

    async def retrieve_step(self, thread_id: str, run_id: str, step_id: str, query: RunStepQuery) -> RunStep:
        """See `Runs`."""
        kept = await self._find(thread_id, run_id)
        check_name(step_id, param="step_id")
        for step in kept.steps:
            if step.id == step_id:
                return _copy(step)
        raise NotFound(f"There is no step {step_id!r} in the run {run_id!r}.", param="step_id", code="step_not_found")

    async def unfinished(self, thread_id: str) -> Unfinished | None:
        """See `Runs`."""
        kept = await self._active(thread_id)
        return None if kept is None else _copy(Unfinished(run=kept.run, message=kept.message))

    async def kept(self, thread_id: str, run_id: str) -> KeptRun:
        """See `Runs`."""
        kept = await self._stored(thread_id, run_id)
        return _copy(KeptRun(run=kept.run, steps=kept.steps, request=kept.request))

    async def put(self, kept: KeptRun) -> None:
        """See `Runs`."""
        check_name(kept.run.thread_id, param="thread_id")
        check_name(kept.run.id, param="run_id")
        if not kept.run.ended:
            raise InvalidRequest(f"The run {kept.run.id!r} has not ended; only one that has can be put.", param="run")
        given = Kept(_copy(kept.run), [_copy(step) for step in kept.steps], request=_copy(kept).request)
        runs = self._storage.threads.setdefault(kept.run.thread_id, [])
        runs[:] = [*(one for one in runs if one.run.id != kept.run.id), given]

    async def export(self, thread_id: str, ids: Sequence[str]) -> Sequence[bytes]:
        """See `Runs`."""
        check_name(thread_id, param="thread_id")
        runs = {one.run.id: one for one in self._storage.threads.get(thread_id, [])}
        return [_line(runs[id]) for id in ids if id in runs]

    async def restore(self, thread_id: str, lines: Sequence[bytes]) -> None:
        """See `Runs`."""
        check_name(thread_id, param="thread_id")
        found = runs_in(thread_id, lines)
        runs = self._storage.threads.setdefault(thread_id, [])
        for one, values in found:
            kept = one.kept()
            given = Kept(kept.run, kept.steps, request=kept.request, whole=values)
            runs[:] = [*(other for other in runs if other.run.id != one.id), given]

    async def clear(self, thread_id: str) -> None:
        """See `Runs`."""
        for kept in self._storage.threads.pop(thread_id, []):
            await self._going.forget(kept)

    async def _begun(self, thread_id: str, body: RunRequest) -> tuple[Kept, Run]:
        await self._jan.threads.check(thread_id)
        return await _apart(self._begin(thread_id, body, once("runs.create", body, thread_id)))

    async def _begin(self, thread_id: str, body: RunRequest, asked: Once | None) -> tuple[Kept, Run]:
        async with self._storage.making:
            if asked is not None and asked.key in self._storage.answered:
                return self._repeated(asked)
            active = await self._active(thread_id)
            if active is not None:
                raise InvalidRequest(
                    f"The thread {thread_id!r} has a run that is {active.run.status}, {active.run.id!r}; wait for its "
                    "end, or cancel it.",
                    param="thread_id",
                    code="run_active",
                )
            kept = await self._made(thread_id, body)
            for said in body.additional_messages or ():
                message = Message.of(said, id=new_id("msg_"), thread_id=thread_id, created_at=now())
                await self._jan.messages.put(message)
            self._storage.threads.setdefault(thread_id, []).append(kept)
            return self._start(kept, asked)

    async def _thread_begun(self, body: ThreadRunRequest) -> tuple[Kept, Run]:
        return await _apart(self._begin_thread(body, once("runs.create_thread", body)))

    async def _begin_thread(self, body: ThreadRunRequest, asked: Once | None) -> tuple[Kept, Run]:
        asking, thread = body.run_request(), body.thread_request()
        async with self._storage.making:
            if asked is not None and asked.key in self._storage.answered:
                return self._repeated(asked)
            await self._made(None, asking, thread.model)  # what cannot be run makes no thread
            made: Thread = await self._jan.threads.create(thread)
            kept = await self._made(made.id, asking)
            kept.made = made
            self._storage.threads.setdefault(made.id, []).append(kept)
            return self._start(kept, asked)

    async def _made(self, thread_id: str | None, body: RunRequest, model: str | None = None) -> Kept:
        stronger = [body.layer(), SettingsLayer(origin="the thread of the request", values={"model": model})]
        found = await settings_of(self._jan, thread_id=thread_id, assistant_id=body.assistant_id, stronger=stronger)
        values = {name: setting.value for name, setting in found.items()}
        at = now()
        run = Run.of(
            body,
            id=new_timed_id("run_"),
            thread_id=thread_id or "",
            created_at=at,
            expires_at=at + self._expires,
            settings=values,
        )
        try:
            await self._jan.models.locate(run.model)
        except ModelNotFound as error:
            raise InvalidRequest(error.message, param="model", code=error.code) from None
        return Kept(run, parameters=values)

    def _start(self, kept: Kept, asked: Once | None) -> tuple[Kept, Run]:
        reply = _copy(kept.run)
        if asked is not None:
            self._storage.answered[asked.key] = (asked.fingerprint, kept, reply)
        kept.tell("thread.run.created", kept.run)
        kept.tell("thread.run.queued", kept.run)
        self._going.go(kept)
        return kept, _copy(reply)

    def _repeated(self, asked: Once) -> tuple[Kept, Run]:
        fingerprint, kept, reply = self._storage.answered[asked.key]
        asked.check(fingerprint)
        return kept, _copy(reply)

    async def _submitted(self, thread_id: str, run_id: str, body: ToolOutputsRequest) -> tuple[Kept, Run, int]:
        kept = await self._find(thread_id, run_id)
        outputs = [(one.tool_call_id, one.output or "") for one in body.tool_outputs]
        start = kept.given.get(tuple(sorted(outputs)))
        if start is not None:  # they came before
            return kept, _copy(kept.run), start
        start = len(kept.events)
        kept.answer(outputs)
        kept.given[tuple(sorted(outputs))] = start
        reply = _copy(kept.run)
        self._going.go(kept)
        return kept, reply, start

    async def _active(self, thread_id: str) -> Kept | None:
        for kept in self._storage.threads.get(thread_id, []):
            await self._going.expire(kept)
            if not kept.run.ended:
                return kept
        return None

    async def _find(self, thread_id: str, run_id: str) -> Kept:
        await self._jan.threads.check(thread_id)
        return await self._stored(thread_id, run_id)

    async def _stored(self, thread_id: str, run_id: str) -> Kept:
        check_name(thread_id, param="thread_id")
        check_name(run_id, param="run_id")
        for kept in self._storage.threads.get(thread_id, []):
            if kept.run.id == run_id:
                await self._going.expire(kept)
                return kept
        raise NotFound(f"There is no run {run_id!r} in the thread {thread_id!r}.", param="run_id", code="run_not_found")


async def _apart(work: Coroutine[Any, Any, T]) -> T:
    """What the work gives; it is done to its end, also where the caller goes away, and its key counts for it alone."""
    context = contextvars.copy_context()
    current = call.current()
    if current is not None:
        context.run(call.enter, replace(current, idempotency_key=None))
    return await asyncio.shield(asyncio.create_task(work, context=context))


def _line(kept: Kept) -> bytes:
    beside = {"steps": [step.model_dump(mode="json") for step in kept.steps], "request": kept.request}
    return line_of(StoredRun, kept.whole or kept.run.model_dump(mode="json") | beside)


M = TypeVar("M", bound=BaseModel)


def _copy(one: M) -> M:
    """So that nobody who changes what they got or gave changes what is stored."""
    return one.model_copy(deep=True)


@hookimpl
def settings_model() -> type[Settings]:
    """The module's settings."""
    return Settings


@hookimpl
def provide_runs(settings: Any, jan: Jan) -> RunsInMemory:
    """Build the module."""
    return RunsInMemory(jan, settings.expires_seconds)
