from __future__ import annotations

from typing import Any

import pytest
from jan_chat_ctransformers.answer import Answer

from jan_core.errors import ContextLengthExceeded, EngineError


def texts(answer: Answer, *pieces: dict[str, Any], index: int = 0) -> list[str]:
    return [
        chunk.choices[0].delta.content or chunk.choices[0].finish_reason or "-"
        for piece in pieces
        for chunk in answer.chunks(piece, index)
    ]


def test_pieces_without_text_are_no_chunks() -> None:
    answer = Answer("m", None)
    assert texts(answer, {"prompt_tokens": 5, "cached_tokens": 2}, {}, {"text": "", "completion_tokens": 1}) == []
    assert texts(answer, {"text": "a", "completion_tokens": 2}) == ["-", "a"]
    assert texts(answer, {"text": "", "completion_tokens": 3, "finish_reason": "stop"}) == ["stop"]
    answer.check(0)


def test_usage_counts_the_prompt_once_and_every_answer() -> None:
    answer = Answer("m", None)
    for index in (0, 1):
        texts(answer, {"prompt_tokens": 5, "cached_tokens": 4 * index}, index=index)
        texts(answer, {"text": "a", "completion_tokens": 3, "finish_reason": "length"}, index=index)
    usage = answer.last().usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (5, 6, 11)
    assert usage.prompt_tokens_details is not None
    assert usage.prompt_tokens_details.cached_tokens == 0, "what the first one found; the others found what it left"


def test_errors_and_ends() -> None:
    with pytest.raises(ContextLengthExceeded):
        texts(Answer("m", None), {"error": {"code": "context_length_exceeded", "message": "9 tokens"}})
    with pytest.raises(EngineError, match="without saying why"):
        Answer("m", None).check(0)
