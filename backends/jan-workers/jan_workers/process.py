"""The server's end of a worker process: starting it, its answers, and its death."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, cast

from pydantic_core import from_json

from jan_core.errors import EngineError, InvalidRequest, JanError, Unavailable
from jan_workers import wire

_KEPT_LINES = 20
_STARTUP_SECONDS = 60.0
"""For a fresh Python to start and import the engine."""


class NeverTaken(Exception):
    """The worker was dead before it read the request: another one can have it, and nothing is done twice."""


class Generation:
    """One request that a worker answers: its pieces, in order, and its end.

    Attributes:
        taken: the worker has read the request.
    """

    def __init__(self, worker: WorkerProcess, number: int, on_end: Callable[[], None]) -> None:
        self.taken = False
        self._left = False
        self._worker = worker
        self._number = number
        self._on_end = on_end
        self._pieces: deque[bytes] = deque()
        self._ended = False
        self._error: JanError | NeverTaken | None = None
        self._waiter: asyncio.Future[None] | None = None

    def put(self, piece: bytes) -> None:
        """A piece has arrived."""
        self._pieces.append(piece)
        self._wake()

    def end(self, error: JanError | NeverTaken | None = None) -> None:
        """Nothing more arrives; its slot is free, unless another worker is about to take the request."""
        if not self._ended:
            self._ended = True
            self._error = error
            self._wake()
            if self._left or not isinstance(error, NeverTaken):
                self._on_end()

    def cancel(self) -> None:
        """Ask the worker to stop. The slot is given back when it has, not before."""
        if self._left:
            return
        self._left = True
        if self._ended and isinstance(self._error, NeverTaken):
            self._on_end()
        elif not self._ended:
            self._worker.write(wire.pack(wire.CANCEL, self._number))

    async def pieces(self) -> AsyncIterator[dict[str, Any]]:
        """The pieces as the engine wrote them. Closing the iterator cancels the request.

        Raises:
            EngineError: the worker died.
            InvalidRequest: its chat template did not finish.
            NeverTaken: the worker was dead before it read the request; the slot is still taken.
        """
        try:
            while True:
                while self._pieces:
                    yield from_json(self._pieces.popleft())
                if self._ended:
                    if self._error is not None:
                        self._left = True  # whoever is told has the slot, where it is still taken
                        raise self._error
                    return
                self._waiter = asyncio.get_running_loop().create_future()
                await self._waiter
        finally:
            self.cancel()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class WorkerProcess(asyncio.SubprocessProtocol):
    """A worker process and what runs in it.

    Args:
        module: the Python module that the process runs.
        model: the model's id, for messages.
        path: the file it loads, for messages.
        explain: why a load failed, out of the last lines on stderr, oldest first; None where they do not tell.
        template_at: where its chat template stands, for messages; the file where nobody says.
    """

    def __init__(
        self,
        module: str,
        model: str,
        path: str,
        explain: Callable[[Sequence[str]], str | None],
        template_at: str | None = None,
    ) -> None:
        self.module = module
        self.model = model
        self.path = path
        self.template_at = template_at or path
        self.alive = False
        self.active: dict[int, Generation] = {}
        self.on_gone: Callable[[], None] | None = None
        """Called once when the process has ended."""
        self.last_lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._explain = explain
        self._last_number = 0
        self._asked = False
        self._silent = 0.0
        self._hung = False
        self._unloaded = False
        self._fatal: dict[str, str] | None = None
        self._fatal_request = 0
        self._frames = wire.Frames(self._take)
        self._stages: dict[int, asyncio.Future[None]] = {}
        self._transport: asyncio.SubprocessTransport | None = None
        self._exited = asyncio.get_running_loop().create_future()

    @property
    def pid(self) -> int | None:
        """The process id, while it runs."""
        return self._transport.get_pid() if self._transport is not None else None

    async def start(self, given: Mapping[str, Any], *, check_seconds: float, load_seconds: float) -> None:
        """Start the process and load the model.

        Raises:
            InvalidRequest: the model cannot be loaded; the message names its file. No process is left.
            Unavailable: it did not start or load in time.
        """
        loop = asyncio.get_running_loop()
        self._stages = {stage: loop.create_future() for stage in (wire.STARTED, wire.CHECKED, wire.READY)}
        environ = {**os.environ, "PYTHONUNBUFFERED": "1"}
        await loop.subprocess_exec(lambda: self, sys.executable, "-m", self.module, env=environ)
        self.write(wire.pack(wire.LOAD, 0, json.dumps(dict(given)).encode()))
        try:
            await self._reach(wire.STARTED, _STARTUP_SECONDS, "the worker process did not start")
            late = f"the chat template did not finish within {check_seconds:g} s"
            await self._reach(wire.CHECKED, check_seconds, late)
            await self._reach(wire.READY, load_seconds, "the model did not load")
        except BaseException:
            self.kill()
            raise
        self.alive = True

    async def _reach(self, stage: int, seconds: float, late: str) -> None:
        done, _ = await asyncio.wait(
            {self._stages[stage], self._exited}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
        )
        if self._stages[stage] in done:
            return
        if not done:
            if stage == wire.CHECKED:
                raise self._template_error(f"{late}; the model was not loaded", "model", "harmful_template")
            raise Unavailable(f"{self.path}: {late} within {seconds:g} s.", code="model_load_timeout", retry_after=10)
        raise self._load_error()

    def _load_error(self) -> JanError:
        if self._transport is not None and self._transport.get_returncode() == -9:  # SIGKILL
            return Unavailable(
                f"The model {self.model!r} was killed while it was loaded from {self.path}; most often that is the "
                "system, when memory runs out. A smaller model, `context` or `slots` needs less.",
                code="model_load_killed",
                retry_after=10,
            )
        if self._fatal is not None and self._fatal["code"] in ("harmful_template", "bad_template"):
            return self._template_error(self._fatal["message"], "model", self._fatal["code"])
        reason = self._explain(list(self.last_lines)) or (self._fatal or {}).get("message")
        reason = (reason or "the engine crashed while loading it")[:300].rstrip(".")
        if "template" in reason and self.template_at != self.path:  # its own would be the file's fault
            return self._template_error(reason, "model", "bad_template")
        return InvalidRequest(
            f"The model {self.model!r} cannot be loaded from {self.path}: {reason}. "
            "Check the file, or pull the model again.",
            param="model",
            code="model_load_failed",
        )

    def generate(self, task: str, body: bytes, on_end: Callable[[], None]) -> Generation:
        """Begin a request.

        Args:
            task: the worker's word for what to do, such as `chat`.
            body: what the task takes, JSON.
            on_end: called once, when the slot is free again.
        """
        self._last_number += 1
        generation = Generation(self, self._last_number, on_end)
        if not self.alive:
            generation.end(NeverTaken())
            return generation
        self.active[self._last_number] = generation
        self.write(wire.pack(wire.REQUEST, self._last_number, task.encode() + b"\n" + body))
        return generation

    def write(self, data: bytes) -> None:
        """Send a frame; to a process that has gone it is dropped, since its end is noticed anyway."""
        pipe = self._transport.get_pipe_transport(0) if self._transport is not None else None
        if pipe is not None and not pipe.is_closing():
            cast(asyncio.WriteTransport, pipe).write(data)

    def kill(self) -> None:
        """End the process at once."""
        self.alive = False
        if self._transport is not None and self._transport.get_returncode() is None:
            try:
                self._transport.kill()
            except ProcessLookupError:
                return

    async def stop(self) -> None:
        """End the process and wait until it has gone."""
        self._unloaded = self.alive
        self.kill()
        if self._transport is not None:
            await asyncio.wait({self._exited}, timeout=10)
            self._transport.close()

    def look(self, passed: float, limit: float) -> None:
        """See whether the worker still lives; one that has requests to answer and gives no sign for too long is ended.

        Args:
            passed: seconds since the last look.
            limit: seconds without a sign that are too long.
        """
        if not (self.alive and self.active):
            self._silent = 0.0
        elif not self._asked:
            self._asked = True
            self._silent = 0.0
            self.write(wire.pack(wire.PING, 0))
        else:
            self._silent += passed
            if self._silent >= limit:
                self._hung = True
                self.kill()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio when the process runs."""
        self._transport = cast(asyncio.SubprocessTransport, transport)  # uvloop's derives from nothing

    def pipe_data_received(self, fd: int, data: bytes | str) -> None:
        """Called by asyncio with what the process wrote."""
        assert isinstance(data, bytes)
        if fd == 1:
            self._frames.feed(data)
        else:
            self.last_lines.extend(data.decode("utf-8", "replace").splitlines())

    def process_exited(self) -> None:
        """Called by asyncio when the process has ended, by itself or not; what it wrote last may not be read yet."""
        self.alive = False

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio when the pipes are closed too: what it wrote last has been read."""
        self._gone()
        if self._transport is not None:
            self._transport.close()
        if not self._exited.done():
            self._exited.set_result(None)

    def _gone(self) -> None:
        self.alive = False
        for number, generation in list(self.active.items()):
            generation.end(self.died(number) if generation.taken else NeverTaken())
        self.active.clear()
        if self.on_gone is not None:
            self.on_gone()

    def died(self, number: int = 0) -> JanError:
        """What a request is told: the one that ended the worker, why; the others, that asking again helps."""
        if self._fatal is not None and number and number == self._fatal_request:
            return self._template_error(self._fatal["message"], "messages", self._fatal["code"])
        if self._unloaded:
            return EngineError(f"The model {self.model!r} was unloaded while it answered; ask again to have it loaded.")
        how = "gave no sign of life any more and was ended" if self._hung else "ended unexpectedly"
        return EngineError(
            f"The worker process of the model {self.model!r} ({self.path}) {how}; the next request starts it again."
        )

    def _take(self, kind: int, request: int, payload: bytes) -> None:
        if kind == wire.EVENT:
            if request in self.active:
                self.active[request].put(payload)
        elif kind == wire.END:
            generation = self.active.pop(request, None)
            if generation is not None:
                generation.end(self._request_error(payload) if payload else None)
        elif kind == wire.TAKEN:
            if request in self.active:
                self.active[request].taken = True
        elif kind == wire.PONG:
            self._asked = False
            self._silent = 0.0
        elif kind == wire.FATAL:
            self._fatal, self._fatal_request = json.loads(payload), request
        elif kind in self._stages and not self._stages[kind].done():
            self._stages[kind].set_result(None)

    def _template_error(self, why: str, param: str, code: str) -> InvalidRequest:
        mend = "; mend it in the model's folder" if code == "bad_template" else ""
        return InvalidRequest(f"{self.template_at}: {why.rstrip('.')}{mend}.", param=param, code=code)

    def _request_error(self, payload: bytes) -> JanError:
        told = json.loads(payload)
        if told["code"] == "template_failed":
            why = f"the chat template cannot render these messages: {told['message']}"
            return self._template_error(why, "messages", "template_failed")
        if told["code"] == "invalid_messages":
            why = f"The engine cannot answer these messages: {told['message'].rstrip('.')}."
            return InvalidRequest(why, param="messages", code="invalid_messages")
        return EngineError(f"The engine could not answer: {told['message']}", code=told["code"])
