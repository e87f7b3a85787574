from __future__ import annotations

from typing import Any

import pytest
from jan_completions_openai.answer import Answer

from jan_core.errors import EngineError
from jan_core.schemas.completions import CompletionRequest


def answer(prompt: Any = "ab", **fields: Any) -> Answer:
    return Answer(CompletionRequest.model_validate({"model": "m", "prompt": prompt, **fields}))


def told(one: Answer, index: int, *pieces: dict[str, Any]) -> list[tuple[int, str, str | None]]:
    chunks = [chunk for piece in pieces for chunk in one.chunks(piece, index)]
    return [(each.index, each.text, each.finish_reason) for chunk in chunks for each in chunk.choices]


def piece(text: str = "", reason: Any = None, **more: Any) -> dict[str, Any]:
    return {"choices": [{"text": text, "finish_reason": reason, **more}]}


def test_each_prompt_has_its_choices_and_echo_comes_first() -> None:
    one = answer(["ab", "cd"], n=2, echo=True)
    assert told(one, 3, piece("x"), piece("y", "length"), piece("late")) == [
        (3, "cd", None),
        (3, "x", None),
        (3, "y", None),
        (3, "", "length"),
    ]
    with pytest.raises(EngineError, match="without saying why"):
        list(one.end())


def test_usage_counts_each_prompt_once() -> None:
    one = answer(["ab", "cd"], n=2, stream=True, stream_options={"include_usage": True})
    for index, (read, written) in enumerate(((2, 1), (2, 2), (3, 3), (3, 4))):
        told(one, index, piece("x", "stop"))
        told(one, index, {"choices": [], "usage": {"prompt_tokens": read, "completion_tokens": written}})
    (last,) = one.end()
    assert last.usage is not None
    assert (last.usage.prompt_tokens, last.usage.completion_tokens, last.usage.total_tokens) == (5, 10, 15)


@pytest.mark.parametrize(
    "given",
    [
        {"tokens": ["x", "yz"], "token_logprobs": [-1, None], "top_logprobs": [{"q": -3}, None], "text_offset": [9, 9]},
        {
            "content": [
                {"token": "x", "logprob": -1, "top_logprobs": [{"token": "q", "logprob": -3}]},
                {"token": "yz", "logprob": None, "top_logprobs": []},
            ]
        },
    ],
)
def test_probabilities_of_either_form_are_those_of_the_api(given: dict[str, Any]) -> None:
    one = answer(logprobs=1)
    told(one, 0, piece("abc"))
    (chunk,) = one.chunks(piece("xyz", logprobs=given), 0)
    found = chunk.choices[0].logprobs
    assert found is not None
    assert (found.tokens, found.token_logprobs, found.text_offset) == (["x", "yz"], [-1.0, -9999.0], [3, 4])
    assert found.top_logprobs == [{"q": -3.0, "x": -1.0}, {"yz": -9999.0}]


@pytest.mark.parametrize(
    "odd", [{"choices": [{"text": 7}]}, {"choices": [{"text": "a", "index": 1}]}, {"choices": None}]
)
def test_what_is_no_piece_of_an_answer_is_the_servers_fault(odd: dict[str, Any]) -> None:
    with pytest.raises(EngineError, match="upstream"):
        told(answer(), 0, odd)
