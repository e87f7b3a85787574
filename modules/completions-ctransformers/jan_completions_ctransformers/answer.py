"""From the worker's pieces to the chunks that the caller reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jan_ctransformers.counting import Counting
from jan_ctransformers.sampling import refused

from jan_core import call
from jan_core.errors import EngineError
from jan_core.ids import new_id, now
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
        self._counting = Counting(context)
        self._begun: set[int] = set()
        self._finished: set[int] = set()

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
        self._counting.add(piece, index, prompt)
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
        return CompletionChunk(**self._head, choices=[], usage=self._counting.usage())

    def _chunk(self, index: int, text: str, reason: Any = None) -> CompletionChunk:
        choice = {"index": index, "text": text, "logprobs": None, "finish_reason": reason}
        return CompletionChunk.of_values({**self._head, "choices": [choice]})
