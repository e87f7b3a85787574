"""What an engine is to the server: a backend whose models each run in a worker process."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, ClassVar

from jan_core.backend import Engine
from jan_core.errors import Conflict, EngineError, InvalidRequest, JanError, Unavailable
from jan_workers.backend import Workers

if TYPE_CHECKING:
    from jan_core.app import Jan
    from jan_core.schemas.engines import EngineModel, Estimate
    from jan_core.schemas.models import ModelLocation
    from jan_workers.loaded import LoadedModel

PROCESS_BYTES = 64 << 20
"""A worker process without a model: Python and an engine's library."""


class WorkerEngine(Engine):
    """An engine. Its models are loaded on first use, shared by every module that asks this engine."""

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

    def estimate(self, location: ModelLocation, purpose: str = "") -> Estimate:
        """See `Engine`. An engine that knows more of its models says more than the size of their files."""
        from jan_core.schemas.engines import Estimate

        return Estimate(total=location.size + PROCESS_BYTES, parts={"weights": location.size, "process": PROCESS_BYTES})

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
            InvalidRequest: `model.json` has a bad setting, or there is no such purpose.
        """
        if purpose not in self.purposes:
            known = ", ".join(repr(one) for one in self.purposes)
            raise InvalidRequest(
                f"{self.engine} loads no model for {purpose!r}; its purposes are {known}.",
                param="purpose",
                code="invalid_value",
            )
        return self.workers.model(self, location, purpose)

    async def generate(
        self, location: ModelLocation, task: str, body: dict[str, Any], *, slots: int = 1, purpose: str = ""
    ) -> AsyncIterator[dict[str, Any]]:
        """Have a model do a task, loading it first where it is not; closing the iterator cancels.

        Args:
            location: the model.
            task: the worker's word for it, such as `chat`.
            body: what the task takes, in the engine's own format.
            slots: how many answers are computed at once, 1 to the model's slots; 0 for what is done beside them.
            purpose: see `parameters`.

        Raises:
            Busy, EngineError, InvalidRequest, Unavailable: see `LoadedModel`.
        """
        async with AsyncExitStack() as stack:
            pieces = self.model(location, purpose).generate(task, body, slots)
            stack.push_async_callback(pieces.aclose)  # type: ignore[attr-defined]
            async for piece in pieces:
                yield piece

    def loaded(self) -> list[EngineModel]:
        """See `Engine`."""
        return [shown for model in self._own() if (shown := model.shown()) is not None]

    async def load(self, location: ModelLocation, purpose: str = "") -> EngineModel:
        """See `Engine`."""
        model = self.model(location, purpose)
        await model.loaded()
        shown = model.shown()
        if shown is None:
            raise EngineError(f"The worker process of the model {location.id!r} ended as soon as it had loaded it.")
        return shown

    async def unload(self, model: str, *, purpose: str | None = None, force: bool = False) -> list[EngineModel]:
        """See `Engine`."""
        named = [one for one in self._own() if one.location.id == model and purpose in (None, one.purpose)]
        found = [(one, shown) for one in named if (shown := one.shown())]
        busy = [one for one, _ in found if one.in_use]
        if busy and not force:
            running = sum(one.slots.busy for one in busy)
            raise Conflict(
                f"The model {model!r} is in use ({running} of its slots); unload it later, or with force, "
                "which ends them with an error.",
                param="model",
                code="model_in_use",
            )
        for task in [self.workers.let_go(one) for one, _ in found]:
            await task
        return [shown for _, shown in found]

    def look_again(self) -> None:
        """See `Engine`."""
        self.workers.look_again()

    async def ready(self, remedy: str) -> None:
        """Return where one of the installed models can be loaded by this engine.

        Args:
            remedy: how to get a model for it.

        Raises:
            Unavailable: there is none (`no_model`), or none that fits into the memory for models (`no_memory`); with
                the reason, where the model nearest to it has one.
        """
        smallest: tuple[int, str] | None = None
        wrong: JanError | None = None
        for model in (await self.jan.models.list()).data:
            try:
                location = await self.jan.models.locate(model.id)
                if location.engine not in (None, self.engine):
                    continue
                need = self.estimate(location).total
            except JanError as error:
                wrong = wrong or error
                continue
            if self.workers.has_room_for(self, location, need):
                return
            smallest = min(smallest or (need, model.id), (need, model.id))
        if smallest is not None:
            raise self.workers.room.none_fits(*smallest)
        why = "is installed." if wrong is None else f"can be loaded. {wrong.message}"
        raise Unavailable(f"No model for {self.engine} {why} {remedy}", code="no_model")

    def _own(self) -> list[LoadedModel]:
        return [one for one in self.workers.all() if one.engine is self]
