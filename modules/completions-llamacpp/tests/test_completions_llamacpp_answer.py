from __future__ import annotations

from typing import Any

import pytest
from jan_completions_llamacpp.answer import Answer
from jan_completions_llamacpp.request import Round

from jan_core.errors import ContextLengthExceeded, EngineError, InvalidRequest
from jan_core.schemas.completions import CompletionRequest


def answer(prompts: int = 1, **fields: Any) -> Answer:
    body = CompletionRequest.model_validate({"model": "m", "prompt": ["a"] * prompts, **fields})
    return Answer(body, [""] * prompts, None)


def piece(
    index: int, text: str = "", reason: str | None = None, logprob: float | None = None, **more: Any
) -> dict[str, Any]:
    content = [{"id": 1, "logprob": logprob, "top_logprobs": []}]
    logprobs = None if logprob is None else {"content": content}
    return {"choices": [{"index": index, "text": text, "finish_reason": reason, "logprobs": logprobs}], **more}


def usage(read: int, written: int) -> dict[str, Any]:
    return {
        "usage": {"prompt_tokens": read, "completion_tokens": written, "prompt_tokens_details": {"cached_tokens": 1}}
    }


def test_places_and_counts_over_rounds() -> None:
    made = answer(2, n=3)
    found = []
    for part in (Round([0], 2, 0), Round([0], 1, 2), Round([1], 2, 0), Round([1], 1, 2)):
        for index in range(part.choices):
            found += list(made.chunks(piece(index, "x"), part))
            found += list(made.chunks(piece(index, "", "length", **usage(5, 2)), part))
    assert [chunk.choices[0].index for chunk in found][::2] == [0, 1, 2, 3, 4, 5]
    made.check()
    last = made.last().usage
    assert last is not None
    assert (last.prompt_tokens, last.completion_tokens, last.total_tokens) == (10, 12, 22)
    assert last.prompt_tokens_details is not None
    assert last.prompt_tokens_details.cached_tokens == 2


def test_the_best_come_when_all_are_written() -> None:
    made = answer(n=2, best_of=3)
    part = Round([0], 3, 0)
    for index, logprob in ((0, -1.0), (1, -3.0), (2, -0.5)):
        assert not list(made.chunks(piece(index, str(index), None, logprob), part))
    assert not [*made.chunks(piece(0, "", "stop"), part), *made.chunks(piece(1, "", "stop"), part)]
    found = [choice for chunk in made.chunks(piece(2, "", "stop"), part) for choice in chunk.choices]
    assert [(one.index, one.text, one.finish_reason) for one in found] == [
        (0, "2", None), (0, "", "stop"), (1, "0", None), (1, "", "stop"),
    ]  # fmt: skip


def test_pieces_without_news_say_nothing() -> None:
    made = answer()
    part = Round([0], 1, 0)
    for nothing in (None, {}, {"choices": []}, piece(0), piece(0, prompt_progress={"total": 5})):
        assert not list(made.chunks(nothing, part))
    with pytest.raises(EngineError) as caught:
        made.check()
    assert caught.value.code == "incomplete_answer"


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        ({"type": "exceed_context_size_error", "n_prompt_tokens": 9, "n_ctx": 5}, ContextLengthExceeded),
        ({"type": "invalid_request_error", "message": "no"}, InvalidRequest),
        ({"type": "server_error", "message": "no"}, EngineError),
    ],
)
def test_what_the_engine_refuses(told: dict[str, Any], kind: type[Exception]) -> None:
    with pytest.raises(kind):
        list(answer().chunks({"error": told}, Round([0], 1, 0)))
