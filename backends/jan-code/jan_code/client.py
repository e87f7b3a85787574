"""OpenAI's official client, as the assistant's environment has it, over the pipe; standard library only until then."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from typing import Any

from jan_code.pipe import BrokenOff, Pipe, Reply

MISSING = (
    "context.client is OpenAI's client, which is not there: name `openai` in the assistant's pyproject.toml, and run "
    "`jan assistants install`. context.ask() needs no packages"
)
"""What an assistant is told whose environment lacks it."""
URL = "http://localhost/v1"
"""Where the client believes the server to be."""


def official(pipe: Pipe) -> Any:
    """An `openai.AsyncOpenAI` whose requests go over the pipe.

    Raises:
        ModuleNotFoundError: the assistant's environment has no `openai`.
    """
    try:
        import openai
    except ModuleNotFoundError as error:
        if error.name != "openai":
            raise
        raise ModuleNotFoundError(MISSING, name="openai") from None
    http = _http(openai)
    # No key, and none is needed: the server knows whose run it is.
    client = http.AsyncClient(transport=_transport(http, pipe), base_url=URL, trust_env=False, timeout=None)
    return openai.AsyncOpenAI(base_url=URL, api_key="none", http_client=client)


def _http(openai: Any) -> Any:
    """The HTTP library that this version of the client is made for."""
    kinds = openai.DefaultAsyncHttpxClient.__mro__
    base = next(kind for kind in kinds if kind.__name__ == "AsyncClient")
    return sys.modules[base.__module__.partition(".")[0]]


def _transport(http: Any, pipe: Pipe) -> Any:
    class Body(http.AsyncByteStream):  # type: ignore[misc]
        def __init__(self, reply: Reply, request: Any) -> None:
            self._reply, self._request = reply, request

        async def __aiter__(self) -> AsyncIterator[bytes]:
            try:
                async for piece in self._reply:
                    yield piece
            except BrokenOff as error:
                raise http.RemoteProtocolError(str(error), request=self._request) from None

        async def aclose(self) -> None:
            self._reply.leave()

    class Transport(http.AsyncBaseTransport):  # type: ignore[misc]
        async def handle_async_request(self, request: Any) -> Any:
            path = request.url.raw_path.decode("ascii")
            try:
                reply = await pipe.ask(request.method, path, request.headers.items(), await request.aread())
            except BrokenOff as error:
                raise http.RemoteProtocolError(str(error), request=request) from None
            return http.Response(reply.status, headers=reply.headers, stream=Body(reply, request), request=request)

    return Transport()
