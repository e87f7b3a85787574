"""The endpoint `chat` on ctransformers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, ClassVar

from jan_ctransformers.sampling import check_length, defaults, refused, sampling

from jan_chat_ctransformers.request import messages, refuse
from jan_core import call
from jan_core.endpoints.chat import Chat
from jan_core.errors import InvalidRequest, Unavailable

if TYPE_CHECKING:
    from jan_ctransformers import CTransformers

    from jan_core.app import Jan
    from jan_core.schemas.chat import ChatCompletionChunk, ChatCompletionRequest
    from jan_core.schemas.models import ModelLocation


class ChatCTransformers(Chat):
    """Chat completions by ctransformers.

    Args:
        jan: gives `models`, which knows where a model's files are.
        engine: the loaded models.
    """

    engine: ClassVar[str | None] = "ctransformers"

    def __init__(self, jan: Jan, engine: CTransformers) -> None:
        self._jan = jan
        self._engine = engine

    async def ready(self) -> None:
        """A model for this engine is installed, and fits into the memory for models."""
        await self._engine.ready(
            "Put a GGML file into a folder of its own in models/, or link it: jan models pull ./file.bin"
        )

    async def create_stream(self, body: ChatCompletionRequest) -> AsyncIterator[ChatCompletionChunk]:
        """See `Chat`. The answers of `n` are written one after the other."""
        from jan_chat_ctransformers.answer import Answer  # the first request pays for the schemas, not the start

        refuse(body)
        said = messages(body)
        location = await self._locate(body.model)
        own = defaults(location)
        check_length(sum(len(one["content"]) for one in said), self._engine.model(location).context, "messages")
        answer = Answer(body.model, call.current())
        limit = body.max_completion_tokens or body.max_tokens or own.max_tokens
        for index in range(body.n or 1):
            asked = {"messages": said, "max_tokens": limit, **sampling(body, own, index)}
            async with AsyncExitStack() as stack:
                pieces = self._engine.generate(location, "chat", asked)
                stack.push_async_callback(pieces.aclose)  # type: ignore[attr-defined]
                async for piece in pieces:
                    for chunk in answer.chunks(piece, index):
                        yield chunk
            answer.check(index)
        if body.stream_options is not None and body.stream_options.include_usage:
            yield answer.last()

    async def check(self, body: ChatCompletionRequest) -> None:
        """See `Chat`."""
        refuse(body)
        messages(body)
        await self._locate(body.model)

    async def count_tokens(self, body: ChatCompletionRequest) -> int:
        """See `Chat`."""
        said = messages(body)
        location = await self._locate(body.model)
        async with AsyncExitStack() as stack:
            pieces = self._engine.generate(location, "count", {"messages": said})
            stack.push_async_callback(pieces.aclose)  # type: ignore[attr-defined]
            async for piece in pieces:
                if "error" in piece:
                    raise refused(piece["error"], "messages")
                return int(piece["tokens"])
        raise Unavailable("The engine ended without counting.")

    async def context_length(self, body: ChatCompletionRequest) -> int:
        """See `Chat`."""
        return self._engine.model(await self._locate(body.model)).context

    async def _locate(self, model: str) -> ModelLocation:
        location: ModelLocation = await self._jan.models.locate(model)
        if location.engine not in (None, self.engine):
            raise InvalidRequest(
                f"The model {model!r} is for the engine {location.engine!r}; chat-ctransformers runs ctransformers.",
                param="model",
                code="engine_not_available",
            )
        return location
