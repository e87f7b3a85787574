"""Further names of models: the aliases of `jan.toml`, and `model@engine`.

They are one layer around `models`, inside the plugins' layers: a plugin sees the name that the caller gave, and so do
replies and the log; an engine sees the model itself. The first of these that fits holds: a model with exactly this id,
an alias, `model@engine`. An alias may lead to another alias, and to `model@engine`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from jan_core.errors import InvalidRequest, JanError, ModelNotFound
from jan_core.refusal import Refusal

if TYPE_CHECKING:
    from jan_core.config import Config
    from jan_core.schemas.models import Model, ModelDeleted, ModelList, ModelLocation

T = TypeVar("T")

DEEPEST = 8
"""Aliases that may lead to one another."""
TRUSTED = 2.0
"""Seconds for which a look in vain for a model of an alias's name is believed: it costs more than one that finds."""
_ENGINE = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class Aliases:
    """The table `[aliases]`, and what it does to the operations of `models`.

    Args:
        config: gives the table.
        engines: returns the names of the engines that are served.

    Raises:
        Refusal: an alias is no name, leads nowhere, or leads to itself.
    """

    def __init__(self, config: Config, engines: Callable[[], Collection[str]] = tuple) -> None:
        self.targets: dict[str, str] = {}
        self.hidden: frozenset[str] = frozenset()
        """Aliases that do nothing, since a model has that id; as of the last listing."""
        self._config = config
        self._engines = engines
        self._no_models: dict[str, float] = {}
        for alias, value in config.tables.get("aliases", {}).items():
            asked = f"[aliases] {alias} = {value.value!r} ({value.origin})"
            if isinstance(value.value, dict):
                raise Refusal(asked, "a name with dots must stand in quotes", 'Write "gpt-3.5-turbo" = "…".')
            if not isinstance(value.value, str) or not value.value or not alias.strip():
                raise Refusal(asked, "an alias leads to a model's id", f'Write "{alias}" = "smollm2-135m-instruct".')
            self.targets[alias] = value.value
        for alias in self.targets:
            self._check(alias)

    def wrappers(self) -> Mapping[str, Callable[..., Awaitable[Any]]]:
        """What goes around the operations of `models`, by name."""
        return {"list": self._list, "retrieve": self._retrieve, "delete": self._delete, "locate": self._locate}

    def check(self, engines: Collection[str]) -> None:
        """Look for aliases that would hide the way to pick one of these engines.

        Raises:
            Refusal: there is one.
        """
        for alias, target in self.targets.items():
            base, engine = _split(alias)
            if engine in engines:
                raise Refusal(
                    f"[aliases] {alias} = {target!r} ({self.origin(alias)})",
                    f"{alias!r} stands for the model {base!r} on the engine {engine!r} already",
                    f"Give it a name that does not end in @{engine}.",
                )

    def resolved(self, name: str) -> tuple[str, str | None]:
        """The model that a name leads to, and the engine that it picks (None: the model's own).

        That is so unless a model has the name itself, which takes a look at the models.
        """
        for _ in range(DEEPEST):
            if name not in self.targets:
                break
            name = self.targets[name]
        base, engine = _split(name)
        return (name, None) if base is None else (base, engine)

    def origin(self, alias: str) -> str:
        """Where an alias stands, for a message."""
        return self._config.where("aliases", alias)

    def _check(self, alias: str) -> None:
        steps = [alias]
        while (following := self._next(steps[-1])) is not None:
            asked = f"[aliases] {alias} = {self.targets[alias]!r} ({self.origin(alias)})"
            if following in steps:
                raise Refusal(asked, f"it leads to itself: {' -> '.join([*steps, following])}", "Change one of them.")
            steps.append(following)
            if len(steps) > 2 * DEEPEST:
                raise Refusal(asked, f"it leads on more than {DEEPEST} times", "Let it name the model itself.")

    def _next(self, name: str) -> str | None:
        """The name to look for where there is no model of this id; None where that is all."""
        return self.targets.get(name) or _split(name)[0]

    async def _find(self, ask: Callable[[str], Awaitable[T]], name: str, *, picks: bool = True) -> tuple[T, str | None]:
        """What `ask` answers for the model of this name, and the engine that the name picks, where it may pick one."""
        target = self.targets.get(name)
        base, engine = _split(name) if picks and target is None else (None, None)
        if target is None or time.monotonic() >= self._no_models.get(name, 0.0):
            try:
                return await ask(name), None
            except (ModelNotFound, InvalidRequest) as error:
                if not _is_none(error) or (target is None and base is None):
                    raise
                if target is not None:
                    self._no_models[name] = time.monotonic() + TRUSTED
        if target is None:
            answer, _ = await self._find(ask, str(base), picks=False)
            return answer, engine
        try:
            return await self._find(ask, target)
        except (ModelNotFound, InvalidRequest) as error:
            if not _is_none(error):
                raise
            told = f"{name!r} is an alias of {target!r} ({self.origin(name)}). {error.message}"
            raise ModelNotFound(told, param="model") from None

    async def _locate(self, proceed: Callable[[str], Awaitable[ModelLocation]], model: str) -> ModelLocation:
        location, engine = await self._find(proceed, model)
        return location if engine is None else location.model_copy(update={"engine": engine})

    async def _retrieve(self, proceed: Callable[[str], Awaitable[Model]], model: str) -> Model:
        found, engine = await self._find(proceed, model)
        if engine is not None and engine not in self._engines():
            served = ", ".join(sorted(self._engines())) or "none"
            message = f"{model!r} picks the engine {engine!r}, which no chosen module runs. Engines here: {served}."
            raise InvalidRequest(message, param="model", code="engine_not_available")
        return found if found.id == model else found.model_copy(update={"id": model})

    async def _delete(self, proceed: Callable[[str], Awaitable[ModelDeleted]], model: str) -> ModelDeleted:
        try:
            return await proceed(model)
        except (ModelNotFound, InvalidRequest) as error:
            target = self.targets.get(model)
            if target is None or not _is_none(error):
                raise
            message = f"{model!r} is an alias of {target!r} ({self.origin(model)}): take it out there, or delete that."
            raise InvalidRequest(message, param="model", code="model_is_alias") from None

    async def _list(self, proceed: Callable[[], Awaitable[ModelList]]) -> ModelList:
        listed = await proceed()
        if not self.targets:
            return listed
        known = {one.id: one for one in listed.data}
        self.hidden = frozenset(self.targets.keys() & known.keys())
        for alias in self.targets:
            name: str | None = alias
            while name is not None and name not in known:
                name = self._next(name)
            if name is not None and alias not in known:
                listed.data.append(known[name].model_copy(update={"id": alias}))
        listed.data.sort(key=lambda one: one.id)
        return listed


def _is_none(error: JanError) -> bool:
    """True where the error says that there is no model of this id, or that there can be none."""
    return isinstance(error, ModelNotFound) or error.code == "invalid_id"


def _split(name: str) -> tuple[str | None, str | None]:
    """The model and the engine of `model@engine`; twice None where the name is not of that form."""
    base, at, engine = name.rpartition("@")
    return (base, engine) if at and base and _ENGINE.fullmatch(engine) else (None, None)
