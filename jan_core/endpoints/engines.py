"""`/engines/…`: the models in memory. Jan's own; OpenAI has nothing like it."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from jan_core.endpoint import Endpoint, operation

if TYPE_CHECKING:
    from jan_core.schemas.engines import EngineLoad, EngineModel, EngineModelList, EngineUnload


class Engines(Endpoint):
    """The models that engines hold in memory.

    Nobody has to call this: a model is loaded by the first request that names it. The kernel itself answers, out of
    the engines that the chosen modules stand on.
    """

    name: ClassVar[str] = "engines"
    schemas: ClassVar[str] = "jan_core.schemas.engines"

    @operation("GET /engines/models")
    @abstractmethod
    async def list(self) -> EngineModelList:
        """List the models that are in memory, or on the way there, with what they use and do."""

    @operation("POST /engines/load")
    @abstractmethod
    async def load(self, body: EngineLoad) -> EngineModel:
        """Load a model ahead of its first request; answered when it is there, at once where it was there already.

        Raises:
            ModelNotFound: no installed model has the id `body.model`.
            InvalidRequest: it cannot be loaded, no engine here runs it (`engine_not_available`), or it needs more
                memory than there is for models (`model_too_large`).
            Unavailable: it did not load in time, or other models need the memory (`no_memory_free`).
        """

    @operation("POST /engines/unload")
    @abstractmethod
    async def unload(self, body: EngineUnload) -> EngineModelList:
        """Take a model out of memory; the reply lists what was unloaded, nothing where it was not loaded.

        Raises:
            ModelNotFound: no installed and no loaded model has the id `body.model`.
            Conflict: it is in use (`model_in_use`); `force` ends what it is answering.
        """
