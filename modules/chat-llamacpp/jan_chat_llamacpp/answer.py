"""From the pieces that the engine writes to the chunks that the caller reads."""

from __future__ import annotations

from typing import Any

from jan_core import call
from jan_core.errors import ContextLengthExceeded, EngineError, InvalidRequest, JanError
from jan_core.ids import new_id, now
from jan_core.schemas.chat import ChatCompletionChunk, CompletionUsage
from jan_core.schemas.common import PromptTokensDetails


class Answer:
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
        self._pieces = 0

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
                found.append(self._chunk(index, {"role": "assistant", "content": ""}))
            if text:
                self._pieces += 1
                found.append(self._chunk(index, {"content": text}))
            if reason:
                self._finished.add(index)
                found.append(self._chunk(index, {}, reason))
        if self._context is not None and self._pieces > self._written:
            self._context.completion_tokens = self._pieces  # as far as is known, should the caller leave now
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

    def _chunk(self, index: int, delta: dict[str, Any], reason: Any = None) -> ChatCompletionChunk:
        # One validation of the whole, not one each of delta, choice and chunk: a third less time an event.
        choice = {"index": index, "delta": delta, "finish_reason": reason}
        return ChatCompletionChunk.model_validate({**self._head, "choices": [choice]})

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
