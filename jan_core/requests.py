"""Around every request: an id, one log line, and the list of those under way."""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jan_core import call
from jan_core.call import Call

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

CLIENT_LEFT = 499
"""The status that the log gives a request whose client went away before the reply."""


def write_line(line: str) -> None:
    """Write one line of the log to stderr."""
    sys.stderr.write(line + "\n")


class RequestLog:
    """The outermost layer: gives each request its id, its call context, and one structured line in the log.

    The line has `time`, `request_id`, `method`, `route` (the template, never the path), `status`, `ms`, and where they
    are known `model`, `prompt_tokens`, `completion_tokens`. It never has content, unless `log_prompts` is on.

    Args:
        app: what it goes around.
        enabled: whether lines are written.
        write: where they go.
    """

    def __init__(self, app: ASGIApp, *, enabled: bool = True, write: Callable[[str], None] = write_line) -> None:
        self.app = app
        self.enabled = enabled
        self.write = write

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, and write its line when it is over."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        context = Call("req_" + secrets.token_hex(12))
        call.enter(context)
        state = scope.setdefault("state", {})
        state["request_id"] = context.request_id
        header = (b"x-request-id", context.request_id.encode())
        status = CLIENT_LEFT

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), header]
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        finally:
            if self.enabled:
                self.write(_line(scope, context, status, began, state))


def _line(scope: Scope, context: Call, status: int, began: float, state: dict[str, Any]) -> str:
    told: dict[str, Any] = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "request_id": context.request_id,
        "method": scope["method"],
        "route": state.get("route"),
        "status": state.get("status", status),
        "ms": round((time.perf_counter() - began) * 1000, 2),
    }
    for name in ("model", "prompt_tokens", "completion_tokens", "key_name"):
        value = getattr(context, name)
        if value is not None:
            told[name] = value
    for name in ("error", "prompt"):
        if name in state:
            told[name] = state[name]
    return json.dumps(told)


class UnderWay:
    """The requests that are being answered, so that a stop can end them and a vanished client is noticed."""

    def __init__(self) -> None:
        self.stopping = False
        self._tasks: set[asyncio.Task[Any]] = set()

    def stop(self) -> None:
        """End every request under way: streams with an error event, others with a 503. New ones get a 503."""
        self.stopping = True
        for task in self._tasks:
            task.cancel()

    def add(self, task: asyncio.Task[Any]) -> None:
        """Count a request's task as under way."""
        self._tasks.add(task)

    def discard(self, task: asyncio.Task[Any]) -> None:
        """Forget a request's task."""
        self._tasks.discard(task)

    def __len__(self) -> int:
        return len(self._tasks)


class Watch:
    """Cancels a request's task when its client goes away; ASGI servers do not.

    Args:
        receive: the request's ASGI `receive`, whose body has been read.
        task: the task to cancel.
        after: seconds before the watching begins: an operation that is quicker costs one timer and no task.
    """

    def __init__(self, receive: Receive, task: asyncio.Task[Any], after: float) -> None:
        self.gone = False
        self._receive = receive
        self._task = task
        self._watcher: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(after, self._begin)

    def _begin(self) -> None:
        self._watcher = asyncio.get_running_loop().create_task(self._wait())

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        self._task.cancel()

    def close(self) -> None:
        """Stop watching."""
        self._timer.cancel()
        if self._watcher is not None and not self.gone:
            self._watcher.cancel()
