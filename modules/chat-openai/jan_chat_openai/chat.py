"""The endpoint `chat` on other servers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from jan_core.endpoints.chat import Chat

if TYPE_CHECKING:
    from jan_upstreams import Upstreams

    from jan_core.app import Jan
    from jan_core.schemas.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionRequest


class ChatOpenAI(Chat):
    """Chat completions by other servers.

    Args:
        jan: gives `models`, which knows whose a model is.
        engine: the servers.
        passes_on: whether fields that the API does not know go to them.
    """

    engine: ClassVar[str | None] = "openai"

    def __init__(self, jan: Jan, engine: Upstreams, *, passes_on: bool = False) -> None:
        self._jan = jan
        self._engine = engine
        self.takes_unknown_fields = passes_on

    async def ready(self) -> None:
        """One of the servers may be asked."""
        await self._engine.reachable()

    async def create(self, body: ChatCompletionRequest) -> ChatCompletion:
        """See `Chat`. While nothing was told, an answer that breaks off is asked of another server."""
        from jan_core.folding import fold_chat, streamed

        return await fold_chat(self._chunks(streamed(body), whole=True))

    async def create_stream(self, body: ChatCompletionRequest) -> AsyncIterator[ChatCompletionChunk]:
        """See `Chat`."""
        async with AsyncExitStack() as stack:
            chunks = self._chunks(body, whole=False)
            stack.push_async_callback(chunks.aclose)  # type: ignore[attr-defined]
            async for chunk in chunks:
                yield chunk

    async def _chunks(self, body: ChatCompletionRequest, *, whole: bool) -> AsyncIterator[ChatCompletionChunk]:
        from jan_upstreams.together import together

        from jan_chat_openai.answer import Answer  # the first request pays for the schemas, not the start
        from jan_chat_openai.request import asked, encoded, key_of, refuse

        refuse(body)
        model = (await self._jan.models.locate(body.model)).id
        request = asked(body, model)
        answer = Answer(body)
        async with AsyncExitStack() as stack:
            begin = partial(self._engine.stream, model, key_of(request), "/chat/completions", whole=whole)
            pieces = together([partial(begin, encoded(request, index)) for index in range(body.n or 1)])
            stack.push_async_callback(pieces.aclose)  # type: ignore[attr-defined]
            async for index, piece in pieces:
                for chunk in answer.chunks(piece, index):
                    yield chunk
        for chunk in answer.end():
            yield chunk
