"""The backend: the loaded models of one app, shared by every module that asks llama.cpp."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from jan_core.backend import Backend
from jan_llamacpp.models import LoadedModel
from jan_llamacpp.settings import LlamaCppSettings

if TYPE_CHECKING:
    from jan_core.schemas.models import ModelLocation


class LlamaCpp(Backend):
    """Loads models on first use, each in a worker process of its own, and unloads them when idle.

    A worker that dies costs the requests it was answering; the next request starts another. A file that changed since
    it was loaded is loaded anew, while requests under way end on the old worker.
    """

    name: ClassVar[str] = "jan-llamacpp"
    settings_model: ClassVar[type[LlamaCppSettings]] = LlamaCppSettings

    def __init__(self, settings: LlamaCppSettings, jan: Any) -> None:
        super().__init__(settings, jan)
        self.models: dict[str, LoadedModel] = {}
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

    def model(self, location: ModelLocation) -> LoadedModel:
        """The model at a location, in the revision that is there now; not yet loaded where nobody asked it.

        Raises:
            InvalidRequest: `model.json` has a bad setting.
        """
        found = self.models.get(location.path)
        if found is not None and found.revision == location.revision:
            return found
        if found is not None:
            self._outdated.append(found)
        found = self.models[location.path] = LoadedModel(location, self.settings)
        return found

    async def generate(
        self, location: ModelLocation, body: dict[str, Any], choices: int = 1
    ) -> AsyncIterator[dict[str, Any]]:
        """Answer a request on a model, loading it first where it is not; closing the iterator cancels.

        Args:
            location: the model.
            body: a chat completion request in llama.cpp's server format, with `stream` true.
            choices: its `n`, 1 to the model's slots.

        Raises:
            Busy, EngineError, InvalidRequest, Unavailable: see `LoadedModel`.
        """
        async with AsyncExitStack() as stack:
            pieces = self.model(location).generate(body, choices)
            stack.push_async_callback(pieces.aclose)  # type: ignore[attr-defined]
            async for piece in pieces:
                yield piece

    async def _sweep(self) -> None:
        """Unload what is idle, outdated, or no longer there."""
        idle = self.settings.idle_seconds
        period = min(5.0, idle / 4) if idle else 5.0
        while True:
            await asyncio.sleep(period)
            now = time.monotonic()
            for path, model in list(self.models.items()):
                if model.worker is None or model.in_use:
                    continue
                if (idle and now - model.used >= idle) or not os.path.exists(path):  # noqa: ASYNC240 - microseconds
                    del self.models[path]
                    await model.unload()
            for model in [one for one in self._outdated if not one.in_use]:
                self._outdated.remove(model)
                await model.unload()
