"""Reference implementations in memory: the plainest code that keeps an endpoint's promises."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from jan_core.endpoints.models import Models
from jan_core.errors import InvalidRequest, ModelNotFound
from jan_core.hookspecs import hookimpl
from jan_core.schemas.models import Model, ModelDeleted, ModelList, ModelLocation

if TYPE_CHECKING:
    from jan_core.app import Jan


class Names(dict[str, str | None]):
    """Id to engine.

    Attributes:
        versions: of each model, where it is not the first.
        damaged: those that cannot be used.
        locations: where those are that have files, and are no mere names.
    """

    def __init__(self, engines: dict[str, str | None]) -> None:
        super().__init__(engines)
        self.versions: dict[str, int] = {}
        self.damaged: set[str] = set()
        self.locations: dict[str, ModelLocation] = {}


_NAMES: WeakValueDictionary[Path, Names] = WeakValueDictionary()


def names_of(root: Path) -> Names:
    """The models that the apps on a root share, as long as one of these lives."""
    return _NAMES.setdefault(root, Names({"scripted": "scripted"}))


class ModelsInMemory(Models):
    """Models that are names only, unless they were given a location.

    Args:
        engines: id to engine.
    """

    def __init__(self, engines: dict[str, str | None] | None = None) -> None:
        if engines is None:
            engines = {"scripted": "scripted"}
        self.engines = engines if isinstance(engines, Names) else Names(engines)

    async def list(self) -> ModelList:
        """See `Models`."""
        return ModelList(data=[self._model(name) for name in sorted(self.engines)])

    async def retrieve(self, model: str) -> Model:
        """See `Models`."""
        self._check(model)
        return self._model(model)

    async def delete(self, model: str) -> ModelDeleted:
        """See `Models`."""
        self._check(model, damaged=True)
        del self.engines[model]
        return ModelDeleted(id=model, deleted=True)

    async def locate(self, model: str) -> ModelLocation:
        """See `Models`."""
        self._check(model)
        if model in self.engines.locations:
            return self.engines.locations[model].model_copy(deep=True)
        revision = f"{self.engines.versions.get(model, 0)}"
        path = f"/nowhere/{model}"
        return ModelLocation(id=model, engine=self.engines[model], path=path, size=0, revision=revision)

    def _check(self, model: str, *, damaged: bool = False) -> None:
        if model not in self.engines:
            raise ModelNotFound(f"There is no model {model!r}; there are: {', '.join(self.engines)}.", param="model")
        if model in self.engines.damaged and not damaged:
            raise InvalidRequest(f"The model {model!r} is damaged.", param="model", code="model_unusable")

    @staticmethod
    def _model(name: str) -> Model:
        return Model(id=name, created=0, owned_by="memory")


@hookimpl
def provide_models(settings: Any, jan: Jan) -> ModelsInMemory:
    """Build the module."""
    return ModelsInMemory(names_of(jan.root))
