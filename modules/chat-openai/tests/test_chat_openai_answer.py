from __future__ import annotations

from typing import Any

import pytest
from jan_chat_openai.answer import Answer

from jan_core.errors import EngineError
from jan_core.schemas.chat import ChatCompletionRequest


def answer(**fields: Any) -> Answer:
    body = {"model": "m", "messages": [{"role": "user", "content": "hello"}], **fields}
    return Answer(ChatCompletionRequest.model_validate(body))


def told(one: Answer, *pieces: dict[str, Any], index: int = 0) -> list[dict[str, Any]]:
    """The choices of all chunks of these pieces, without their indexes."""
    chunks = [chunk for piece in pieces for chunk in one.chunks(piece, index)]
    return [chunk.model_dump()["choices"][0] for chunk in chunks]


def piece(delta: Any = None, reason: Any = None, **more: Any) -> dict[str, Any]:
    return {"choices": [{"delta": {} if delta is None else delta, "finish_reason": reason}], **more}


def test_whatever_the_order_the_grammar_is_kept() -> None:
    one = answer()
    found = told(one, piece({"content": "a"}), piece({"content": "b"}, "stop"), piece({"content": "late"}))
    assert [(each["delta"], each["finish_reason"]) for each in found] == [
        ({"role": "assistant", "content": ""}, None),
        ({"content": "a"}, None),
        ({"content": "b"}, None),
        ({}, "stop"),
    ]
    assert list(one.end()) == []


def test_an_answer_without_its_end_is_none() -> None:
    one = answer(n=2)
    told(one, piece({"content": "a"}, "stop"), index=0)
    told(one, piece({"content": "a"}), index=1)
    with pytest.raises(EngineError, match="without saying why"):
        list(one.end())


@pytest.mark.parametrize(
    ("reason", "wanted"),
    [("length", "length"), ("eos", "stop"), ("max_tokens", "length"), ("odd", "stop"), (7, "stop")],
)
def test_reasons_are_those_of_the_api(reason: Any, wanted: str) -> None:
    assert told(answer(), piece(reason=reason))[-1]["finish_reason"] == wanted


def test_usage_of_several_answers_counts_the_prompt_once() -> None:
    one = answer(n=2, stream=True, stream_options={"include_usage": True})
    for index, written in enumerate((3, 4)):
        told(one, piece({"content": "a"}, "stop"), index=index)
        told(
            one,
            {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": written, "total_tokens": 99}},
            index=index,
        )
    (last,) = one.end()
    assert last.choices == []
    assert last.usage is not None
    assert (last.usage.prompt_tokens, last.usage.completion_tokens, last.usage.total_tokens) == (5, 7, 12)


def test_nobody_is_told_a_usage_that_the_server_did_not_tell() -> None:
    one = answer(stream=True, stream_options={"include_usage": True})
    told(one, piece(reason="stop", usage={"prompt_tokens": "many"}))
    assert list(one.end()) == []


def test_calls_have_an_id_and_their_name_once() -> None:
    one = answer()
    calls = [
        [{"index": 0, "function": {"name": "add", "arguments": "{"}, "odd": 1}],
        [{"index": 0, "id": "x", "function": {"name": "add", "arguments": "}", "odd": 2}}],
    ]
    found = told(one, *(piece({"tool_calls": each}) for each in calls), piece(reason="stop"))
    first, second = (each["delta"]["tool_calls"][0] for each in found[1:3])
    assert first["id"].startswith("call_")
    assert (first["type"], first["function"]) == ("function", {"name": "add", "arguments": "{"})
    assert second == {"index": 0, "function": {"arguments": "}"}}
    assert found[-1]["finish_reason"] == "tool_calls"


def test_probabilities_are_cut_to_what_was_asked_and_made_finite() -> None:
    one = answer(logprobs=True, top_logprobs=1)
    top = [{"token": "a", "logprob": -1}, {"token": "b", "logprob": -2}]
    content = [{"token": "a", "logprob": float("-inf"), "id": 4, "top_logprobs": top}]
    delta = {"delta": {"content": "a"}, "logprobs": {"content": content}}
    found = told(one, {"choices": [delta]})[-1]["logprobs"]["content"]
    assert found == [
        {
            "token": "a",
            "logprob": -9999.0,
            "bytes": [97],
            "top_logprobs": [{"token": "a", "logprob": -1.0, "bytes": [97]}],
        }
    ]


def test_nobody_gets_probabilities_that_were_not_asked_for() -> None:
    delta = {"delta": {"content": "a"}, "logprobs": {"content": []}}
    assert "logprobs" not in told(answer(), {"choices": [delta]})[-1]


@pytest.mark.parametrize(
    "odd",
    [
        {"choices": "no"},
        {"choices": [7]},
        {"choices": [{"delta": []}]},
        {"choices": [{"index": 1, "delta": {}}]},
        {"choices": [{"delta": {"content": 7}}]},
        {"choices": [{"delta": {"tool_calls": {"a": 1}}}]},
        {"choices": [{"delta": {"tool_calls": [{"function": {"arguments": {}}}]}}]},
        {},
    ],
)
def test_what_is_no_piece_of_an_answer_is_the_servers_fault(odd: dict[str, Any]) -> None:
    with pytest.raises(EngineError, match="upstream"):
        told(answer(), odd)
