"""Official clients without a server: an HTTP transport that is the app itself, in this process.

    async with open_jan("~/jan") as jan, client(jan) as http:
        openai = AsyncOpenAI(base_url="http://localhost/v1", api_key="x", http_client=http)
        ...

Replies stream: each piece reaches the client as the app sends it, and closing the response ends the request.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2

from jan_core.app import Jan
from jan_core.asgi import create_app


def client(jan: Jan, **options: Any) -> httpx2.AsyncClient:
    """An HTTP client whose requests go to `jan`, which must have been entered.

    Args:
        jan: the running app.
        options: passed on to `httpx2.AsyncClient`.
    """
    options.setdefault("base_url", "http://localhost/v1")
    return httpx2.AsyncClient(transport=AppTransport(create_app(jan)), **options)


class AppTransport(httpx2.AsyncBaseTransport):
    """Carries requests to an ASGI app.

    Args:
        app: an ASGI app whose lifespan somebody else runs.
    """

    def __init__(self, app: Any) -> None:
        self._app = app

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Run one request; returns when the app has sent the status."""
        exchange = _Exchange(await request.aread())
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": request.url.scheme,
            "path": request.url.path,
            "raw_path": request.url.raw_path.split(b"?")[0],
            "query_string": request.url.query,
            "root_path": "",
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "client": ("in-process", 0),
            "server": (request.url.host, request.url.port or 80),
            "state": {},
        }
        exchange.task = asyncio.create_task(self._app(scope, exchange.receive, exchange.send))
        exchange.task.add_done_callback(exchange.finished)
        try:
            await exchange.started.wait()
        except BaseException:
            await exchange.aclose()
            raise
        if exchange.status is None:
            exchange.task.result()  # raises what the app raised
            raise httpx2.RemoteProtocolError("the app ended without a reply", request=request)
        return httpx2.Response(exchange.status, headers=exchange.headers, stream=exchange, request=request)


class _Exchange(httpx2.AsyncByteStream):
    """One request and the stream of its reply."""

    def __init__(self, body: bytes) -> None:
        self.status: int | None = None
        self.headers: list[tuple[bytes, bytes]] = []
        self.started = asyncio.Event()
        self.task: asyncio.Task[None] | None = None
        self._body: bytes | None = body
        self._left = asyncio.Event()
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue(16)

    async def receive(self) -> dict[str, Any]:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], list(message["headers"])
            self.started.set()
        elif message.get("body"):
            await self._pieces.put(message["body"])

    def finished(self, task: asyncio.Task[None]) -> None:
        self.started.set()
        self._left.set()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        assert self.task is not None
        while True:
            getter = asyncio.ensure_future(self._pieces.get())
            try:
                await asyncio.wait({getter, self.task}, return_when=asyncio.FIRST_COMPLETED)
            except asyncio.CancelledError:
                getter.cancel()
                raise
            if getter.done():
                piece = getter.result()
                if piece is not None:
                    yield piece
                continue
            getter.cancel()
            while not self._pieces.empty():
                piece = self._pieces.get_nowait()
                if piece is not None:
                    yield piece
            self.task.result()
            return

    async def aclose(self) -> None:
        """The client leaves: the app is told, and its request has ended when this returns."""
        self._left.set()
        if self.task is not None and not self.task.done():
            while not self.task.done():
                while not self._pieces.empty():
                    self._pieces.get_nowait()
                await asyncio.wait({self.task}, timeout=0.05)
