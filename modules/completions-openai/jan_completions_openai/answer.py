"""From the pieces of another server's answer to the chunks that the caller reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, get_args

from jan_upstreams.mending import Counted, bad, check_alone, choices_of, logarithm, text_of

from jan_completions_openai.request import prompts
from jan_core.errors import EngineError
from jan_core.ids import new_id, now
from jan_core.schemas.completions import CompletionChunk, CompletionFinishReason

if TYPE_CHECKING:
    from jan_core.schemas.completions import CompletionRequest

REASONS = frozenset(get_args(CompletionFinishReason))


class Answer:
    """Turns pieces into chunks that keep to the grammar of `Completions.create_stream`.

    Args:
        body: what was asked.
    """

    def __init__(self, body: CompletionRequest) -> None:
        self._head: dict[str, Any] = {"id": new_id("cmpl-"), "created": now(), "model": body.model}
        self._prompts = prompts(body)
        self._each = body.n or 1
        self._choices = len(self._prompts) * self._each
        self._echo = bool(body.echo)
        self._logprobs = body.logprobs
        self._written: dict[int, int] = {}
        self._wants_usage = body.stream_options is not None and bool(body.stream_options.include_usage)
        self._begun: set[int] = set()
        self._finished: set[int] = set()
        self._counted = Counted()

    def chunks(self, piece: dict[str, Any], index: int) -> Iterator[CompletionChunk]:
        """The chunks of one piece of answer number `index`.

        Raises:
            EngineError: it is no piece of an answer.
        """
        for choice in choices_of(piece):
            check_alone(choice)
            if index in self._finished:
                continue
            text = text_of(choice.get("text"), "piece of text")
            reason = choice.get("finish_reason")
            if index not in self._begun:
                self._begun.add(index)
                prompt = self._prompts[index // self._each]
                if self._echo and prompt:
                    yield self._chunk(index, prompt)
            if text is not None:
                told = choice.get("logprobs") if self._logprobs is not None else None
                at = self._written.get(index, 0)
                self._written[index] = at + len(text)
                yield self._chunk(index, text, None, _logprobs(told, self._logprobs or 0, at))
            if reason is not None:
                self._finished.add(index)
                yield self._chunk(index, "", reason if reason in REASONS else "stop")
        self._counted.add(piece, index, index // self._each)

    def end(self) -> Iterator[CompletionChunk]:
        """What follows the last piece.

        Raises:
            EngineError: an answer has not ended.
        """
        if len(self._finished) < self._choices:
            raise EngineError("The upstream ended its answer without saying why it stopped.", code="incomplete_answer")
        usage = self._counted.usage()
        if self._wants_usage and usage is not None:
            yield CompletionChunk(**self._head, choices=[], usage=usage)

    def _chunk(self, index: int, text: str, reason: str | None = None, logprobs: Any = None) -> CompletionChunk:
        choice = {"index": index, "text": text, "finish_reason": reason, "logprobs": logprobs}
        return CompletionChunk.of_values({**self._head, "choices": [choice]})


def _logprobs(told: Any, most: int, at: int) -> dict[str, Any] | None:
    """In the API's form for texts; some servers give them in that of chats."""
    if not isinstance(told, dict):
        return None
    if isinstance(content := told.get("content"), list):
        tokens = [one for one in content if isinstance(one, dict)]
        names = [str(one.get("token", "")) for one in tokens]
        values = [logarithm(one.get("logprob")) for one in tokens]
        tops = [
            {
                str(other.get("token", "")): logarithm(other.get("logprob"))
                for other in (one.get("top_logprobs") or [])[:most]
            }
            for one in tokens
        ]
    elif isinstance(told.get("tokens"), list):
        names = [str(one) for one in told["tokens"]]
        values = [logarithm(one) for one in told.get("token_logprobs") or [None] * len(names)]
        tops = [
            {str(name): logarithm(one) for name, one in (each or {}).items()}
            for each in told.get("top_logprobs") or [{}] * len(names)
        ]
    else:
        return None
    if not len(names) == len(values) == len(tops):
        raise bad("probabilities that do not fit its tokens")
    offsets, here = [], at
    for name, value, top in zip(names, values, tops, strict=True):
        offsets.append(here)
        here += len(name)
        top.setdefault(name, value)
    return {"tokens": names, "token_logprobs": values, "top_logprobs": tops, "text_offset": offsets}
