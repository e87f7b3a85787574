from __future__ import annotations

from typing import Any

import pytest
from jan_completions_llamacpp.request import Round, engine_request, limit, place, rounds, texts
from jan_llamacpp.sampling import Parameters

from jan_core.schemas.completions import CompletionRequest


def body(**fields: Any) -> CompletionRequest:
    return CompletionRequest.model_validate({"model": "m", "prompt": "a", **fields})


@pytest.mark.parametrize(
    ("prompts", "choices", "slots", "wanted"),
    [
        (1, 1, 4, [Round([0], 1, 0)]),
        (5, 1, 4, [Round([0, 1, 2, 3], 1, 0), Round([4], 1, 0)]),
        (3, 2, 4, [Round([0, 1], 2, 0), Round([2], 2, 0)]),
        (2, 3, 2, [Round([0], 2, 0), Round([0], 1, 2), Round([1], 2, 0), Round([1], 1, 2)]),
        (2, 1, 1, [Round([0], 1, 0), Round([1], 1, 0)]),
    ],
)
def test_answers_are_spread_over_the_slots(prompts: int, choices: int, slots: int, wanted: list[Round]) -> None:
    found = list(rounds(prompts, choices, slots))
    assert found == wanted
    assert all(part.slots <= slots for part in found)


@pytest.mark.parametrize(
    ("prompt", "wanted", "last"),
    [
        (None, [""], "prompt"),
        ("a", ["a"], "prompt"),
        (["a", "b"], ["a", "b"], "prompt[1]"),
        ([1, 2], [[1, 2]], "prompt"),
        ([[1], [2]], [[1], [2]], "prompt[1]"),
    ],
    ids=str,
)
def test_the_forms_of_a_prompt(prompt: Any, wanted: list[Any], last: str) -> None:
    made = body(prompt=prompt)
    assert texts(made) == wanted
    assert place(made, len(wanted) - 1) == last


def test_what_the_engine_is_asked() -> None:
    own = Parameters(temperature=0.5, top_k=7, max_tokens=3)
    asked = engine_request(
        body(seed=2**32, top_p=0.1, logit_bias={"5": 1}, stop="x"), own, ["a", "b"], Round([1], 2, 3)
    )
    assert asked == {
        "prompt": ["b"],
        "n": 2,
        "max_tokens": 3,
        "stream": True,
        "stream_options": {"include_usage": True},
        "return_progress": True,
        "cache_prompt": True,
        "temperature": 0.5,
        "top_p": 0.1,
        "top_k": 7,
        "stop": "x",
        "logit_bias": [[5, 1]],
        "seed": 4,
    }
    assert engine_request(body(logprobs=0), Parameters(), ["a"], Round([0], 1, 0))["logprobs"] == 1
    assert engine_request(body(best_of=2), Parameters(), ["a"], Round([0], 2, 0))["logprobs"] == 1
    assert (limit(body(), Parameters()), limit(body(max_tokens=0), own)) == (16, 0)
