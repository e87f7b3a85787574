from __future__ import annotations

from typing import Any

import pytest
from jan_upstreams.mending import LEAST, Counted, check_alone, choices_of, count_of, logarithm, text_of, usage_of

from jan_core import call
from jan_core.errors import EngineError


def test_texts() -> None:
    assert [text_of(one, "text") for one in ("a", "", None)] == ["a", None, None]
    for odd in (1, ["a"], {}, True):
        with pytest.raises(EngineError, match="a text that is no text"):
            text_of(odd, "text")


def test_numbers_of_tokens() -> None:
    assert [count_of(one) for one in (0, 5, 2**53 - 1)] == [0, 5, 2**53 - 1]
    assert [count_of(one) for one in (-1, 2**53, True, 1.0, "1", None)] == [None] * 6


def test_choices() -> None:
    assert choices_of({"choices": [{"index": 0}]}) == [{"index": 0}]
    assert choices_of({"choices": []}) == []
    assert choices_of({"usage": {"prompt_tokens": 1}}) == []
    for odd in ({}, {"choices": None}, {"choices": "a"}, {"choices": [1]}, {"choices": {}}):
        with pytest.raises(EngineError, match="no piece of an answer"):
            choices_of(odd)


def test_one_answer_was_asked_for() -> None:
    for choice in ({}, {"index": None}, {"index": 0}):
        check_alone(choice)
    with pytest.raises(EngineError, match="nobody asked for"):
        check_alone({"index": 1})


@pytest.mark.parametrize(
    "odd",
    [None, [], {}, {"prompt_tokens": -1}, {"prompt_tokens": 1, "completion_tokens": "1"}, {"completion_tokens": 1}],
)
def test_usage_that_adds_up_to_nothing(odd: Any) -> None:
    assert usage_of({"usage": odd}) is None


def test_usage_adds_up_whatever_was_told() -> None:
    told = {
        "prompt_tokens": 3,
        "completion_tokens": 4,
        "total_tokens": 99,
        "prompt_tokens_details": {"cached_tokens": 2, "odd": 1, "audio_tokens": None},
        "completion_tokens_details": [],
        "queue_time": 0.1,
    }
    found = usage_of({"usage": told})
    assert found is not None
    assert found.model_dump(exclude_none=True) == {
        "prompt_tokens": 3,
        "completion_tokens": 4,
        "total_tokens": 7,
        "prompt_tokens_details": {"cached_tokens": 2},
    }
    alone = usage_of({"usage": {"prompt_tokens": 3}})
    assert alone is not None
    assert alone.total_tokens == 3


def test_answers_to_one_prompt_read_it_once() -> None:
    def piece(read: int, written: int) -> dict[str, Any]:
        return {"usage": {"prompt_tokens": read, "completion_tokens": written}}

    context = call.Call("req_1")
    call.enter(context)
    counted = Counted()
    assert counted.usage() is None
    counted.add({}, 0)
    assert counted.usage() is None
    counted.add(piece(3, 1), 0)
    counted.add(piece(3, 2), 0)  # some tell it with every piece
    counted.add(piece(3, 4), 1)
    counted.add(piece(5, 8), 2, prompt=1)
    found = counted.usage()
    assert found is not None
    assert (found.prompt_tokens, found.completion_tokens, found.total_tokens) == (8, 14, 22)
    assert (context.prompt_tokens, context.completion_tokens) == (8, 14)


def test_logarithms_are_numbers() -> None:
    assert [logarithm(one) for one in (-0.5, 0, -1e9)] == [-0.5, 0.0, LEAST]
    assert [logarithm(one) for one in (None, "a", float("nan"), float("-inf"))] == [LEAST] * 4
