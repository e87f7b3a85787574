"""What an endpoint is: an abstract class whose operations are async methods, each described once.

A class of endpoint declares its operations with `@operation("POST /v1/…")` or `@internal`. From that one place follow
the HTTP route, validation, the OpenAPI document, the reference page, the names wrappers use, and the contract.
Python itself refuses an implementation that lacks a required (abstract) operation.
"""

from __future__ import annotations

import importlib
import inspect
import re
import typing
from abc import ABC
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType, TracebackType
from typing import Any, ClassVar, Self, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

_MARK = "__jan_operation__"
_PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")


@dataclass(frozen=True, slots=True)
class Mark:
    """What a decorator said of a method: its route (None where internal), and how it is served."""

    route: str | None
    stream: bool
    optional: bool
    headers: Mapping[str, str] | None = None


def operation(
    route: str, *, stream: bool = False, optional: bool = False, headers: Mapping[str, str] | None = None
) -> Callable[[F], F]:
    """Declare a public operation.

    Args:
        route: method and path template, such as `GET /v1/models/{model:path}`. Names in braces are parameters of the
            method; `:path` lets the value contain slashes. Besides them the method may take `body` (a `Request`
            schema, sent as JSON) and `query` (a `Request` schema, from the query string).
        stream: the method returns an `AsyncIterator` of events (declared without `async`). It shares its route with a
            plain operation and serves the requests whose body says `"stream": true`.
        optional: an implementation may leave it alone; its body raises `NotSupported`.
        headers: what every reply over HTTP carries besides the usual ones, those of a stream and errors apart.
    """

    def decorate(function: F) -> F:
        setattr(function, _MARK, Mark(route, stream, optional, headers))
        return function

    return decorate


@typing.overload
def internal(function: F, /) -> F: ...
@typing.overload
def internal(*, stream: bool = False, optional: bool = False) -> Callable[[F], F]: ...
def internal(function: Any = None, /, *, stream: bool = False, optional: bool = False) -> Any:
    """Declare an operation without a route: called by other modules only, but as abstract, wrapped and contracted."""

    def decorate(target: Any) -> Any:
        setattr(target, _MARK, Mark(None, stream, optional))
        return target

    return decorate if function is None else decorate(function)


@dataclass(frozen=True, slots=True)
class Types:
    """The types of an operation, resolved from its annotations.

    `body` and `query` are None where the operation has none; `item` is the type of a stream's events.
    """

    body: Any
    query: Any
    reply: Any
    item: Any


@dataclass(frozen=True, eq=False)
class Operation:
    """One call of an endpoint.

    Attributes:
        endpoint: the class that declares it.
        name: the method's name.
        method: HTTP method; None where internal.
        path: path template as declared; None where internal.
        stream: True where it returns an async iterator of events.
        optional: True where an implementation may leave it alone.
        parameters: the names in the path's braces, in order.
        arguments: the names of the method's arguments, in order, without `self`.
        headers: what a reply over HTTP carries besides the usual headers; None for nothing.
    """

    endpoint: type[Endpoint]
    name: str
    method: str | None
    path: str | None
    stream: bool
    optional: bool
    parameters: tuple[str, ...]
    arguments: tuple[str, ...]
    headers: Mapping[str, str] | None = None

    @property
    def qualified(self) -> str:
        """Endpoint and operation, such as `chat.create`."""
        return f"{self.endpoint.name}.{self.name}"

    @property
    def doc(self) -> str:
        """The method's docstring, without indentation."""
        return inspect.getdoc(getattr(self.endpoint, self.name)) or ""

    @cache  # noqa: B019 - operations live as long as their class
    def types(self) -> Types:
        """Resolve the annotations, importing the endpoint's schemas at the first call."""
        function = getattr(self.endpoint, self.name)
        names = {**function.__globals__, **vars(importlib.import_module(self.endpoint.schemas))}
        hints = typing.get_type_hints(function, globalns=names)
        reply = hints.get("return")
        item = typing.get_args(reply)[0] if self.stream else None
        return Types(hints.get("body"), hints.get("query"), None if self.stream else reply, item)


class Endpoint(ABC):
    """An OpenAI resource. Subclasses declare its operations; modules subclass those and say how it is done.

    An implementation is an async context manager: the app enters it when it starts, before the first request, and
    closes it when it stops. It is used from one event loop.
    """

    name: ClassVar[str]
    """The endpoint's name, as in `[endpoints]` of `jan.toml`."""
    schemas: ClassVar[str]
    """The module whose names the annotations use; imported at first use, so that a start does not grow with the API."""
    several: ClassVar[bool] = False
    """True where `jan.toml` may list several modules, and the engine of a request's model decides among them."""
    reserved: ClassVar[frozenset[str]] = frozenset()
    """Names that a request's path cannot mean an object by: they are further paths of the API, served or not."""
    needs: ClassVar[tuple[str, ...]] = ()
    """The endpoints without which this one can do nothing: an app that serves it and not them does not start."""
    unasked: ClassVar[bool] = False
    """True where it works on while no request is there: it is entered after all others, and left before them."""
    engine: ClassVar[str | None] = None
    """Set by an implementation behind a `several` endpoint: the engine whose models it answers for."""
    takes_unknown_fields: bool = False
    """Set by an implementation that takes fields of a request that its schema does not know: they are in
    `body.model_extra`. Elsewhere a request that has some is refused."""
    in_memory: ClassVar[bool] = False
    """Set by an implementation that keeps what it stores in the memory of its process, and means to."""

    @classmethod
    def operations(cls) -> Mapping[str, Operation]:
        """Every operation by name, in the order of declaration."""
        return _operations(cls.declared())

    @classmethod
    def declared(cls) -> type[Endpoint]:
        """The class that declares the endpoint: this one, or the base that an implementation subclasses."""
        for base in cls.__mro__:
            if "schemas" in base.__dict__ and issubclass(base, Endpoint):
                return base
        raise TypeError(f"{cls.__qualname__} derives from no endpoint class: none of its bases sets `schemas`")

    def supports(self, name: str) -> bool:
        """True where this object does the operation: every required one, and an optional one that it overrides."""
        described = self.operations()[name]
        return not described.optional or getattr(type(self), name) is not getattr(described.endpoint, name)

    async def ready(self) -> None:  # noqa: B027 - most endpoints are ready once they are entered
        """Return when a request could be answered now; raise `Unavailable`, saying what is missing, otherwise."""

    async def serving(self) -> None:  # noqa: B027 - most endpoints do nothing unasked
        """Called once when a server begins to serve the app, everything being entered; see `Backend.serving`."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return None


@cache
def _operations(declared: type[Endpoint]) -> Mapping[str, Operation]:
    found: dict[str, Operation] = {}
    for base in reversed(declared.__mro__):
        for name, function in vars(base).items():
            mark: Mark | None = getattr(function, _MARK, None)
            if mark is None:
                continue
            if mark.stream == inspect.iscoroutinefunction(function):
                kind = "streams: declare it without `async`" if mark.stream else "does not stream: declare it `async`"
                raise TypeError(f"{declared.__qualname__}.{name} {kind}")
            method, path = mark.route.split(" ", 1) if mark.route else (None, None)
            parameters = tuple(_PARAMETER.findall(path or ""))
            arguments = tuple(inspect.signature(function).parameters)[1:]
            found[name] = Operation(
                declared, name, method, path, mark.stream, mark.optional, parameters, arguments, mark.headers
            )
    plain = {(one.method, one.path) for one in found.values() if not one.stream}
    for name, one in found.items():
        if one.path is not None and (one.method, one.path) not in plain:
            where = f"{one.method} {one.path}"
            raise TypeError(f"{declared.__qualname__}.{name} has no plain operation beside it at {where}")
    return MappingProxyType(found)


Events = AsyncIterator[Any]
"""What a streaming operation returns: its events, oldest first. The kernel closes it (`aclose`) in every case."""
