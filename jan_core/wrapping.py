"""Plugins around operations.

A wrapper is `async def wrapper(proceed, *arguments)`; the arguments come by position. `await proceed(*arguments)` goes
on to the next layer and gives what the operation gives: a reply, or, for a streaming operation, the iterator of its
events, which the wrapper returns, or an iterator of its own over it. `proceed.operation` tells which operation it is.
The first plugin in the config is the outermost layer. Whoever calls a wrapped stream closes it once: every layer's
iterator is closed with it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from inspect import iscoroutinefunction
from types import TracebackType
from typing import Any, cast

from jan_core.endpoint import Endpoint, Operation
from jan_core.hookspecs import Wrapper
from jan_core.refusal import Refusal


@dataclass(frozen=True, slots=True)
class Layer:
    """What one plugin wraps of one endpoint: the plugin's name, and its wrappers by operation name or `"*"`."""

    plugin: str
    wrappers: Mapping[str, Wrapper]


@dataclass(frozen=True, slots=True)
class Proceed:
    """Goes on to the next layer. `operation` is the one being wrapped."""

    operation: Operation
    _next: Callable[..., Awaitable[Any]]

    def __call__(self, *arguments: Any, **named: Any) -> Awaitable[Any]:
        """The next layer's reply, or its iterator of events."""
        if named:
            arguments, named = _by_position(self.operation, arguments, named)
        return self._next(*arguments, **named)


def _by_position(
    operation: Operation, given: tuple[Any, ...], named: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Arguments as every wrapper takes them, by position; only those behind one that was left out keep their names."""
    if len(named) == 1 and operation.arguments[len(given) : len(given) + 1] == tuple(named):
        return (*given, *named.values()), {}
    placed, rest = list(given), dict(named)
    for name in operation.arguments[len(given) :]:
        if name not in rest:
            break
        placed.append(rest.pop(name))
    return tuple(placed), rest


def check(endpoint: type[Endpoint], layer: Layer) -> None:
    """Raise `Refusal` where a layer names no operation of the endpoint, or gives no coroutine function."""
    if not isinstance(layer.wrappers, Mapping):
        asked = f"plugin {layer.plugin!r} wraps {endpoint.name}"
        cause = f"its hook wrap_{endpoint.name} returned {type(layer.wrappers).__name__}, not names with functions"
        raise Refusal(asked, cause, 'Return a mapping, such as {"create": wrapper}.')
    known = endpoint.operations()
    for name, function in layer.wrappers.items():
        asked = f"plugin {layer.plugin!r} wraps {endpoint.name}.{name}"
        if name != "*" and name not in known:
            close = get_close_matches(name, known, 1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise Refusal(
                asked,
                f"the endpoint {endpoint.name} has no operation {name!r}",
                f"{hint}Operations: {', '.join(known)}. Take the plugin out of [plugins] use, or update it.",
            )
        if not iscoroutinefunction(function):
            raise Refusal(asked, f"{function!r} is no coroutine function", "Write it as `async def w(proceed, *args)`.")


def wrap(inner: Endpoint, layers: Sequence[Layer]) -> Endpoint:
    """Fold the layers around an implementation.

    Args:
        inner: the implementation.
        layers: the plugins' layers, outermost first; checked with `check`.

    Returns:
        An endpoint of the same class whose operations go through the layers; `inner` itself where none applies.
    """
    wrapped: dict[str, Any] = {}
    for name, operation in inner.operations().items():
        functions = [
            function for layer in layers for key in (name, "*") if (function := layer.wrappers.get(key)) is not None
        ]
        if functions:
            fold = _fold_stream if operation.stream else _fold
            wrapped[name] = fold(operation, getattr(inner, name), functions)
    if not wrapped:
        return inner
    return _twin(inner, wrapped)


def _fold(operation: Operation, target: Callable[..., Awaitable[Any]], functions: Sequence[Wrapper]) -> Any:
    for function in reversed(functions):
        target = partial(function, Proceed(operation, target))
    return Proceed(operation, target)


def _fold_stream(operation: Operation, target: Callable[..., Any], functions: Sequence[Wrapper]) -> Any:
    def opened(*arguments: Any, **named: Any) -> AsyncIterator[Any]:
        if named:
            arguments, named = _by_position(operation, arguments, named)
        return _through(operation, target, functions, arguments, named)

    return opened


async def _through(
    operation: Operation,
    target: Callable[..., AsyncIterator[Any]],
    functions: Sequence[Wrapper],
    arguments: tuple[Any, ...],
    named: dict[str, Any],
) -> AsyncIterator[Any]:
    """The events of a wrapped stream. Closing it closes the iterator of every layer, outermost first."""
    async with AsyncExitStack() as stack:
        latest: list[Any] = [None]  # most wrappers hand on what they were given: that is closed once

        def latest_of(events: AsyncIterator[Any]) -> AsyncIterator[Any]:
            latest[0] = events
            return _closed_with(stack, events)

        async def innermost(*given: Any, **keys: Any) -> AsyncIterator[Any]:
            return latest_of(target(*given, **keys))

        def between(function: Wrapper, proceed: Proceed) -> Callable[..., Awaitable[Any]]:
            async def layer(*given: Any, **keys: Any) -> AsyncIterator[Any]:
                events = await function(proceed, *given, **keys)
                return events if events is latest[0] else latest_of(events)

            return layer

        step: Callable[..., Awaitable[Any]] = innermost
        for function in reversed(functions):
            step = between(function, Proceed(operation, step))
        events = await step(*arguments, **named)
        if not hasattr(events, "__aiter__"):
            found = type(events).__name__
            raise TypeError(f"a wrapper around {operation.qualified} returned {found}, not an iterator of events")
        async for event in events:
            yield event


def _closed_with(stack: AsyncExitStack, events: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """Close the iterator when the stack unwinds; the last one pushed, the outermost, goes first."""
    close = getattr(events, "aclose", None)
    if close is not None:
        stack.push_async_callback(close)
    return events


def _twin(inner: Endpoint, wrapped: Mapping[str, Any]) -> Endpoint:
    """An object of the same endpoint class: operations replaced, everything else passed on to `inner`."""
    declared = inner.declared()

    async def enter(self: Endpoint) -> Endpoint:
        await inner.__aenter__()
        return self

    async def leave(
        self: Endpoint, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await inner.__aexit__(kind, error, trace)

    body: dict[str, Any] = {
        name: staticmethod(wrapped.get(name) or getattr(inner, name)) for name in inner.operations()
    }
    body |= {
        "__aenter__": enter,
        "__aexit__": leave,
        "supports": staticmethod(inner.supports),
        "ready": staticmethod(inner.ready),
        "serving": staticmethod(inner.serving),
        "engine": inner.engine,
        "takes_unknown_fields": inner.takes_unknown_fields,
        "in_memory": inner.in_memory,
        "unasked": inner.unasked,
    }
    return cast(Endpoint, type(f"Wrapped{declared.__name__}", (declared,), body)())
