from __future__ import annotations

import json
from typing import Any

import pytest
from jan_completions_openai.request import asked, encoded, prompts, refuse

from jan_core.errors import NotSupported
from jan_core.schemas.base import keeping_unknown
from jan_core.schemas.completions import CompletionRequest


def body(prompt: Any = "ab", **fields: Any) -> CompletionRequest:
    return CompletionRequest.model_validate({"model": "alias", "prompt": prompt, **fields})


@pytest.mark.parametrize(
    ("prompt", "found"),
    [("a", ["a"]), (None, [""]), (["a", "b"], ["a", "b"]), ([1, 2], [[1, 2]]), ([[1], [2]], [[1], [2]])],
)
def test_prompts_are_told_one_by_one(prompt: Any, found: list[Any]) -> None:
    assert prompts(body(prompt)) == found


def test_one_answer_to_one_prompt_is_asked_for_with_the_limit_of_the_api() -> None:
    request = asked(body(n=2, best_of=2, echo=True, seed=4), "own-id")
    assert json.loads(encoded(request, "ab", 1)) == {
        "model": "own-id",
        "prompt": "ab",
        "seed": 5,
        "max_tokens": 16,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert json.loads(encoded(asked(body(max_tokens=3), "m"), "ab"))["max_tokens"] == 3


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"suffix": "x"}, "suffix"),
        ({"best_of": 2}, "best_of"),
        ({"echo": True, "prompt": [1, 2]}, "echo"),
        ({"echo": True, "logprobs": 1}, "logprobs"),
    ],
)
def test_what_is_not_done_is_refused(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(NotSupported) as told:
        refuse(body(fields.pop("prompt", "ab"), **fields))
    assert told.value.param == param


def test_fields_that_the_api_does_not_know_go_as_they_came() -> None:
    more = {"guided_regex": "a+", "nothing": None}
    open_body = keeping_unknown(CompletionRequest).model_validate({"model": "alias", "prompt": "ab", **more})
    assert asked(open_body, "m") == asked(body(), "m") | more
