"""The ASGI application: routes from the operations, the guard, plugins' layers, the log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match, Route, Router

from jan_core import http
from jan_core.endpoint import Operation
from jan_core.errors import InvalidRequest, JanError, Unavailable
from jan_core.guard import Guard
from jan_core.refusal import Refusal
from jan_core.requests import RequestLog

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

    from jan_core.app import Jan

LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""The names under which a server on this machine is asked."""


def create_app(jan: Jan, *, public: bool = False) -> RequestLog:
    """The whole application.

    Args:
        jan: the built app; the application enters and closes it in its lifespan.
        public: it listens beyond loopback, so that any single host name is taken.

    Raises:
        Refusal: two packages claim one path, or a listed host or origin is none.
    """
    starlette = Starlette(exception_handlers={HTTPException: _answer_http_error, Exception: _answer_failure})
    routes = [*_own(jan), *http.routes(jan.endpoints, jan.under_way, log_prompts=jan.server.log_prompts)]
    owners = _add_routes(routes, jan)
    starlette.router = Router(routes, redirect_slashes=False, lifespan=partial(_lifespan, jan))
    starlette.state.jan = jan
    straight = _Straight(starlette, routes)
    jan.routes = Routes(routes, owners, straight)
    app: ASGIApp = straight
    for chosen, settings in reversed(jan.plugins):
        around = jan.discovery.call(chosen, "asgi_wrapper", settings=settings, jan=jan)
        if around is not None:
            app = around(app)
    hosts = None if public else [*LOOPBACK, *jan.server.allowed_hosts]
    try:
        guard = Guard(app, hosts=hosts, origins=jan.server.allowed_origins, body_bytes=jan.server.body_bytes)
    except ValueError as error:
        asked = f"[server] allowed_hosts and allowed_origins ({jan.config.where('server')})"
        raise Refusal(asked, str(error), "Mend that entry of the list.") from error
    jan.application = logged = RequestLog(guard, enabled=jan.server.log_requests)
    return logged


@asynccontextmanager
async def _lifespan(jan: Jan, app: Starlette) -> AsyncIterator[None]:
    async with jan:
        for backend in list(jan.backends.values()):
            await backend.serving()
        for endpoint in jan.endpoints.values():
            await endpoint.serving()
        yield


def _own(jan: Jan) -> list[BaseRoute]:
    async def health(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"]["route"] = "/health"
        query = scope["query_string"].split(b"&")
        if not any(part == b"ready" or part.startswith(b"ready=") for part in query):
            await http.send_json(send, 200, b'{"status":"ok"}')
            return
        try:
            await ready(jan)
        except JanError as error:
            await http.send_error(scope, send, error)
        else:
            await http.send_json(send, 200, b'{"status":"ready"}')

    document: list[bytes] = []

    async def openapi(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"]["route"] = "/openapi.json"
        if not document:
            from jan_core.openapi import describe

            document.append(describe(jan.endpoints))
        await http.send_json(send, 200, document[0])

    return [
        Route("/health", _App(health), methods=["GET"]),
        Route("/openapi.json", _App(openapi), methods=["GET"]),
    ]


async def ready(jan: Jan) -> None:
    """Return where a model can answer; raise `Unavailable`, saying why not, otherwise."""
    if jan.under_way.stopping:
        raise Unavailable("The server is stopping.", code="stopping")
    if "chat" not in jan.endpoints:
        raise Unavailable("No module is chosen for chat; `jan modules` lists what is installed.", code="not_ready")
    for endpoint in jan.endpoints.values():
        await endpoint.ready()


class _App:
    """Marks a function as an ASGI app: Starlette would take a plain function for a handler of requests."""

    def __init__(self, function: Any) -> None:
        self.function = function

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.function(scope, receive, send)


class _Step:
    """What may follow a part of a path: fixed segments, or a parameter's value; and who answers where it ends."""

    __slots__ = ("fixed", "name", "operations", "value")

    def __init__(self) -> None:
        self.fixed: dict[str, _Step] = {}
        self.value: _Step | None = None
        self.name = ""
        self.operations: dict[str, http.OperationRoute] = {}

    def follow(self, segment: str) -> _Step | None:
        """The step behind a segment; None where no operation's path goes on with it."""
        return self.fixed.get(segment) or (self.value if segment else None)

    def add(self, segment: str) -> _Step:
        """The step behind a segment of a template, made where it is new."""
        if segment[:1] != "{":
            return self.fixed.setdefault(segment, _Step())
        if self.value is None:
            self.value, self.name = _Step(), segment[1:-1]
        return self.value


class _Straight:
    """Takes a request straight to its operation; Starlette answers all others, also those that only seem to fit here.

    Starlette tries one pattern after another, and its two layers around a route pass every event of a stream on,
    against errors that an operation's route answers itself. Left to it are paths with a parameter that may hold
    slashes, and those whose parameter at one place has two names.
    """

    def __init__(self, starlette: Starlette, routes: list[BaseRoute]) -> None:
        self._starlette = starlette
        self._operations: dict[tuple[str, str], http.OperationRoute] = {}
        self._first = _Step()
        for route in routes:
            if isinstance(route, Route) and isinstance(route.app, http.OperationRoute):
                self._add(route.path, dict.fromkeys(route.methods or (), route.app))

    def _add(self, path: str, operations: dict[str, http.OperationRoute]) -> None:
        if "{" not in path:
            self._operations |= {(method, path): app for method, app in operations.items()}
            return
        step = self._first
        for segment in path.split("/"):
            if ":" in segment or (segment[:1] == "{" and step.name not in ("", segment[1:-1])):
                return
            step = step.add(segment)
        step.operations |= operations

    def find(self, method: str, path: str) -> tuple[http.OperationRoute, dict[str, str]] | None:
        """The operation's route and the path's parameters; None where it is left to Starlette."""
        plain = self._operations.get((method, path))
        return (plain, {}) if plain is not None else self._find(method, path)

    def _find(self, method: str, path: str) -> tuple[http.OperationRoute, dict[str, str]] | None:
        step: _Step | None = self._first
        values: dict[str, str] = {}
        for segment in path.split("/"):
            assert step is not None
            following = step.follow(segment)
            if following is None:
                return None
            if following is step.value:
                values[step.name] = segment
            step = following
        found = step.operations.get(method) if step is not None else None
        return (found, values) if found is not None else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or one lifespan."""
        if scope["type"] != "http":
            await self._starlette(scope, receive, send)
            return
        method, path = scope["method"], scope["path"]
        plain = self._operations.get((method, path))
        found = (plain, {}) if plain is not None else self._find(method, path)
        if found is None:
            await self._starlette(scope, receive, send)
            return
        operation, scope["path_params"] = found
        await operation(scope, receive, send)


@dataclass(frozen=True, slots=True)
class Answering:
    """Who answers a request.

    Attributes:
        owner: the name of the endpoint, or of the package that brought the route; empty where the kernel answers.
        path: the route's path template.
        operation: the operation, the plain one where a streaming one shares its route; None behind other routes.
    """

    owner: str
    path: str
    operation: Operation | None


class Routes:
    """Every route of the app, and whose it is: for layers around the app that look at a request before it is answered.

    Iterating over it gives each route with its owner, in the order in which they are tried.
    """

    def __init__(self, routes: list[BaseRoute], owners: Mapping[int, str], straight: _Straight) -> None:
        self._straight = straight
        self._routes = [(route, owners.get(id(route), "")) for route in routes]

    def __iter__(self) -> Iterator[tuple[BaseRoute, str]]:
        for route, owner in self._routes:
            operations = _operations(route)
            yield route, next(iter(operations.values())).endpoint.name if operations else owner

    def answering(self, scope: Scope) -> Answering | None:
        """Who answers the request of this ASGI scope; None where it gets a 404 or a 405.

        A layer further in that changes the path, or answers by itself, is not foreseen.
        """
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        found = self._straight.find(scope["method"], scope["path"])
        if found is not None:
            return _answering(found[0].operations[method])
        for route, owner in self._routes:
            if route.matches(scope)[0] is Match.FULL:
                operations = _operations(route)
                return _answering(operations[method]) if operations else Answering(owner, _path(route), None)
        return None


def _operations(route: BaseRoute) -> Mapping[str, Operation]:
    app = route.app if isinstance(route, Route) else None
    return app.operations if isinstance(app, http.OperationRoute) else {}


def _answering(operation: Operation) -> Answering:
    return Answering(operation.endpoint.name, operation.path or "", operation)


def _path(route: BaseRoute) -> str:
    return getattr(route, "path", repr(route))


def _add_routes(routes: list[BaseRoute], jan: Jan) -> dict[int, str]:
    """Add the routes that packages bring; returns their owners, by the route's `id`."""
    owners = {}
    taken = {route.path: "the kernel" for route in routes if isinstance(route, Route)}
    for chosen, settings in [*jan.modules, *jan.plugins]:
        for route in jan.discovery.call(chosen, "register_routes", settings=settings, jan=jan) or []:
            path = _path(route)
            if path in taken:
                raise Refusal(
                    chosen.asked,
                    f"its route {path} belongs to {taken[path]} already",
                    "Take one of the two packages out of the config.",
                    answers=chosen.installed.answers,
                )
            taken[path] = owners[id(route)] = chosen.name
            routes.append(route)
    return owners


async def _answer_http_error(request: Request, error: Exception) -> Response:
    from starlette.responses import Response as Plain

    assert isinstance(error, HTTPException)
    allowed = (error.headers or {}).get("Allow", "")
    scope = request.scope
    if error.status_code == 405:
        answer = http.not_allowed(scope, allowed)
    elif error.status_code == 404:
        answer = http.not_found(scope)
    else:  # raised by a package's own route
        answer = JanError(error.detail, headers=error.headers)
        answer.status = error.status_code
        answer.type = InvalidRequest.type if error.status_code < 500 else JanError.type
    scope["state"]["error"] = answer.code
    return Plain(answer.encoded(), answer.status, {**answer.headers}, "application/json")


async def _answer_failure(request: Request, error: Exception) -> Response:
    """A route that a package brought raised what it must not; Starlette passes the error on to the server's log."""
    from starlette.responses import Response as Plain

    answer = http.failure(error, f"{request.method} {request.scope['path'][:200]}")
    request.scope["state"]["error"] = answer.code
    return Plain(answer.encoded(), answer.status, None, "application/json")
