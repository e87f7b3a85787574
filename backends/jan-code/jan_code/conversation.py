"""What an assistant's own `run` says and does, as it arrives from its process, and the requests that it makes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from jan_code.frames import STRAY, NoFrame
from jan_code.serving import Serving
from jan_core.schemas.tools import FunctionName

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from jan_code.process import CodeProcess

MOST_STEPS = 256
"""Steps that one run may have."""
QUIET, QUIETS = 0.5, 3
"""Seconds without anything after which that is told, and how often."""
WAITING = 256
"""Pieces that may wait to be stored; the process waits when there are more."""

_NAME: TypeAdapter[str] = TypeAdapter(FunctionName, config=ConfigDict(defer_build=True))


@dataclass(frozen=True, slots=True)
class Begins:
    """The run is about to begin: its code is carried out when the next event is asked for."""


@dataclass(frozen=True, slots=True)
class Said:
    """A piece of text; an empty one where nothing has come for a moment, so that what came before can be stored."""

    text: str


@dataclass(frozen=True, slots=True)
class Stepped:
    """Something that was done.

    Attributes:
        name: what.
        arguments: with what; JSON, or whatever the code wrote.
        output: what came out.
    """

    name: str
    arguments: str
    output: str


@dataclass(frozen=True, slots=True)
class Used:
    """Tokens that a model took for a request of the code.

    Attributes:
        prompt_tokens: that it read.
        completion_tokens: that it wrote.
    """

    prompt_tokens: int
    completion_tokens: int


class Conversation:
    """One run.

    Args:
        process: where it goes on.
        app: the ASGI app that its requests go to.
        longest: bytes that all it says and puts into steps may have, and each body of its requests.
    """

    def __init__(self, process: CodeProcess, app: ASGIApp, longest: int) -> None:
        self._process, self._longest = process, longest
        self._serving = Serving(app, process, longest, lambda read, written: self._put(Used(read, written)))
        self._waiting: deque[Said | Stepped | Used] = deque()
        self._woken = asyncio.Event()
        self._bytes = self._steps = 0
        self.answer: dict[str, Any] = {}
        """What the process said last, when it is over."""

    async def hold(self, message: dict[str, Any], seconds: float) -> AsyncGenerator[Said | Stepped | Used]:
        """Begin it, and give what it says and does until it is over. Closing it early ends the process.

        Args:
            message: see `jan_code.frames`.
            seconds: how long it may take.

        Raises:
            Ended: the process ended before that.
        """
        asked = asyncio.create_task(self._process.ask(message, seconds, self._take))
        asked.add_done_callback(lambda task: self._woken.set())
        quiet = 0
        try:
            while self._waiting or not asked.done():
                self._woken.clear()
                if not self._waiting:
                    try:
                        async with asyncio.timeout(QUIET if quiet < QUIETS else None):
                            await self._woken.wait()
                    except TimeoutError:
                        quiet += 1
                        yield Said("")
                    continue
                event, quiet = self._waiting.popleft(), 0
                if len(self._waiting) < WAITING // 2:
                    self._process.read_on(True)
                yield event
            self.answer = asked.result()
        finally:
            asked.cancel()
            await asyncio.wait({asked})
            if not asked.cancelled():
                asked.exception()  # looked at
            self._process.read_on(True)
            await self._serving.aclose()
        while self._waiting:  # what requests took that the code did not wait for
            yield self._waiting.popleft()

    def _take(self, message: dict[str, Any]) -> bool:
        """Take a message; False where it is the answer."""
        if "number" in message:
            return False
        if len(message) != 1:
            raise NoFrame(STRAY)
        ((kind, told),) = message.items()
        if not isinstance(told, dict):
            raise NoFrame(STRAY)
        if kind == "say":
            self._put(Said(self._text(told, "text")))
        elif kind == "step":
            self._steps += 1
            if self._steps > MOST_STEPS:
                raise NoFrame(f"it had more than {MOST_STEPS} steps")
            try:
                name = _NAME.validate_python(told.get("name"))
            except ValidationError:
                raise NoFrame(STRAY) from None
            self._put(Stepped(name, self._text(told, "arguments"), self._text(told, "output")))
        elif kind == "request":
            self._serving.begin(told)
        elif kind == "leave":
            self._serving.leave(told.get("number"))
        else:
            raise NoFrame(STRAY)
        return True

    def _text(self, told: dict[str, Any], name: str) -> str:
        text = told.get(name)
        if not isinstance(text, str):
            raise NoFrame(STRAY)
        raw = text.encode("utf-8", "replace")  # half a character of UTF-16 cannot be stored
        self._bytes += len(raw)
        if self._bytes > self._longest:
            raise NoFrame(f"it gave more than {self._longest} bytes")
        return raw.decode()

    def _put(self, event: Said | Stepped | Used) -> None:
        self._waiting.append(event)
        self._woken.set()
        if len(self._waiting) > WAITING:
            self._process.read_on(False)
