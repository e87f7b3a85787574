"""Several modules behind one endpoint: the engine of a request's model decides which of them answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, cast

from jan_core.endpoint import Endpoint, Operation
from jan_core.errors import InvalidRequest, Unavailable
from jan_core.refusal import Refusal

if TYPE_CHECKING:
    from jan_core.app import Jan


def route_by_engine(jan: Jan, named: Mapping[str, Endpoint], asked: str) -> Endpoint:
    """One endpoint out of several implementations.

    An operation whose `body` names a model goes to the implementation whose `engine` is that of `body.model`; another
    one goes to the first implementation that supports it.

    Args:
        jan: gives `models`, which knows each model's engine.
        named: the implementations by module name, in the config's order; at least two.
        asked: where the config asked for them.

    Raises:
        Refusal: an implementation names no engine, or two name the same.
    """
    engines: dict[str, Endpoint] = {}
    for name, one in named.items():
        if one.engine is None:
            raise Refusal(asked, f"{name} names no engine, so no model could choose it", f"Use {name} alone.")
        if one.engine in engines:
            raise Refusal(asked, f"two modules answer for the engine {one.engine!r}", f"Take {name} out of the list.")
        engines[one.engine] = one
    implementations = list(named.values())
    declared = implementations[0].declared()

    async def chosen(operation: Operation, body: Any) -> Endpoint:
        if getattr(body, "model", None) is None:
            return next((one for one in implementations if one.supports(operation.name)), implementations[0])
        location = await jan.models.locate(body.model)
        if location.engine not in engines:
            raise InvalidRequest(
                f"The model {body.model!r} needs the engine {location.engine!r}; "
                f"{declared.name} is served here by {', '.join(engines)}.",
                param="model",
                code="engine_not_available",
            )
        return engines[location.engine]

    def plain(operation: Operation) -> Any:
        async def go(**arguments: Any) -> Any:
            target = await chosen(operation, arguments.get("body"))
            return await getattr(target, operation.name)(**arguments)

        return lambda self, *given, **arguments: go(**_named(operation, given, arguments))

    def streamed(operation: Operation) -> Any:
        async def go(**arguments: Any) -> AsyncIterator[Any]:
            target = await chosen(operation, arguments.get("body"))
            async with AsyncExitStack() as stack:
                events = getattr(target, operation.name)(**arguments)
                stack.push_async_callback(events.aclose)
                async for event in events:
                    yield event

        return lambda self, *given, **arguments: go(**_named(operation, given, arguments))

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
    }
    return cast(Endpoint, type(f"Routed{declared.__name__}", (declared,), body)())


def _named(operation: Operation, given: tuple[Any, ...], arguments: dict[str, Any]) -> dict[str, Any]:
    names = list(operation.arguments)
    return {**dict(zip(names, given, strict=False)), **arguments}
