"""One model in use: its worker, its queue, and when it was last asked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from pydantic_core import to_json

from jan_core.errors import InvalidRequest, JanError
from jan_llamacpp.process import WorkerProcess
from jan_llamacpp.slots import Slots
from jan_llamacpp.threads import default_threads

if TYPE_CHECKING:
    from jan_core.schemas.models import ModelLocation
    from jan_llamacpp.settings import LlamaCppSettings

RETRY_SECONDS = 5.0
"""A model that failed to load is not tried again sooner, unless its file changed."""


class LoadedModel:
    """A model that is loaded, or is about to be.

    Args:
        location: where it is.
        settings: the backend's settings; `location.settings` overrides them.

    Raises:
        InvalidRequest: `model.json` has a setting of a wrong type or out of range.
    """

    def __init__(self, location: ModelLocation, settings: LlamaCppSettings) -> None:
        self.location = location
        self.settings = settings
        self.given = load_parameters(location, settings)
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
        worker = WorkerProcess(self.location.id, self.location.path)
        try:
            self.worker = worker
            await worker.start(
                self.given,
                template_seconds=self.settings.template_seconds,
                load_seconds=self.settings.load_seconds,
            )
        except JanError as error:
            self._failed = (time.monotonic(), error)
            raise
        finally:
            self._loading = None
        self._failed = None
        return worker

    async def generate(self, body: dict[str, Any], choices: int) -> AsyncIterator[dict[str, Any]]:
        """Run one request through the queue and the worker.

        Args:
            body: the engine's request.
            choices: how many slots it takes, 1 to the model's slots.

        Raises:
            Busy: the queue is full.
            EngineError: the worker died; the next request starts another.
        """
        self.used = time.monotonic()
        await self.slots.take(choices)
        began = time.monotonic()
        given_back = False

        def give_back() -> None:
            nonlocal given_back
            if not given_back:
                given_back = True
                self.used = time.monotonic()
                self.slots.give_back(choices, self.used - began)

        try:
            worker = await self.loaded()
        except BaseException:
            give_back()
            raise
        generation = worker.generate(to_json(body), give_back)
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


def load_parameters(location: ModelLocation, settings: LlamaCppSettings) -> dict[str, Any]:
    """What a worker is told to load: model.json's settings over the backend's, checked.

    Raises:
        InvalidRequest: a setting in `model.json` has a wrong type or is out of range.
    """
    metadata = location.metadata
    own = metadata.get("context_length")
    context = _whole(location, "ctx_len", 256, 1 << 24, settings.context)  # the engine rounds less up to that
    if isinstance(own, int) and own > 0:
        context = min(context, own)
    template = location.settings.get("chat_template")
    if template is not None and not isinstance(template, str):
        raise _bad(location, "chat_template", "a string")
    return {
        "path": location.path,
        "mmproj": location.mmproj,
        "context": context,
        "slots": _whole(location, "n_parallel", 1, 64, settings.slots),
        "batch": settings.batch,
        "gpu_layers": _whole(location, "ngl", -1, 10_000, settings.gpu_layers),
        "threads": settings.threads or default_threads(),
        "prompt_cache_mib": settings.prompt_cache_mib,
        "chat_template": template or metadata.get("chat_template"),
        "chat_template_override": template,
    }


def _whole(location: ModelLocation, name: str, low: int, high: int, default: int) -> int:
    value = location.settings.get(name, default)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise _bad(location, name, f"a whole number from {low} to {high}")
    return value


def _bad(location: ModelLocation, name: str, allowed: str) -> InvalidRequest:
    return InvalidRequest(
        f"model.json of {location.id!r}: settings.{name} must be {allowed}; mend it in the model's folder.",
        param="model",
        code="bad_model_settings",
    )
