"""One model in use: its worker, its queue, and when it was last asked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from pydantic_core import to_json

from jan_core import call
from jan_core.errors import EngineError, InvalidRequest, JanError
from jan_workers.memory import process_memory
from jan_workers.model_json import template_at
from jan_workers.process import NeverTaken, WorkerProcess
from jan_workers.settings import LONGEST
from jan_workers.slots import Slots

if TYPE_CHECKING:
    from jan_core.schemas.engines import EngineModel
    from jan_core.schemas.models import ModelLocation
    from jan_workers.engine import WorkerEngine
    from jan_workers.settings import WorkersSettings

ATTEMPTS = 3
"""Workers that a request may find dead before one of them has read it."""
RETRY_SECONDS = 5.0
"""A model that failed to load is not tried again sooner, unless its file changed."""


class LoadedModel:
    """A model that is loaded, or is about to be.

    Args:
        engine: what runs it.
        location: where it is.
        settings: how loaded models share the machine.
        purpose: what its worker is for; the engine's own word.

    Raises:
        InvalidRequest: `model.json` has a setting of a wrong type or out of range.
    """

    def __init__(
        self, engine: WorkerEngine, location: ModelLocation, settings: WorkersSettings, purpose: str = ""
    ) -> None:
        self.engine = engine
        self.location = location
        self.settings = settings
        self.purpose = purpose
        self.given = engine.parameters(location, purpose)
        self.estimate = engine.estimate(location, purpose)
        self.keep_alive = _keep_alive(location, settings)
        self.slots = Slots(self.given["slots"], settings.queue, location.id)
        self.beside = Slots(self.given["slots"], settings.queue, location.id)
        """What needs no slot, such as counting tokens, has a queue of its own: it does not wait for answers."""
        self.used = time.monotonic()
        self.worker: WorkerProcess | None = None
        self._workers = engine.workers
        self._loading: asyncio.Task[WorkerProcess] | None = None
        self._admitted = False
        self._askers = 0
        self._unused = False  # loaded ahead of its first request
        self._failed: tuple[float, JanError] | None = None

    @property
    def revision(self) -> str:
        """What was loaded; another revision of the model needs another object."""
        return self.location.revision

    @property
    def context(self) -> int:
        """Tokens a request may have, prompt and answer together."""
        return int(self.given["context"])

    @property
    def in_use(self) -> bool:
        """True while a request runs or waits, and while it is being loaded."""
        return self._loading is not None or any(one.busy or one.waiting for one in (self.slots, self.beside))

    @property
    def pinned(self) -> bool:
        """True where nothing unloads it for being idle or to make room."""
        return self.location.id in self._workers.pinned

    @property
    def leaves_at(self) -> float | None:
        """When it is unloaded if nobody asks it before, on the monotonic clock; None where it stays."""
        stays = self.pinned or self.keep_alive < 0 or self.in_use or self.worker is None
        stays = stays or (self._unused and self.keep_alive == 0)
        return None if stays else self.used + self.keep_alive

    @property
    def state(self) -> Literal["waiting", "loading", "loaded"] | None:
        """Where it is on its way into memory; None where nobody asked for it, or it is there no more."""
        if self._loading is not None:
            return "loading" if self._admitted else "waiting"
        return "loaded" if self.worker is not None and self.worker.alive else None

    def shown(self) -> EngineModel | None:
        """What `GET /engines/models` tells of it; None where it is neither loaded nor about to be."""
        from jan_core.schemas.engines import EngineModel

        state = self.state
        if state is None:
            return None
        pid = self.worker.pid if self.worker is not None else None
        clock = time.time() - time.monotonic()
        leaves_at = self.leaves_at
        return EngineModel(
            id=self.location.id,
            engine=self.engine.engine,
            purpose=self.purpose,
            state=state,
            pid=pid,
            memory=process_memory(pid) if pid is not None else None,
            estimated=self.estimate.total,
            context=self.context,
            slots=self.slots.count,
            busy=self.slots.busy,
            waiting=self.slots.waiting,
            pinned=self.pinned,
            idle_since=None if self.in_use else round(self.used + clock),
            until=None if leaves_at is None else round(leaves_at + clock),
        )

    async def loaded(self) -> WorkerProcess:
        """The running worker; started if there is none. However many ask, it is started once.

        Raises:
            InvalidRequest, Unavailable: it cannot be loaded.
            EngineError: it was unloaded while it was loading.
        """
        if self.worker is not None and self.worker.alive and self._loading is None:
            return self.worker
        if self._failed is not None and time.monotonic() - self._failed[0] < RETRY_SECONDS:
            raise self._failed[1].with_traceback(None)
        loading = self._loading
        if loading is None:
            loading = self._loading = asyncio.create_task(self._load())
            loading.add_done_callback(_look_at)
        self._askers += 1
        try:
            return await asyncio.shield(loading)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if loading.cancelled() and not (task is not None and task.cancelling()):
                raise EngineError(f"The model {self.location.id!r} was unloaded while it was loading.") from None
            raise
        finally:
            self._askers -= 1
            if not self._askers and not self._admitted and not loading.done():
                loading.cancel()  # nobody waits for it any more, so that others need not make room
            elif not self._askers and self.state == "loaded":
                self._became_idle()  # where it was loaded ahead of its first request

    async def _load(self) -> WorkerProcess:
        room = self._workers.room
        self._admitted = False
        worker = None
        room.leave(self)  # a worker that died, and whose end was not told yet
        try:
            await room.take(self, self.estimate)
            self._admitted = True
            worker = WorkerProcess(
                self.engine.worker,
                self.location.id,
                self.location.path,
                self.engine.explain,
                template_at(self.location),
            )
            worker.on_gone = partial(self._gone, worker)
            self.worker = worker
            await worker.start(
                self.given, check_seconds=self.engine.check_seconds, load_seconds=self.settings.load_seconds
            )
        except BaseException as error:
            if worker is not None:
                await worker.stop()  # its memory is not free before
            room.leave(self)
            if isinstance(error, JanError):
                self._failed = (time.monotonic(), error)
            raise
        finally:
            self._loading = None
        self._failed = None
        self.used = time.monotonic()
        self._unused = self.slots.busy == 0
        if not self._askers:
            self._became_idle()
        return worker

    async def generate(self, task: str, body: dict[str, Any], slots: int = 1) -> AsyncIterator[dict[str, Any]]:
        """Run one request through the queue and the worker.

        Args:
            task: the worker's word for what to do, such as `chat`.
            body: what the task takes, in the engine's own format.
            slots: how many answers are computed at once, 1 to the model's slots; 0 where no answer is, such as where
                tokens are counted: it is done beside the answers under way.

        Raises:
            Busy: the queue is full.
            EngineError: the worker died; the next request starts another.
        """
        self.used = time.monotonic()
        queue, taken = (self.slots, slots) if slots else (self.beside, 1)
        await queue.take(taken)
        began = time.monotonic()
        given_back = False

        def give_back() -> None:
            nonlocal given_back
            if not given_back:
                given_back = True
                self.used = time.monotonic()
                self._unused = False
                queue.give_back(taken, self.used - began)
                self._became_idle()

        told = to_json(body)
        for attempt in range(ATTEMPTS):
            try:
                worker = await self.loaded()
            except BaseException:
                give_back()
                raise
            if slots:
                call.begun()
            generation = worker.generate(task, told, give_back)
            try:
                async with AsyncExitStack() as stack:
                    pieces = generation.pieces()
                    stack.push_async_callback(pieces.aclose)  # type: ignore[attr-defined]
                    async for piece in pieces:
                        yield piece
                return
            except NeverTaken:
                worker.alive = False
                if attempt + 1 == ATTEMPTS:
                    give_back()
                    raise worker.died() from None

    async def unload(self) -> None:
        """End the worker, and with it whatever it was answering."""
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.wait({self._loading})
        worker, self.worker = self.worker, None
        if worker is not None:
            await worker.stop()
        self._workers.room.leave(self)

    def _became_idle(self) -> None:
        if not self.in_use:
            self._workers.became_idle(self)

    def _gone(self, worker: WorkerProcess) -> None:
        """The process has ended, by itself or not: its memory is free."""
        if self.worker is worker and self._loading is None:
            self._workers.room.leave(self)


def _keep_alive(location: ModelLocation, settings: WorkersSettings) -> float:
    value = location.settings.get("keep_alive")
    if value is None:
        return settings.keep_alive
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -1 <= value <= LONGEST:
        raise InvalidRequest(
            f"model.json of {location.id!r}: settings.keep_alive must be a number of seconds from -1 (never unload) to "
            f"{LONGEST}; mend it in the model's folder.",
            param="model",
            code="bad_model_settings",
        )
    return float(value)


def _look_at(task: asyncio.Task[WorkerProcess]) -> None:
    """Take note of a failed load's error, also where everybody who asked has left."""
    if not task.cancelled():
        task.exception()
