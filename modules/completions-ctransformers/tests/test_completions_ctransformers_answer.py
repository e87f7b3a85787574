from __future__ import annotations

from typing import Any

import pytest
from jan_completions_ctransformers.answer import Answer

from jan_core.errors import EngineError, InvalidRequest


def texts(answer: Answer, *pieces: dict[str, Any], index: int = 0, prompt: int = 0, shown: str = "") -> list[str]:
    return [
        chunk.choices[0].text or chunk.choices[0].finish_reason or "-"
        for piece in pieces
        for chunk in answer.chunks(piece, index, prompt, shown)
    ]


def test_the_prompt_comes_first_where_it_is_shown() -> None:
    end = {"text": "b", "completion_tokens": 2, "finish_reason": "stop"}
    pieces: list[dict[str, Any]] = [{"text": "", "completion_tokens": 1}, {"text": "a", "completion_tokens": 1}, end]
    assert texts(Answer("m", None), *pieces, shown="x") == ["xa", "b", "stop"]
    nothing = {"text": "", "completion_tokens": 0, "finish_reason": "length"}
    assert texts(Answer("m", None), nothing, shown="x") == ["x", "length"]


def test_usage_counts_each_prompt_once() -> None:
    answer = Answer("m", None)
    for index in range(4):
        texts(answer, {"prompt_tokens": 5, "cached_tokens": index}, index=index, prompt=index // 2)
        texts(answer, {"text": "a", "completion_tokens": 3}, index=index, prompt=index // 2)
    usage = answer.last().usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (10, 12, 22)


def test_errors_and_ends() -> None:
    with pytest.raises(InvalidRequest, match="prompt"):
        texts(Answer("m", None), {"error": {"code": "unknown_token", "message": "no such token"}})
    with pytest.raises(EngineError, match="without saying why"):
        Answer("m", None).check(0)
