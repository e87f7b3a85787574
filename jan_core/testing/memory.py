"""Reference implementations in memory: the plainest code that keeps an endpoint's promises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jan_core.endpoints.models import Models
from jan_core.errors import ModelNotFound
from jan_core.hookspecs import hookimpl
from jan_core.schemas.models import Model, ModelDeleted, ModelList, ModelLocation

if TYPE_CHECKING:
    from jan_core.app import Jan


class ModelsInMemory(Models):
    """Models that are names only.

    Args:
        engines: id to engine.
    """

    def __init__(self, engines: dict[str, str | None] | None = None) -> None:
        self.engines = {"scripted": "scripted"} if engines is None else engines

    async def list(self) -> ModelList:
        """See `Models`."""
        return ModelList(data=[self._model(name) for name in sorted(self.engines)])

    async def retrieve(self, model: str) -> Model:
        """See `Models`."""
        self._check(model)
        return self._model(model)

    async def delete(self, model: str) -> ModelDeleted:
        """See `Models`."""
        self._check(model)
        del self.engines[model]
        return ModelDeleted(id=model, deleted=True)

    async def locate(self, model: str) -> ModelLocation:
        """See `Models`."""
        self._check(model)
        return ModelLocation(id=model, engine=self.engines[model], path=f"/nowhere/{model}", size=0, revision="1")

    def _check(self, model: str) -> None:
        if model not in self.engines:
            raise ModelNotFound(f"There is no model {model!r}; there are: {', '.join(self.engines)}.", param="model")

    @staticmethod
    def _model(name: str) -> Model:
        return Model(id=name, created=0, owned_by="memory")


@hookimpl
def provide_models(settings: Any, jan: Jan) -> ModelsInMemory:
    """Build the module."""
    return ModelsInMemory()
