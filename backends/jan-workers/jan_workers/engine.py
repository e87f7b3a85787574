"""What an engine is to the server: a backend whose models each run in a worker process."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, ClassVar

from jan_core.backend import Backend
from jan_workers.backend import Workers

if TYPE_CHECKING:
    from jan_core.app import Jan
    from jan_core.schemas.models import ModelLocation
    from jan_workers.loaded import LoadedModel


class WorkerEngine(Backend, ABC):
    """An engine. Its models are loaded on first use, shared by every module that asks this engine."""

    engine: ClassVar[str]
    """The engine's name, as in `model.json`."""
    worker: ClassVar[str]
    """The module that a worker process runs; its `main` runs a `Child`."""

    def __init__(self, settings: Any, jan: Jan) -> None:
        super().__init__(settings, jan)
        self.workers: Workers = jan.backend(Workers)

    @abstractmethod
    def parameters(self, location: ModelLocation, purpose: str = "") -> dict[str, Any]:
        """What a worker is told to load: JSON, with at least `path`, `context` (tokens a request) and `slots`.

        Args:
            location: the model.
            purpose: what the worker is for, where one worker cannot do everything; the engine's own word.

        Raises:
            InvalidRequest: `model.json` has a bad setting.
        """

    @property
    def check_seconds(self) -> float:
        """Longest time for a worker's look at what a model brings (its chat template), before it is loaded."""
        return 10.0

    def explain(self, lines: Sequence[str]) -> str | None:
        """Why a model did not load, out of the last lines that its worker wrote to stderr; None where they are mute."""
        return next((line.strip() for line in lines if "error" in line.lower()), None)

    def model(self, location: ModelLocation, purpose: str = "") -> LoadedModel:
        """The model at a location, in the revision that is there now; not yet loaded where nobody asked it.

        Raises:
            InvalidRequest: `model.json` has a bad setting.
        """
        return self.workers.model(self, location, purpose)

    async def generate(
        self, location: ModelLocation, task: str, body: dict[str, Any], *, slots: int = 1, purpose: str = ""
    ) -> AsyncIterator[dict[str, Any]]:
        """Have a model do a task, loading it first where it is not; closing the iterator cancels.

        Args:
            location: the model.
            task: the worker's word for it, such as `chat`.
            body: what the task takes, in the engine's own format.
            slots: how many answers are computed at once, 1 to the model's slots.
            purpose: see `parameters`.

        Raises:
            Busy, EngineError, InvalidRequest, Unavailable: see `LoadedModel`.
        """
        async with AsyncExitStack() as stack:
            pieces = self.model(location, purpose).generate(task, body, slots)
            stack.push_async_callback(pieces.aclose)  # type: ignore[attr-defined]
            async for piece in pieces:
                yield piece
