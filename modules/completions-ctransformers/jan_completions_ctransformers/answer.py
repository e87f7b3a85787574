"""From the worker's pieces to the chunks that the caller reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jan_ctransformers.sampling import refused

from jan_core import call
from jan_core.errors import EngineError
from jan_core.ids import new_id, now
from jan_core.schemas.common import CompletionUsage, PromptTokensDetails
from jan_core.schemas.completions import CompletionChunk

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
            "id": new_id("cmpl-", 29),
            "created": now(),
            "model": model,
            "system_fingerprint": "ctransformers",
        }
        self._context = context
        self._begun: set[int] = set()
        self._finished: set[int] = set()
        self._prompts: dict[int, tuple[int, int]] = {}
        self._written: dict[int, int] = {}

    def chunks(self, piece: dict[str, Any], index: int, prompt: int, shown: str) -> Iterator[CompletionChunk]:
        """The chunks of one piece.

        Args:
            piece: as the worker sent it.
            index: which answer, of all prompts.
            prompt: which prompt.
            shown: text that the answer begins with.

        Raises:
            ContextLengthExceeded, InvalidRequest, EngineError: the piece is an error.
        """
        if "error" in piece:
            raise refused(piece["error"], "prompt")
        self._count(piece, index, prompt)
        text, reason = piece.get("text") or "", piece.get("finish_reason")
        if index not in self._begun and (text or reason):
            self._begun.add(index)
            text = shown + text
        if text:
            yield self._chunk(index, text)
        if reason:
            self._finished.add(index)
            yield self._chunk(index, "", reason)

    def check(self, index: int) -> None:
        """Raise where the worker ended without finishing answer number `index`."""
        if index not in self._finished:
            raise EngineError("The engine ended its answer without saying why it stopped.", code="incomplete_answer")

    def last(self) -> CompletionChunk:
        """The chunk that carries `usage`."""
        prompt = sum(tokens for tokens, _ in self._prompts.values())
        cached = sum(cached for _, cached in self._prompts.values())
        written = sum(self._written.values())
        usage = CompletionUsage(
            prompt_tokens=prompt,
            completion_tokens=written,
            total_tokens=prompt + written,
            prompt_tokens_details=PromptTokensDetails(cached_tokens=cached),
        )
        return CompletionChunk(**self._head, choices=[], usage=usage)

    def _count(self, piece: dict[str, Any], index: int, prompt: int) -> None:
        """Each prompt counts once, with what was known of it when it was read first; the answers add up."""
        if "prompt_tokens" in piece:
            self._prompts.setdefault(prompt, (piece["prompt_tokens"], piece["cached_tokens"]))
        if "completion_tokens" in piece:
            self._written[index] = piece["completion_tokens"]
        if self._context is not None:
            self._context.prompt_tokens = sum(tokens for tokens, _ in self._prompts.values())
            self._context.completion_tokens = sum(self._written.values())

    def _chunk(self, index: int, text: str, reason: Any = None) -> CompletionChunk:
        choice = {"index": index, "text": text, "logprobs": None, "finish_reason": reason}
        return CompletionChunk.model_validate({**self._head, "choices": [choice]})
