from __future__ import annotations

from typing import Any

import pytest
from jan_chat_llamacpp.answer import Answer

from jan_core.call import Call
from jan_core.errors import ContextLengthExceeded, EngineError, InvalidRequest, JanError


def piece(index: int, text: str | None = None, reason: str | None = None, **more: Any) -> dict[str, Any]:
    delta = {} if text is None else {"content": text}
    return {"choices": [{"index": index, "delta": delta, "finish_reason": reason}], **more}


def told(answer: Answer, *pieces: dict[str, Any], first: int = 0) -> list[tuple[int, Any, Any, Any]]:
    found = [chunk.choices[0] for one in pieces for chunk in answer.chunks(one, first)]
    return [(choice.index, choice.delta.role, choice.delta.content, choice.finish_reason) for choice in found]


def test_a_choice_begins_with_its_role_and_ends_with_its_reason() -> None:
    answer = Answer("m", None)
    assert told(answer, piece(0, ""), piece(0, "a"), piece(0, "b"), piece(0, reason="stop")) == [
        (0, "assistant", "", None),
        (0, None, "a", None),
        (0, None, "b", None),
        (0, None, None, "stop"),
    ]
    answer.check(1)


def test_an_answer_without_text_has_a_role_too() -> None:
    assert told(Answer("m", None), piece(0, reason="stop")) == [(0, "assistant", "", None), (0, None, None, "stop")]


def test_later_rounds_go_on_counting_choices() -> None:
    answer = Answer("m", None)
    told(answer, piece(0, reason="stop"), piece(1, reason="length"))
    assert [index for index, *_ in told(answer, piece(0, "x", "length"), first=2)] == [2, 2, 2]
    answer.check(3)
    with pytest.raises(EngineError) as error:
        answer.check(4)
    assert error.value.code == "incomplete_answer"


def test_the_prompt_counts_once_and_the_answers_add_up() -> None:
    context = Call("req_x")
    answer = Answer("m", context)
    for tokens, cached in ((3, 0), (5, 9)):
        usage = {"prompt_tokens": 10, "completion_tokens": tokens, "prompt_tokens_details": {"cached_tokens": cached}}
        answer.chunks({"choices": [], "usage": usage}, 0)
    last = answer.last()
    assert last.choices == []
    assert last.usage is not None
    counts = (last.usage.prompt_tokens, last.usage.completion_tokens, last.usage.total_tokens)
    assert counts == (10, 8, 18)
    assert last.usage.prompt_tokens_details is not None
    assert last.usage.prompt_tokens_details.cached_tokens == 0, "the first choice's tells what earlier requests left"
    assert (context.prompt_tokens, context.completion_tokens) == (10, 8)


def test_what_was_written_is_told_should_the_caller_leave() -> None:
    context = Call("req_1")
    answer = Answer("m", context)
    told(answer, piece(0, "a"), piece(0, "b"))
    assert context.completion_tokens == 2
    told(answer, piece(0, reason="stop", usage={"prompt_tokens": 3, "completion_tokens": 5}))
    assert (context.prompt_tokens, context.completion_tokens) == (3, 5)


def test_every_chunk_has_the_same_head() -> None:
    answer = Answer("m", None)
    chunks = [*answer.chunks(piece(0, "a", "stop"), 0), answer.last()]
    assert {(chunk.id, chunk.created, chunk.model) for chunk in chunks} == {(chunks[0].id, chunks[0].created, "m")}
    assert Answer("m", None).last().id != chunks[0].id


@pytest.mark.parametrize(
    ("error", "kind", "param"),
    [
        (
            {"type": "exceed_context_size_error", "n_prompt_tokens": 900, "n_ctx": 512, "code": 400},
            ContextLengthExceeded,
            "messages",
        ),
        ({"type": "invalid_request_error", "message": "bad", "code": 400}, InvalidRequest, None),
        ({"type": "server_error", "message": "boom", "code": 500}, EngineError, None),
        ({}, EngineError, None),
    ],
)
def test_an_error_of_the_engine_is_one_of_ours(error: dict[str, Any], kind: type[JanError], param: str | None) -> None:
    with pytest.raises(kind) as raised:
        Answer("m", None).chunks({"error": error}, 0)
    assert type(raised.value) is kind
    assert raised.value.param == param
    if "n_ctx" in error:
        assert "900" in raised.value.message
        assert "512" in raised.value.message
