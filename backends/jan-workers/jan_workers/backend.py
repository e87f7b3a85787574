"""The backend: the loaded models of one app, of all its engines."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from jan_core.backend import Backend
from jan_core.errors import JanError
from jan_workers.loaded import LoadedModel
from jan_workers.memory import machine_memory
from jan_workers.room import MIB, Room
from jan_workers.settings import WorkersSettings

if TYPE_CHECKING:
    from jan_core.schemas.models import ModelLocation
    from jan_workers.engine import WorkerEngine

Key = tuple[str, str, str]
"""Engine, path and purpose: what one worker process serves."""

SHARE = 0.8
"""Of the machine's memory, what models may take where nobody says."""
SWEEP_SECONDS = 5.0
"""How often models are looked at whose time has not come."""

log = logging.getLogger("jan")


class Workers(Backend):
    """Loads models on first use, each in a worker process of its own, and unloads them when idle.

    A worker that dies costs the requests it was answering; the next request starts another. A file that changed since
    it was loaded is loaded anew, while requests under way end on the old worker. All of them share `room`: for a model
    that needs more than is free, idle ones go.
    """

    name: ClassVar[str] = "jan-workers"
    settings_model: ClassVar[type[WorkersSettings]] = WorkersSettings

    def __init__(self, settings: WorkersSettings, jan: Any) -> None:
        super().__init__(settings, jan)
        self.models: dict[Key, LoadedModel] = {}
        self.pinned: set[str] = set(settings.pinned)
        self.room = Room(_budget(settings), settings.wait_seconds, self.let_go)
        self._outdated: list[LoadedModel] = []
        self._sweeper: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._soon = asyncio.Event()

    async def serving(self) -> None:
        """Begin to load the pinned models, one after another."""
        if self.settings.pinned:
            self._keep(asyncio.create_task(self._load_pinned()))

    async def __aenter__(self) -> Self:
        self._sweeper = asyncio.create_task(self._sweep())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
        models = self.all()
        self.models.clear()
        self._outdated.clear()
        await asyncio.gather(*(model.unload() for model in models))
        if self._tasks:
            await asyncio.wait(self._tasks)

    def model(self, engine: WorkerEngine, location: ModelLocation, purpose: str = "") -> LoadedModel:
        """The model at a location, in the revision that is there now; not yet loaded where nobody asked it.

        Raises:
            InvalidRequest: `model.json` has a bad setting.
        """
        key = (engine.engine, location.path, purpose)
        found = self.models.get(key)
        if found is not None and found.revision == location.revision:
            return found
        made = LoadedModel(engine, location, self.settings, purpose)
        if found is not None and found.in_use:
            self._outdated.append(found)
        elif found is not None:
            self.let_go(found)
        self.models[key] = made
        return made

    def all(self) -> list[LoadedModel]:
        """Every model that is loaded or about to be, those whose file has changed since included."""
        return [*self.models.values(), *self._outdated]

    def let_go(self, model: LoadedModel) -> asyncio.Task[None]:
        """Forget a model, so that a request for it begins anew, and begin to unload it; returns the task that does."""
        for key, one in list(self.models.items()):
            if one is model:
                del self.models[key]
        if model in self._outdated:
            self._outdated.remove(model)
        return self._keep(asyncio.create_task(model.unload()))

    def look_again(self) -> None:
        """Let go of the models whose files have gone: at once, or when they have answered what they are at."""
        for model in self.all():
            if not model.in_use and _has_gone(model):
                self.let_go(model)

    def has_room_for(self, engine: WorkerEngine, location: ModelLocation, need: int) -> bool:
        """Whether a model is loaded, or can be while no other is in use; `need` is in bytes."""
        found = self.models.get((engine.engine, location.path, ""))
        return need <= self.room.most or (found is not None and found.state == "loaded")

    def became_idle(self, model: LoadedModel) -> None:
        """Called by a model when its last request has ended."""
        if model in self._outdated or _has_gone(model):
            self.let_go(model)
            return
        self.room.changed()
        leaves_at = model.leaves_at
        if leaves_at is None:
            return
        if model.keep_alive == 0:
            self.let_go(model)
        elif model.keep_alive < SWEEP_SECONDS:
            self._soon.set()

    def _keep(self, task: asyncio.Task[None]) -> asyncio.Task[None]:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _load_pinned(self) -> None:
        from jan_core.schemas.engines import EngineLoad

        for name in self.settings.pinned:
            try:
                self.pinned.add((await self.jan.models.locate(name)).id)
                await self.jan.engines.load(EngineLoad(model=name))
            except JanError as error:
                log.warning("the pinned model %r was not loaded: %s", name, error.message)

    async def _sweep(self) -> None:
        """Unload what is idle, outdated, or no longer there, and end what hangs."""
        looked = time.monotonic()
        while True:
            times = [leaves_at for model in self.models.values() if (leaves_at := model.leaves_at) is not None]
            period = min(SWEEP_SECONDS, self.settings.hang_seconds / 4)
            pause = min(period, max(0.02, min(times, default=looked + period) - time.monotonic()))
            try:
                await asyncio.wait_for(self._soon.wait(), pause)
            except TimeoutError:
                pass
            self._soon.clear()
            now = time.monotonic()
            # After the machine has slept, the time that passed is nobody's silence.
            passed, looked = min(now - looked, period), now
            for model in list(self.models.values()):
                if model.worker is None or model.in_use:
                    continue
                leaves_at = model.leaves_at
                if (leaves_at is not None and now >= leaves_at) or _has_gone(model):
                    self.let_go(model)
            for model in self.all():
                if model.worker is not None:
                    model.worker.look(passed, self.settings.hang_seconds)


def _has_gone(model: LoadedModel) -> bool:
    return not os.path.exists(model.location.path)


def _budget(settings: WorkersSettings) -> int | None:
    if settings.memory_mib:
        return settings.memory_mib * MIB
    known = machine_memory()
    return None if known is None else int(known * SHARE)
