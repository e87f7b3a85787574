"""The endpoint `engines`, as the kernel answers it: out of the engines that the chosen modules stand on."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from jan_core.backend import Engine
from jan_core.endpoints.engines import Engines
from jan_core.errors import InvalidRequest, ModelNotFound

if TYPE_CHECKING:
    from jan_core.app import Jan
    from jan_core.schemas.engines import EngineLoad, EngineModel, EngineModelList, EngineUnload
    from jan_core.schemas.models import ModelDeleted, ModelLocation


class RunningEngines(Engines):
    """The models in memory.

    Args:
        jan: gives the engines, and `models`, which knows each model's.
    """

    def __init__(self, jan: Jan) -> None:
        self._jan = jan

    async def list(self) -> EngineModelList:
        """See `Engines`."""
        from jan_core.schemas.engines import EngineModelList

        found = [model for engine in self._engines() for model in engine.loaded()]
        # What is at work has no `idle_since`: it comes first.
        found.sort(key=lambda one: (-(one.idle_since or 1 << 62), one.id, one.purpose))
        return EngineModelList(data=found)

    async def load(self, body: EngineLoad) -> EngineModel:
        """See `Engines`."""
        location = await self._jan.models.locate(body.model)
        return await self.engine_of(location, body.model).load(location, body.purpose)

    async def unload(self, body: EngineUnload) -> EngineModelList:
        """See `Engines`."""
        from jan_core.schemas.engines import EngineModelList

        missing: ModelNotFound | None = None
        model, only = self._jan.aliases.resolved(body.model)
        try:
            location = await self._jan.models.locate(body.model)
            if location.id == body.model:
                only = None  # an engine's name after an @ is a part of the id
            model = location.id
        except ModelNotFound as error:  # its files are gone, and it may be loaded all the same
            missing = error
        gone: list[EngineModel] = []
        for engine in self._engines():
            if only in (None, engine.engine):
                gone += await engine.unload(model, purpose=body.purpose, force=body.force)
        if missing is not None and not gone:
            raise missing
        return EngineModelList(data=gone)

    def engine_of(self, location: ModelLocation, asked: str) -> Engine:
        """The engine that runs a model: the one it names, else the first.

        Args:
            location: the model.
            asked: the name that the caller gave it, for the message.

        Raises:
            InvalidRequest: no engine here does.
        """
        engines = self._engines()
        for engine in engines:
            if location.engine in (None, engine.engine):
                return engine
        here = ", ".join(engine.engine for engine in engines) or "none"
        raise InvalidRequest(
            f"The model {asked!r} needs the engine {location.engine!r}; engines here: {here}. "
            f"{self._remedy(str(location.engine))}",
            param="model",
            code="engine_not_available",
        )

    def wrappers(self) -> Mapping[str, Callable[..., Awaitable[Any]]]:
        """What goes around the operations of `models`: a model that is deleted leaves the memory too."""
        return {"delete": self._delete}

    async def _delete(self, proceed: Callable[[str], Awaitable[ModelDeleted]], model: str) -> ModelDeleted:
        deleted = await proceed(model)
        for engine in self._engines():
            engine.look_again()
        return deleted

    def _remedy(self, wanted: str) -> str:
        """The lines of `jan.toml` that choose an engine's modules, as far as they are installed."""
        chosen = self._jan.discovery.choices()
        installed = {one.name for one in self._jan.discovery.installed["modules"]}
        found = [
            f"{name} = {json.dumps([*chosen.get(name, ([], ''))[0], f'{name}-{wanted}'])}"
            for name in self._jan.discovery.endpoints
            if f"{name}-{wanted}" in installed and self._jan.discovery.endpoints[name].several
        ]
        if found:
            return f"It is installed: write {' and '.join(found)} under [endpoints] of jan.toml."
        return "Install a module that runs it, and choose that under [endpoints] of jan.toml."

    def _engines(self) -> tuple[Engine, ...]:
        return tuple(one for one in self._jan.backends.values() if isinstance(one, Engine))
