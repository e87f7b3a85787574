"""From the worker's pieces to the chunks that the caller reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jan_ctransformers.counting import Counting
from jan_ctransformers.sampling import refused

from jan_core import call
from jan_core.errors import EngineError
from jan_core.ids import new_id, now
from jan_core.schemas.chat import ChatCompletionChunk

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
        self._counting = Counting(context)
        self._begun: set[int] = set()
        self._finished: set[int] = set()

    def chunks(self, piece: dict[str, Any], index: int) -> Iterator[ChatCompletionChunk]:
        """The chunks of one piece of answer number `index`.

        Raises:
            ContextLengthExceeded, InvalidRequest, EngineError: the piece is an error.
        """
        if "error" in piece:
            raise refused(piece["error"], "messages")
        self._counting.add(piece, index)
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
        return ChatCompletionChunk(**self._head, choices=[], usage=self._counting.usage())

    def _chunk(self, index: int, delta: dict[str, Any], reason: Any = None) -> ChatCompletionChunk:
        # One validation of the whole, not one each of delta, choice and chunk: a third less time an event.
        choice = {"index": index, "delta": delta, "finish_reason": reason}
        return ChatCompletionChunk.of_values({**self._head, "choices": [choice]})
