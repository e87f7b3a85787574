"""Around every request: an id, one log line, and the list of those under way."""

from __future__ import annotations

import asyncio
import json
import random
import secrets
import sys
import time
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from jan_core import call
from jan_core.call import Call

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from jan_core.errors import JanError

CLIENT_LEFT = 499
"""The status that the log gives a request whose client went away before the reply."""


class Lines:
    """Writes lines to stderr, those of one turn of the event loop together: a write of its own would cost each more."""

    def __init__(self) -> None:
        self._waiting: list[str] = []

    def __call__(self, line: str) -> None:
        """Write a line, at the end of this turn of the loop."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self.flush)
        self._waiting.append(line)

    def flush(self) -> None:
        """Write what is waiting."""
        text, self._waiting = "\n".join(self._waiting), []
        if text:
            sys.stderr.write(text + "\n")


class RequestLog:
    """The outermost layer: gives each request its id, its call context, and one structured line in the log.

    The line has `time`, `request_id`, `method`, `route` (the template, never the path), `status`, `ms`, and where they
    are known `model`, `prompt_tokens`, `completion_tokens`. It never has content, unless `log_prompts` is on.

    Args:
        app: what it goes around.
        enabled: whether lines are written.
        write: where they go.
    """

    def __init__(self, app: ASGIApp, *, enabled: bool = True, write: Callable[[str], None] | None = None) -> None:
        self.app = app
        self.enabled = enabled
        self.write = write or Lines()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, and write its line when it is over."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        context = Call(f"req_{_chance.getrandbits(96):024x}")
        if (inside := call.inside(scope)) is not None:
            context.key_name, context.depth = inside.key_name, inside.depth
        call.enter(context)
        state = scope.setdefault("state", {})
        state["request_id"] = context.request_id
        header = (b"x-request-id", context.request_id.encode())

        def send_with_id(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                context.status = message["status"]
                message["headers"] = [*message.get("headers", ()), header]
            return send(message)

        try:
            await self.app(scope, receive, send_with_id)
        except Exception:
            context.status = context.status or 500  # nothing was sent, so the server answers with a bare 500
            raise
        finally:
            if self.enabled:
                self.write(_line(scope, context, context.status or CLIENT_LEFT, began, state))

    def refused(self, error: JanError, request_id: str) -> None:
        """Write the line of a request that was refused before it was one: too large, too slow, or no HTTP."""
        if self.enabled:
            told = {"time": _clock(), "request_id": request_id, "method": None, "route": None, "status": error.status}
            self.write(json.dumps({**told, "error": error.code or error.type}))


def _line(scope: Scope, context: Call, status: int, began: float, state: dict[str, Any]) -> str:
    route = state.get("route")
    known = (
        f'{{"time": "{_clock()}", "request_id": "{context.request_id}", "method": "{scope["method"]}", '
        f'"route": {_quoted(route)}, "status": {state.get("status", status)}, '
        f'"ms": {(time.perf_counter() - began) * 1000:.2f}'
    )
    told = {name: value for name in _OF_CALL if (value := getattr(context, name)) is not None}
    told |= {name: state[name] for name in ("error", "prompt") if name in state}
    return f"{known}, {json.dumps(told)[1:]}" if told else known + "}"


_quoted = lru_cache(256)(json.dumps)
"""A route as JSON: there are as many as operations."""
_OF_CALL = ("model", "prompt_tokens", "completion_tokens", "key_name")
_second: tuple[int, str] = (0, "")
_chance = random.Random(secrets.randbits(256))
"""For ids that need not be secret: asking the system for each would cost more than all else that is done with them."""


def _clock() -> str:
    """The time as ISO 8601 in UTC, to the second; the text is made once a second."""
    global _second
    now = int(time.time())
    if _second[0] != now:
        _second = (now, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)))
    return _second[1]


class UnderWay:
    """The requests that are being answered, so that a stop can end them and a vanished client is noticed."""

    def __init__(self) -> None:
        self.stopping = False
        self.slow = Slow()
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
    """Cancels a request's task when its client goes away, from `begin` to `close`; ASGI servers do not.

    Args:
        receive: the request's ASGI `receive`, whose body has been read.
        task: the task to cancel.
    """

    def __init__(self, receive: Receive, task: asyncio.Task[Any]) -> None:
        self.gone = False
        self._receive = receive
        self._task = task
        self._watcher: asyncio.Task[None] | None = None
        self._closed = False

    def begin(self) -> None:
        """Watch from now on, unless it is closed already."""
        if not self._closed:
            self._watcher = asyncio.get_running_loop().create_task(self._wait())

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        self._task.cancel()

    def close(self) -> None:
        """Stop watching."""
        self._closed = True
        if self._watcher is not None and not self.gone:
            self._watcher.cancel()


class Slow:
    """Begins the watches of requests that last: one timer for all, since most requests are over long before.

    Args:
        tick: seconds. A watch begins after one to two of them.
    """

    def __init__(self, tick: float = 0.025) -> None:
        self._tick = tick
        self._loop: asyncio.AbstractEventLoop | None = None
        self._new: list[Watch] = []
        self._older: list[Watch] = []

    def add(self, watch: Watch) -> None:
        """Begin a watch later, unless it is closed by then."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:  # no timer is running, or it was one of a loop that has ended
            self._loop, self._older = loop, []
            loop.call_later(self._tick, self._look)
        self._new.append(watch)

    def _look(self) -> None:
        for watch in self._older:
            watch.begin()
        self._older, self._new = self._new, []
        if self._older and self._loop is not None:
            self._loop.call_later(self._tick, self._look)
        else:
            self._loop = None
