"""HTTP out of the operations: a route each, bodies checked, replies and streams written, errors in OpenAI's shape."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from starlette.routing import BaseRoute, Route

from jan_core import call, sse
from jan_core.endpoint import Endpoint, Operation
from jan_core.errors import JanError, MethodNotAllowed, NotFound, Unavailable
from jan_core.refusal import Refusal
from jan_core.requests import CLIENT_LEFT, UnderWay, Watch
from jan_core.schemas.base import NamedEvent
from jan_core.validation import parse, parse_query

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from jan_core.schemas.base import Request

log = logging.getLogger("jan")

_FLAT = (str, int, float, type(None))
_JSON = (b"content-type", b"application/json")
_STREAM_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


async def send_json(send: Send, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
    """Send a whole JSON reply."""
    listed = [_JSON, (b"content-length", str(len(body)).encode())]
    listed += [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    await send({"type": "http.response.start", "status": status, "headers": listed})
    await send({"type": "http.response.body", "body": body})


async def send_error(scope: Scope, send: Send, error: JanError) -> None:
    """Send an error in OpenAI's shape."""
    scope.setdefault("state", {})["error"] = error.code or error.type
    await send_json(send, error.status, error.encoded(), error.headers)


def failure(error: Exception, qualified: str) -> JanError:
    """The answer to an operation that raised what it must not: logged whole, told without details."""
    context = call.current()
    request_id = context.request_id if context else "?"
    log.error("%s failed (%s)", qualified, request_id, exc_info=error)
    return JanError(f"{qualified} failed; the server's log says why, under {request_id}.", code="internal_error")


async def read_body(receive: Receive) -> bytes | None:
    """The whole body; None where the client left before it was complete."""
    chunks = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunks.append(message.get("body", b""))
        if not message.get("more_body"):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


@lru_cache(64)
def _parsed(model: type[Request], query: bytes) -> tuple[Request, bool]:
    # Kept for those that clients send again and again; a server's limits keep each of them below 64 KB.
    found = parse_query(model, dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True)))
    return found, all(isinstance(value, _FLAT) for value in vars(found).values())


def _parameters(model: type[Request], query: bytes) -> Request:
    """The checked parameters of a query string, which whoever gets them may change."""
    found, flat = _parsed(model, query)
    return found.model_copy(deep=not flat)


class OperationRoute:
    """The ASGI app of one path: its operations by HTTP method, plain and streaming.

    Args:
        endpoint: the wrapped implementation.
        operations: the path's operations by method; the streaming one under `"<METHOD> stream"`.
        under_way: where requests are listed while they last.
        log_prompts: whether bodies go into the log line.
    """

    def __init__(
        self, endpoint: Endpoint, operations: Mapping[str, Operation], under_way: UnderWay, *, log_prompts: bool
    ) -> None:
        self.endpoint = endpoint
        self.operations = operations
        self.under_way = under_way
        self.log_prompts = log_prompts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        operation = self.operations[method]
        scope["state"]["route"] = operation.path
        task = asyncio.current_task()
        assert task is not None
        self.under_way.add(task)
        exchange = _Exchange(self, scope, receive, send, task)
        try:
            await exchange.answer(operation, self.operations.get(f"{method} stream"))
        except asyncio.CancelledError:
            if not await exchange.ended():
                raise
        finally:
            self.under_way.discard(task)


class _Exchange:
    """One request and its reply."""

    def __init__(
        self, route: OperationRoute, scope: Scope, receive: Receive, send: Send, task: asyncio.Task[Any]
    ) -> None:
        self.route = route
        self.scope = scope
        self.receive = receive
        self.send = send
        self.task = task
        self.watch: Watch | None = None
        self.left = False
        self.streaming = False
        self.named = False

    async def answer(self, operation: Operation, streaming: Operation | None) -> None:
        try:
            if self.route.under_way.stopping:
                raise Unavailable("The server is stopping.", code="stopping")
            arguments = await self._arguments(operation)
            if arguments is None:
                self.scope["state"].setdefault("status", CLIENT_LEFT)
                return
            if streaming is not None and getattr(arguments.get("body"), "stream", False):
                operation = streaming
                # In a task of its own: an event wakes that one up, and not all the layers around this.
                await asyncio.create_task(self._stream(operation, arguments))
            else:
                await self._plain(operation, arguments)
        except JanError as error:
            await self._fail(error)
        except Exception as error:
            await self._fail(failure(error, operation.qualified))

    async def ended(self) -> bool:
        """Whether a cancellation was this exchange's end (client gone, or a stop), and say so to the client."""
        if self.watch is not None:
            self.watch.close()
        if self.left or (self.watch is not None and self.watch.gone):
            self.scope["state"]["status"] = CLIENT_LEFT
        elif self.route.under_way.stopping:
            self.task.uncancel()
            await self._fail(Unavailable("The server is stopping; ask again when it is back.", code="stopping"))
            return True
        else:
            return False
        self.task.uncancel()
        return True

    async def _arguments(self, operation: Operation) -> dict[str, Any] | None:
        types = operation.types()
        arguments: dict[str, Any] = dict(self.scope["path_params"])
        reserved = operation.endpoint.reserved
        if reserved and not reserved.isdisjoint(arguments.values()):
            raise not_found(self.scope)
        if types.query is not None:
            arguments["query"] = _parameters(types.query, self.scope["query_string"])
        context = call.current()
        for name, value in self.scope["headers"]:
            if name == b"idempotency-key" and context is not None:
                context.idempotency_key = value.decode("latin-1")
        if types.body is not None:
            raw = await read_body(self.receive)
            if raw is None:
                return None
            body = arguments["body"] = parse(types.body, raw, unknown=self.route.endpoint.takes_unknown_fields)
            if context is not None:
                context.model = getattr(body, "model", None)
            if self.route.log_prompts:
                self.scope["state"]["prompt"] = raw.decode("utf-8", "replace")
        return arguments

    async def _plain(self, operation: Operation, arguments: dict[str, Any]) -> None:
        self.watch = Watch(self.receive, self.task)
        self.route.under_way.slow.add(self.watch)
        try:
            reply = await self._called(operation, arguments)
        finally:
            self.watch.close()
        await send_json(self.send, 200, reply.__pydantic_serializer__.to_json(reply), operation.headers)

    async def _stream(self, operation: Operation, arguments: dict[str, Any]) -> None:
        item = operation.types().item
        self.named = isinstance(item, type) and issubclass(item, NamedEvent)
        self.watch = Watch(self.receive, self.task)
        self.watch.begin()
        send, frame = self.send, sse.frame
        async with AsyncExitStack() as stack:
            stack.callback(self.watch.close)
            events: AsyncIterator[Any] = self._called(operation, arguments)
            stack.push_async_callback(events.aclose)  # type: ignore[attr-defined]
            try:
                chunk = frame(await anext(events))
            except StopAsyncIteration:
                chunk = b""
            await send({"type": "http.response.start", "status": 200, "headers": _STREAM_HEADERS})
            self.streaming = True
            if chunk:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            async for event in events:
                await send({"type": "http.response.body", "body": frame(event), "more_body": True})
        end = sse.DONE_EVENT if self.named else sse.DONE
        await send({"type": "http.response.body", "body": end})

    def _called(self, operation: Operation, arguments: dict[str, Any]) -> Any:
        method = getattr(self.route.endpoint, operation.name)
        # By position, as wrappers take them: each layer would have to put them in order.
        return method(*arguments.values()) if tuple(arguments) == operation.arguments else method(**arguments)

    async def _fail(self, error: JanError) -> None:
        if not self.streaming:
            await send_error(self.scope, self.send, error)
            return
        self.scope["state"]["error"] = error.code or error.type
        frame = sse.error_frame(error, named=self.named)
        await self.send({"type": "http.response.body", "body": frame})


def routes(endpoints: Mapping[str, Endpoint], under_way: UnderWay, *, log_prompts: bool = False) -> list[BaseRoute]:
    """A route for every public operation of the endpoints that are served, fixed paths before those with parameters.

    Raises:
        Refusal: two endpoints claim one path.
    """
    paths: dict[str, tuple[Endpoint, dict[str, Operation]]] = {}
    for endpoint in endpoints.values():
        for operation in endpoint.operations().values():
            if operation.path is not None:
                key = f"{operation.method} stream" if operation.stream else str(operation.method)
                owner, operations = paths.setdefault(operation.path, (endpoint, {}))
                if owner is not endpoint:
                    raise Refusal(
                        f"the endpoints {owner.name} and {endpoint.name}",
                        f"both claim the path {operation.path}",
                        f"Serve one of them: {endpoint.name} = [] under [endpoints].",
                    )
                operations[key] = operation
    ordered = sorted(paths, key=lambda path: (path.count("{"), ":path}" in path, path))
    found: list[BaseRoute] = []
    for path in ordered:
        endpoint, operations = paths[path]
        methods = [name for name in operations if " " not in name]
        app = OperationRoute(endpoint, operations, under_way, log_prompts=log_prompts)
        found.append(Route(path, app, methods=methods, name=path))
    return found


def not_found(scope: Scope) -> JanError:
    """404 for a path that no route has."""
    return NotFound(f"There is no {scope['method']} {scope['path'][:200]}; /openapi.json lists what there is.")


def not_allowed(scope: Scope, allowed: str) -> JanError:
    """405 for a path that exists under other methods."""
    message = f"{scope['path'][:200]} does not take {scope['method']}; it takes {allowed}."
    return MethodNotAllowed(message, headers={"Allow": allowed})
