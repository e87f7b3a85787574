"""The backend: the loaded models of one app, of all its engines."""

from __future__ import annotations

import asyncio
import os
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from jan_core.backend import Backend
from jan_workers.loaded import LoadedModel
from jan_workers.settings import WorkersSettings

if TYPE_CHECKING:
    from jan_core.schemas.models import ModelLocation
    from jan_workers.engine import WorkerEngine

Key = tuple[str, str, str]
"""Engine, path and purpose: what one worker process serves."""


class Workers(Backend):
    """Loads models on first use, each in a worker process of its own, and unloads them when idle.

    A worker that dies costs the requests it was answering; the next request starts another. A file that changed since
    it was loaded is loaded anew, while requests under way end on the old worker.
    """

    name: ClassVar[str] = "jan-workers"
    settings_model: ClassVar[type[WorkersSettings]] = WorkersSettings

    def __init__(self, settings: WorkersSettings, jan: Any) -> None:
        super().__init__(settings, jan)
        self.models: dict[Key, LoadedModel] = {}
        self._outdated: list[LoadedModel] = []
        self._sweeper: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._sweeper = asyncio.create_task(self._sweep())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
        models = [*self.models.values(), *self._outdated]
        self.models.clear()
        self._outdated.clear()
        await asyncio.gather(*(model.unload() for model in models))

    def model(self, engine: WorkerEngine, location: ModelLocation, purpose: str = "") -> LoadedModel:
        """The model at a location, in the revision that is there now; not yet loaded where nobody asked it.

        Raises:
            InvalidRequest: `model.json` has a bad setting.
        """
        key = (engine.engine, location.path, purpose)
        found = self.models.get(key)
        if found is not None and found.revision == location.revision:
            return found
        if found is not None:
            self._outdated.append(found)
        found = self.models[key] = LoadedModel(engine, location, self.settings, purpose)
        return found

    async def _sweep(self) -> None:
        """Unload what is idle, outdated, or no longer there."""
        idle = self.settings.idle_seconds
        period = min(5.0, idle / 4) if idle else 5.0
        while True:
            await asyncio.sleep(period)
            now = time.monotonic()
            for key, model in list(self.models.items()):
                if model.worker is None or model.in_use:
                    continue
                if (idle and now - model.used >= idle) or not os.path.exists(key[1]):  # noqa: ASYNC240 - microseconds
                    del self.models[key]
                    await model.unload()
            for model in [one for one in self._outdated if not one.in_use]:
                self._outdated.remove(model)
                await model.unload()
