from __future__ import annotations

from typing import Any

import pytest
from jan_completions_ctransformers.request import limit, prompts, refuse
from jan_ctransformers.sampling import Parameters

from jan_core.errors import NotSupported
from jan_core.schemas.completions import CompletionRequest


def body(prompt: Any = "a", **fields: Any) -> CompletionRequest:
    return CompletionRequest.model_validate({"model": "m", "prompt": prompt, **fields})


@pytest.mark.parametrize(
    ("prompt", "found"),
    [
        (None, [""]),
        ("a", ["a"]),
        (["a", ""], ["a", ""]),
        ([1, 2], [[1, 2]]),
        ([[1], [2, 3]], [[1], [2, 3]]),
    ],
)
def test_every_form_of_prompt(prompt: Any, found: Any) -> None:
    assert prompts(body(prompt)) == found


@pytest.mark.parametrize(
    "told", [{"suffix": "x"}, {"logprobs": 0}, {"best_of": 2}, {"logit_bias": {"1": 1}}, {"presence_penalty": 1}]
)
def test_what_it_does_not_do_is_refused_by_name(told: dict[str, Any]) -> None:
    with pytest.raises(NotSupported) as refused:
        refuse(body(**told))
    assert [refused.value.param] == list(told)


def test_values_that_mean_nothing_are_taken() -> None:
    refuse(body(suffix="", best_of=1, n=1, presence_penalty=0))
    refuse(body(best_of=3, n=3))


def test_the_limit() -> None:
    assert limit(body(), Parameters()) == 16
    assert limit(body(), Parameters(max_tokens=5)) == 5
    assert limit(body(max_tokens=0), Parameters(max_tokens=5)) == 0
