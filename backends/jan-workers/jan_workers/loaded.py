"""One model in use: its worker, its queue, and when it was last asked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from pydantic_core import to_json

from jan_core.errors import JanError
from jan_workers.process import WorkerProcess
from jan_workers.slots import Slots

if TYPE_CHECKING:
    from jan_core.schemas.models import ModelLocation
    from jan_workers.engine import WorkerEngine
    from jan_workers.settings import WorkersSettings

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
        self.slots = Slots(self.given["slots"], settings.queue, location.id)
        self.used = time.monotonic()
        self.worker: WorkerProcess | None = None
        self._loading: asyncio.Task[WorkerProcess] | None = None
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
        """True while a request runs or waits."""
        return self.slots.busy > 0 or self.slots.waiting > 0

    async def loaded(self) -> WorkerProcess:
        """The running worker; started if there is none. However many ask, it is started once.

        Raises:
            InvalidRequest, Unavailable: it cannot be loaded.
        """
        if self.worker is not None and self.worker.alive:
            return self.worker
        if self._failed is not None and time.monotonic() - self._failed[0] < RETRY_SECONDS:
            raise self._failed[1].with_traceback(None)
        if self._loading is None:
            self._loading = asyncio.create_task(self._load())
            self._loading.add_done_callback(_look_at)
        return await asyncio.shield(self._loading)

    async def _load(self) -> WorkerProcess:
        worker = WorkerProcess(self.engine.worker, self.location.id, self.location.path, self.engine.explain)
        try:
            self.worker = worker
            await worker.start(
                self.given, check_seconds=self.engine.check_seconds, load_seconds=self.settings.load_seconds
            )
        except JanError as error:
            self._failed = (time.monotonic(), error)
            raise
        finally:
            self._loading = None
        self._failed = None
        return worker

    async def generate(self, task: str, body: dict[str, Any], slots: int = 1) -> AsyncIterator[dict[str, Any]]:
        """Run one request through the queue and the worker.

        Args:
            task: the worker's word for what to do, such as `chat`.
            body: what the task takes, in the engine's own format.
            slots: how many answers are computed at once, 1 to the model's slots.

        Raises:
            Busy: the queue is full.
            EngineError: the worker died; the next request starts another.
        """
        self.used = time.monotonic()
        await self.slots.take(slots)
        began = time.monotonic()
        given_back = False

        def give_back() -> None:
            nonlocal given_back
            if not given_back:
                given_back = True
                self.used = time.monotonic()
                self.slots.give_back(slots, self.used - began)

        try:
            worker = await self.loaded()
        except BaseException:
            give_back()
            raise
        generation = worker.generate(task, to_json(body), give_back)
        async with AsyncExitStack() as stack:
            pieces = generation.pieces()
            stack.push_async_callback(pieces.aclose)  # type: ignore[attr-defined]
            async for piece in pieces:
                yield piece

    async def unload(self) -> None:
        """End the worker, and with it whatever it was answering."""
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.wait({self._loading})
        worker, self.worker = self.worker, None
        if worker is not None:
            await worker.stop()


def _look_at(task: asyncio.Task[WorkerProcess]) -> None:
    """Take note of a failed load's error, also where everybody who asked has left."""
    if not task.cancelled():
        task.exception()
