"""Modules that run models, behind one endpoint: the engine of a request's model decides which of them answers."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, cast

from jan_core.endpoint import Endpoint, Operation
from jan_core.errors import InvalidRequest, Unavailable
from jan_core.refusal import Refusal
from jan_core.validation import refuse_unknown

if TYPE_CHECKING:
    from jan_core.app import Jan


def route_by_engine(jan: Jan, named: Mapping[str, Endpoint], asked: str) -> Endpoint:
    """One endpoint out of one or more implementations.

    An operation whose `body` names a model goes to the implementation whose `engine` is that of `body.model`, to the
    first one where nobody names an engine; an operation without a model goes to the first implementation that
    supports it. Fields of a request that its schema does not know are refused where that one does not take them.

    Args:
        jan: gives `models`, which knows each model's engine.
        named: the implementations by module name, in the config's order; at least one.
        asked: where the config asked for them.

    Raises:
        Refusal: one of several implementations names no engine, or two name the same.
    """
    engines: dict[str | None, Endpoint] = {}
    for name, one in named.items():
        if one.engine is None:
            raise Refusal(asked, f"{name} names no engine, so no model could choose it", f"Use {name} alone.")
        if one.engine in engines:
            raise Refusal(asked, f"two modules answer for the engine {one.engine!r}", f"Take {name} out of the list.")
        engines[one.engine] = one
    implementations = list(named.values())
    declared = implementations[0].declared()

    async def chosen(operation: Operation, body: Any) -> Endpoint:
        target = await answering(operation, body)
        if body is not None and not target.takes_unknown_fields:
            refuse_unknown(body)
        return target

    async def answering(operation: Operation, body: Any) -> Endpoint:
        if getattr(body, "model", None) is None:
            return next((one for one in implementations if one.supports(operation.name)), implementations[0])
        if "models" not in jan.endpoints and len(implementations) == 1:
            return implementations[0]
        engine = (await jan.models.locate(body.model)).engine
        if engine is None:
            return implementations[0]
        if engine not in engines:
            raise _unavailable(jan, declared.name, named, body.model, engine)
        return engines[engine]

    def plain(operation: Operation) -> Any:
        async def go(**arguments: Any) -> Any:
            target = await chosen(operation, arguments.get("body"))
            return await getattr(target, operation.name)(**arguments)

        return lambda self, *given, **arguments: go(**_named(operation, given, arguments))

    def streamed(operation: Operation) -> Any:
        def begin(arguments: dict[str, Any]) -> AsyncIterator[Any]:
            async def choose() -> AsyncIterator[Any]:
                target = await chosen(operation, arguments.get("body"))
                return cast("AsyncIterator[Any]", getattr(target, operation.name)(**arguments))

            return _Events(choose)

        return lambda self, *given, **arguments: begin(_named(operation, given, arguments))

    async def enter(self: Any) -> Any:
        self._stack = AsyncExitStack()
        for one in implementations:
            await self._stack.enter_async_context(one)
        return self

    async def leave(self: Any, *error: Any) -> None:
        await self._stack.aclose()

    async def ready(self: Any) -> None:
        reasons = []
        for one in implementations:
            try:
                await one.ready()
                return
            except Unavailable as error:
                if len(implementations) == 1:
                    raise
                reasons.append(error.message)
        raise Unavailable(" ".join(reasons))

    body: dict[str, Any] = {
        name: streamed(operation) if operation.stream else plain(operation)
        for name, operation in declared.operations().items()
    }
    body |= {
        "__aenter__": enter,
        "__aexit__": leave,
        "ready": ready,
        "supports": lambda self, name: any(one.supports(name) for one in implementations),
        "takes_unknown_fields": any(one.takes_unknown_fields for one in implementations),
    }
    return cast(Endpoint, type(f"Routed{declared.__name__}", (declared,), body)())


class _Events:
    """The events of the implementation that is chosen when the first one is asked for.

    Whoever has taken the first event and iterates then is given the implementation's own iterator: no event passes
    through here but the first.
    """

    __slots__ = ("_choose", "_events")

    def __init__(self, choose: Callable[[], Awaitable[AsyncIterator[Any]]]) -> None:
        self._choose: Callable[[], Awaitable[AsyncIterator[Any]]] | None = choose
        self._events: AsyncIterator[Any] | None = None

    def __aiter__(self) -> AsyncIterator[Any]:
        return self if self._events is None else self._events

    def __anext__(self) -> Awaitable[Any]:
        events: Any = self._events
        return events.__anext__() if events is not None else self._first()

    async def _first(self) -> Any:
        choose, self._choose = self._choose, None
        if choose is None:  # closed, or failed, before there was an event
            raise StopAsyncIteration
        events = self._events = await choose()
        return await events.__anext__()

    async def aclose(self) -> None:
        self._choose = None
        if self._events is not None:
            await self._events.aclose()  # type: ignore[attr-defined]


def _unavailable(jan: Jan, endpoint: str, named: Mapping[str, Endpoint], model: str, engine: str) -> InvalidRequest:
    """Who could serve the model, and how."""
    wanted = f"{endpoint}-{engine}"
    line = f"{endpoint} = {json.dumps([*named, wanted])}"
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", engine):
        remedy = "That is no engine's name; mend `engine` in the model's model.json, or what follows the @."
    elif any(one.name == wanted for one in jan.discovery.installed["modules"]):
        remedy = f"{wanted} is installed: write {line} under [endpoints] of jan.toml."
    elif model.endswith(f"@{engine}"):
        remedy = f"Ask for {model.removesuffix(f'@{engine}')!r}, or for one of these engines."
    else:
        remedy = f"Install a module for it (pip install jan-{wanted}), and write {line} under [endpoints] of jan.toml."
    served = ", ".join(f"{one.engine} ({name})" for name, one in named.items())
    return InvalidRequest(
        f"The model {model!r} needs the engine {engine!r}; {endpoint} is served here by {served}. {remedy}",
        param="model",
        code="engine_not_available",
    )


def _named(operation: Operation, given: tuple[Any, ...], arguments: dict[str, Any]) -> dict[str, Any]:
    names = list(operation.arguments)
    return {**dict(zip(names, given, strict=False)), **arguments}
