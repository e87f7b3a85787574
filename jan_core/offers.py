"""Models without a file here, which an engine knows on other servers: a layer around `models`, where both are one list.

An installed model comes before one of the same id elsewhere; `model@engine` picks.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from jan_core.backend import Engine
from jan_core.errors import JanError, ModelNotFound, NotSupported

if TYPE_CHECKING:
    from jan_core.app import Jan
    from jan_core.schemas.models import Model, ModelDeleted, ModelList, ModelLocation

T = TypeVar("T")

TRUSTED = 2.0
"""Seconds for which a look in vain for an installed model is believed: it costs more than one that finds."""
REMEMBERED = 4096
"""Ids of which that is remembered."""


class Offers:
    """The layer of one app.

    Args:
        jan: gives the engines.
    """

    def __init__(self, jan: Jan) -> None:
        self._jan = jan
        self._began = int(time.time())
        self._not_here: dict[str, float] = {}

    def wrappers(self) -> Mapping[str, Callable[..., Awaitable[Any]]]:
        """What goes around the operations of `models`, by name."""
        return {"list": self._list, "retrieve": self._retrieve, "locate": self._locate, "delete": self._delete}

    async def _list(self, proceed: Callable[[], Awaitable[ModelList]]) -> ModelList:
        listed = await proceed()
        for engine in self._engines():
            if names := await engine.offered():
                known = {one.id for one in listed.data}
                listed.data += [self._model(engine, name) for name in names if name not in known]
                listed.data.sort(key=lambda one: one.id)
        return listed

    async def _retrieve(self, proceed: Callable[[str], Awaitable[Model]], model: str) -> Model:
        found = await self._find(proceed, model)
        return self._model(found, model) if isinstance(found, Engine) else found

    async def _locate(self, proceed: Callable[[str], Awaitable[ModelLocation]], model: str) -> ModelLocation:
        found = await self._find(proceed, model)
        if not isinstance(found, Engine):
            return found
        from jan_core.schemas.models import ModelLocation

        return ModelLocation(id=model, engine=found.engine, path="", size=0, revision="")

    async def _delete(self, proceed: Callable[[str], Awaitable[ModelDeleted]], model: str) -> ModelDeleted:
        try:
            return await proceed(model)
        except JanError as error:
            engine = await self._offering(model) if _is_none(error) else None
            if engine is None:
                raise
        raise NotSupported(f"The model {model!r} is on another server; it is deleted there.", param="model")

    async def _find(self, ask: Callable[[str], Awaitable[T]], model: str) -> T | Engine:
        """The installed model, or the engine that has one of this id elsewhere."""
        until = self._not_here.get(model, 0.0)
        if until > time.monotonic() and (engine := await self._offering(model)) is not None:
            return engine
        try:
            return await ask(model)
        except JanError as error:
            engine = await self._offering(model) if _is_none(error) else None
            if engine is None:
                raise
        if len(self._not_here) >= REMEMBERED:
            self._not_here.clear()
        self._not_here[model] = time.monotonic() + TRUSTED
        return engine

    async def _offering(self, model: str) -> Engine | None:
        for engine in self._engines():
            if model in await engine.offered():
                return engine
        return None

    def _model(self, engine: Engine, name: str) -> Model:
        from jan_core.schemas.models import Model

        return Model(id=name, created=self._began, owned_by=engine.engine)

    def _engines(self) -> list[Engine]:
        return [one for one in self._jan.backends.values() if isinstance(one, Engine)]


def _is_none(error: JanError) -> bool:
    """True where the error says that there is no model of this id, or that there can be none."""
    return isinstance(error, ModelNotFound) or error.code == "invalid_id"
