"""From the worker's pieces to the chunks that the caller reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jan_ctransformers.sampling import refused

from jan_core import call
from jan_core.errors import EngineError
from jan_core.ids import new_id, now
from jan_core.schemas.chat import ChatCompletionChunk, CompletionUsage
from jan_core.schemas.common import PromptTokensDetails

if TYPE_CHECKING:
    from collections.abc import Iterator


class Answer:
    """Turns the worker's pieces into chunks, and counts.

    Args:
        model: the id the caller asked for.
        context: where the tokens are reported to.
    """

    def __init__(self, model: str, context: call.Call | None) -> None:
        self._head: dict[str, Any] = {
            "id": new_id("chatcmpl-", 29),
            "created": now(),
            "model": model,
            "system_fingerprint": "ctransformers",
        }
        self._context = context
        self._begun: set[int] = set()
        self._finished: set[int] = set()
        self._prompt = 0
        self._cached: int | None = None
        self._written: dict[int, int] = {}

    def chunks(self, piece: dict[str, Any], index: int) -> Iterator[ChatCompletionChunk]:
        """The chunks of one piece of answer number `index`.

        Raises:
            ContextLengthExceeded, InvalidRequest, EngineError: the piece is an error.
        """
        if "error" in piece:
            raise refused(piece["error"], "messages")
        self._count(piece, index)
        text, reason = piece.get("text"), piece.get("finish_reason")
        if index not in self._begun and (text or reason):
            self._begun.add(index)
            yield self._chunk(index, {"role": "assistant", "content": ""})
        if text:
            yield self._chunk(index, {"content": text})
        if reason:
            self._finished.add(index)
            yield self._chunk(index, {}, reason)

    def check(self, index: int) -> None:
        """Raise where the worker ended without finishing answer number `index`."""
        if index not in self._finished:
            raise EngineError("The engine ended its answer without saying why it stopped.", code="incomplete_answer")

    def last(self) -> ChatCompletionChunk:
        """The chunk that carries `usage`."""
        written = sum(self._written.values())
        usage = CompletionUsage(
            prompt_tokens=self._prompt,
            completion_tokens=written,
            total_tokens=self._prompt + written,
            prompt_tokens_details=None if self._cached is None else PromptTokensDetails(cached_tokens=self._cached),
        )
        return ChatCompletionChunk(**self._head, choices=[], usage=usage)

    def _count(self, piece: dict[str, Any], index: int) -> None:
        """Every answer reports its own: the prompt counts once, as OpenAI counts it, the answers add up."""
        if "prompt_tokens" in piece:
            self._prompt = piece["prompt_tokens"]
            if self._cached is None:
                self._cached = piece["cached_tokens"]
        if "completion_tokens" in piece:
            self._written[index] = piece["completion_tokens"]
        if self._context is not None:
            self._context.prompt_tokens = self._prompt
            self._context.completion_tokens = sum(self._written.values())

    def _chunk(self, index: int, delta: dict[str, Any], reason: Any = None) -> ChatCompletionChunk:
        # One validation of the whole, not one each of delta, choice and chunk: a third less time an event.
        choice = {"index": index, "delta": delta, "finish_reason": reason}
        return ChatCompletionChunk.model_validate({**self._head, "choices": [choice]})
