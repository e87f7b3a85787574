"""Both ends of the pipe in one process: requests of a `Pipe` are answered by an app."""

from __future__ import annotations

import asyncio
from typing import Any

from jan_code.pipe import Pipe
from jan_code.serving import Serving


class Wire:
    """What a process and the server send each other, one after another, without a process in between."""

    def __init__(self, app: Any, *, most: int = 8, longest: int = 1 << 20) -> None:
        self.told: list[dict[str, Any]] = []
        self.used: list[tuple[int, int]] = []
        self.pipe = Pipe(self.take, most, longest)
        self.readable = asyncio.Event()
        self.readable.set()
        self.serving = Serving(app, self, longest, lambda *tokens: self.used.append(tokens))  # type: ignore[arg-type]

    def take(self, message: dict[str, Any]) -> None:
        """What the process sends."""
        if "request" in message:
            self.serving.begin(message["request"])
        else:
            self.serving.leave(message["leave"]["number"])

    def send(self, message: dict[str, Any]) -> None:
        """What the server sends."""
        self.told.append(message)
        self.pipe.take(message)

    async def sent(self) -> None:
        """Return when the process reads."""
        await self.readable.wait()


JSON = [("content-type", "application/json")]
