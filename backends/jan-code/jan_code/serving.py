"""Answers the requests of a run's code by the server's own app, in the name of whoever asked for the run."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextvars import copy_context
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from jan_code.frames import AT_ONCE, STRAY, NoFrame
from jan_code.pipe import HEADERS
from jan_core import call

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message

    from jan_code.process import CodeProcess

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
LONGEST_HEAD = 16_384
"""Characters that a path, or all headers, may have."""
PATIENCE = 2.0
"""Seconds that a request has to end in when nobody waits for it any more; then it is cancelled."""
BROKEN = "the server could not answer"
"""What the code is told where the app failed; its log says more."""

log = logging.getLogger("jan")


class Serving:
    """The requests of one run.

    Args:
        app: the ASGI app that they go to.
        process: where they come from.
        longest: bytes that a body may have.
        used: called with the tokens that a request has read and written, when it is over.
    """

    def __init__(self, app: ASGIApp, process: CodeProcess, longest: int, used: Callable[[int, int], None]) -> None:
        self._app, self._process, self._longest, self._used = app, process, longest, used
        caller = call.current()
        self._caller = call.Inside(None) if caller is None else call.Inside(caller.key_name, caller.depth + 1)
        self._going: dict[int, _Request] = {}

    def begin(self, told: Any) -> None:
        """Begin with a request; returns at once.

        Raises:
            NoFrame: it is none, or one too many.
        """
        number, scope, body = _read(told, self._longest)
        if number in self._going:
            raise NoFrame(STRAY)
        if len(self._going) >= AT_ONCE:
            raise NoFrame(f"it had more than {AT_ONCE} requests under way")
        scope["state"] = {"inside": self._caller}
        request = self._going[number] = _Request(number, body, self._process, head=scope["method"] == "HEAD")
        context = copy_context()
        work = request.answer(self._app, scope)
        request.task = asyncio.get_running_loop().create_task(work, context=context)

        def over(task: asyncio.Task[None]) -> None:
            del self._going[number]
            if not task.cancelled():
                task.exception()
            found = context.run(call.current)
            if found is not None and found.completion_tokens is not None:
                self._used(found.prompt_tokens or 0, found.completion_tokens)

        request.task.add_done_callback(over)

    def leave(self, number: Any) -> None:
        """Nobody reads the reply any more. Nothing where it has ended."""
        if isinstance(number, int) and (request := self._going.get(number)) is not None:
            request.left.set()

    async def aclose(self) -> None:
        """End what is under way, and return when it has ended."""
        going = [request.task for request in self._going.values() if request.task is not None]
        for request in self._going.values():
            request.left.set()
        if not going:
            return
        _, late = await asyncio.wait(going, timeout=PATIENCE)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)


class _Request:
    def __init__(self, number: int, body: bytes, process: CodeProcess, *, head: bool) -> None:
        self.task: asyncio.Task[None] | None = None
        self.left = asyncio.Event()
        self._number, self._process = number, process
        self._body: bytes | None = body
        self._begun = False
        self._head = head  # whose reply has no body, whatever the app sends

    async def answer(self, app: ASGIApp, scope: dict[str, Any]) -> None:
        error: dict[str, str] = {}
        try:
            if not await self._answered(app, scope):
                error = {"error": BROKEN}
            # Until its end is written it is under way: a process that reads nothing cannot have ever more of them.
            await self._process.sent()
        finally:
            self._process.send({"end": {"number": self._number, **error}})

    async def _answered(self, app: ASGIApp, scope: dict[str, Any]) -> bool:
        try:
            await app(scope, self._receive, self._send)
        except Exception:
            log.exception("a request of an assistant's code failed")
            return False
        return self._begun

    async def _receive(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if self.left.is_set():
            return
        if message["type"] == "http.response.start":
            self._begun = True
            headers = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in message["headers"]]
            told = {"number": self._number, "status": message["status"], "headers": headers}
            await self._process.sent()
            self._process.send({"reply": told})
        elif (body := message.get("body")) and not self._head:
            await self._process.sent()
            self._process.send({"piece": {"number": self._number, "bytes": body.decode("latin-1")}})


def _read(told: Any, longest: int) -> tuple[int, dict[str, Any], bytes]:
    """Number, ASGI scope and body of a request.

    Raises:
        NoFrame: it is none.
    """
    try:
        number, method, target = told["number"], told["method"], told["path"]
        given = [(name.lower(), value) for name, value in told["headers"]]
        body = told["body"].encode("latin-1")
        headers = [(name.encode("ascii"), value.encode("latin-1")) for name, value in given if name in HEADERS]
        path, _, query = target.encode("ascii").partition(b"?")
        known = method in METHODS  # what has no hash is none
        fits = len(target) + sum(len(name) + len(value) for name, value in headers) <= LONGEST_HEAD
    except (KeyError, TypeError, ValueError, AttributeError):
        raise NoFrame(STRAY) from None
    if type(number) is not int or not known or not path.startswith(b"/") or not fits:
        raise NoFrame(STRAY)
    if len(body) > longest:
        raise NoFrame(f"it sent a request of {len(body)} bytes, and {longest} are the most")
    headers += [(b"host", b"localhost"), (b"content-length", b"%d" % len(body))]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path.decode("ascii")),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": headers,
        "client": ("in-process", 0),
        "server": ("localhost", 80),
    }
    return number, scope, body
