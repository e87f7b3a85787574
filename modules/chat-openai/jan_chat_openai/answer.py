"""From the pieces of another server's answer to the chunks that the caller reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, get_args

from jan_upstreams.mending import Counted, bad, check_alone, choices_of, logarithm, text_of

from jan_core.errors import EngineError
from jan_core.ids import new_id, now
from jan_core.schemas.chat import ChatCompletionChunk, FinishReason

if TYPE_CHECKING:
    from jan_core.schemas.chat import ChatCompletionRequest

REASONS = frozenset(get_args(FinishReason))
OTHER_REASONS = {"eos": "stop", "end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "abort": "stop"}
"""Other words for why an answer ended."""


class Answer:
    """Turns pieces into chunks that keep to the grammar of `Chat.create_stream`, whatever order they come in.

    Args:
        body: what was asked.
    """

    def __init__(self, body: ChatCompletionRequest) -> None:
        self._head: dict[str, Any] = {"id": new_id("chatcmpl-", 29), "created": now(), "model": body.model}
        self._choices = body.n or 1
        self._logprobs = body.top_logprobs or 0 if body.logprobs else None
        self._wants_usage = body.stream_options is not None and bool(body.stream_options.include_usage)
        self._begun: set[int] = set()
        self._finished: set[int] = set()
        self._calls: dict[int, dict[int, bool]] = {}
        self._counted = Counted()

    def chunks(self, piece: dict[str, Any], index: int) -> Iterator[ChatCompletionChunk]:
        """The chunks of one piece of answer number `index`.

        Raises:
            EngineError: it is no piece of an answer.
        """
        for choice in choices_of(piece):
            check_alone(choice)
            if index in self._finished:
                continue
            delta = choice.get("delta")
            if delta is None:
                delta = {}
            if not isinstance(delta, dict):
                raise bad("a piece that is no object")
            reason = choice.get("finish_reason")
            new = self._new(delta, index)
            told = choice.get("logprobs") if self._logprobs is not None else None
            if index not in self._begun:
                self._begun.add(index)
                yield self._chunk(index, {"role": "assistant", "content": ""})
            if new or told:
                yield self._chunk(index, new, None, _logprobs(told, self._logprobs or 0))
            if reason is not None:
                self._finished.add(index)
                reason = OTHER_REASONS.get(reason, reason) if isinstance(reason, str) else None
                if index in self._calls and reason == "stop":
                    reason = "tool_calls"
                yield self._chunk(index, {}, reason if reason in REASONS else "stop")
        self._counted.add(piece, index)

    def end(self) -> Iterator[ChatCompletionChunk]:
        """What follows the last piece.

        Raises:
            EngineError: an answer has not ended.
        """
        if len(self._finished) < self._choices:
            raise EngineError("The upstream ended its answer without saying why it stopped.", code="incomplete_answer")
        usage = self._counted.usage()
        if self._wants_usage and usage is not None:
            yield ChatCompletionChunk(**self._head, choices=[], usage=usage)

    def _new(self, delta: dict[str, Any], index: int) -> dict[str, Any]:
        new: dict[str, Any] = {}
        if (text := text_of(delta.get("content"), "piece of text")) is not None:
            new["content"] = text
        if len(delta) == 1 and new:  # nearly every piece
            return new
        if (text := text_of(delta.get("refusal"), "refusal")) is not None:
            new["refusal"] = text
        thought = delta.get("reasoning_content") or delta.get("reasoning")
        if isinstance(thought, str) and thought:
            new["reasoning_content"] = thought
        if calls := delta.get("tool_calls"):
            if not isinstance(calls, list):
                raise bad("calls that are no list")
            new["tool_calls"] = [self._call(one, index, place) for place, one in enumerate(calls)]
        return new

    def _call(self, piece: Any, index: int, place: int) -> dict[str, Any]:
        if not isinstance(piece, dict):
            raise bad("a call that is no object")
        number = piece.get("index")
        number = number if isinstance(number, int) and 0 <= number < 1024 else place
        known = self._calls.setdefault(index, {})
        function = piece.get("function")
        function = function if isinstance(function, dict) else {}
        called = {}
        for name in ("name", "arguments"):
            value = function.get(name)
            if isinstance(value, dict):
                raise bad("arguments that are no JSON text")
            if isinstance(value, str) and (value or name == "arguments"):
                called[name] = value
        found: dict[str, Any] = {"index": number}
        if number not in known:
            known[number] = True
            id = piece.get("id")
            found |= {"id": id if isinstance(id, str) and id else new_id("call_"), "type": "function"}
            called.setdefault("arguments", "")
        elif "name" in called:
            del called["name"]  # some tell it with every piece
        if called:
            found["function"] = called
        return found

    def _chunk(
        self, index: int, delta: dict[str, Any], reason: str | None = None, logprobs: Any = None
    ) -> ChatCompletionChunk:
        # One validation of the whole, not one each of delta, choice and chunk.
        choice: dict[str, Any] = {"index": index, "delta": delta, "finish_reason": reason}
        if logprobs is not None:
            choice["logprobs"] = logprobs
        return ChatCompletionChunk.of_values({**self._head, "choices": [choice]})


def _logprobs(told: Any, most: int) -> dict[str, Any] | None:
    if not isinstance(told, dict):
        return None
    return {"content": _tokens(told.get("content"), most), "refusal": _tokens(told.get("refusal"), most)}


def _tokens(told: Any, most: int) -> list[dict[str, Any]] | None:
    if not isinstance(told, list):
        return None
    return [
        {**_token(one), "top_logprobs": [_token(other) for other in _several(one.get("top_logprobs"))[:most]]}
        for one in _several(told)
    ]


def _several(told: Any) -> list[dict[str, Any]]:
    return [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []


def _token(told: dict[str, Any]) -> dict[str, Any]:
    token = told.get("token")
    token = token if isinstance(token, str) else ""
    raw = told.get("bytes")
    good = isinstance(raw, list) and all(isinstance(one, int) and 0 <= one < 256 for one in raw)
    return {"token": token, "logprob": logarithm(told.get("logprob")), "bytes": raw if good else list(token.encode())}
