from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from jan_core.errors import Busy, EngineError
from jan_core.folding import fold_chat, streamed
from jan_core.schemas.chat import ChatCompletionChunk, ChatCompletionRequest
from tests.parts import chat_body
from tests.pinned import spec

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


class Source:
    """Chunks from plain objects, and whether their iterator was closed."""

    def __init__(self, *choices: list[dict[str, Any]], fail: Exception | None = None, **last: Any) -> None:
        self.choices = choices
        self.fail = fail
        self.last = last
        self.closed = False

    async def __call__(self) -> AsyncIterator[ChatCompletionChunk]:
        head = {"id": "chatcmpl-1", "created": 5, "model": "m", "system_fingerprint": "fp"}
        try:
            for listed in self.choices:
                yield ChatCompletionChunk.model_validate({**head, "choices": listed})
            if self.fail is not None:
                raise self.fail
            if self.last:
                yield ChatCompletionChunk.model_validate({**head, "choices": [], **self.last})
        finally:
            self.closed = True


def piece(index: int = 0, finish: str | None = None, **delta: Any) -> dict[str, Any]:
    logprobs = delta.pop("logprobs", None)
    return {"index": index, "delta": delta, "finish_reason": finish, "logprobs": logprobs}


async def fold(source: Source) -> dict[str, Any]:
    reply = (await fold_chat(source())).model_dump(mode="json")
    assert source.closed
    spec().validate("POST", "/v1/chat/completions", 200, reply)
    return reply


@pytest.mark.anyio
async def test_the_pieces_become_the_reply() -> None:
    reply = await fold(
        Source(
            [piece(role="assistant", content="")],
            [piece(content="Hé")],
            [piece(content="llo")],
            [piece(finish="length")],
            usage=USAGE,
        )
    )
    assert (reply["id"], reply["created"], reply["model"], reply["system_fingerprint"]) == ("chatcmpl-1", 5, "m", "fp")
    assert reply["usage"] == USAGE
    assert reply["choices"] == [
        {
            "index": 0,
            "finish_reason": "length",
            "logprobs": None,
            "message": {"role": "assistant", "content": "Héllo", "refusal": None, "annotations": []},
        }
    ]


@pytest.mark.anyio
async def test_choices_that_come_mixed_are_kept_apart_and_ordered() -> None:
    reply = await fold(
        Source(
            [piece(1, content="x"), piece(0, content="a")],
            [piece(0, content="b")],
            [piece(1, "length", content="y")],
            [piece(0, "stop")],
        )
    )
    told = [(one["index"], one["message"]["content"], one["finish_reason"]) for one in reply["choices"]]
    assert told == [(0, "ab", "stop"), (1, "xy", "length")]
    assert "usage" not in reply


@pytest.mark.anyio
async def test_calls_come_in_pieces_too() -> None:
    def call(index: int, **fields: Any) -> dict[str, Any]:
        return piece(tool_calls=[{"index": index, **fields}])

    reply = await fold(
        Source(
            [call(0, id="c0", type="function", function={"name": "add", "arguments": ""})],
            [call(1, id="c1", type="function", function={"name": "sub", "arguments": "{}"})],
            [call(0, function={"arguments": '{"a":'})],
            [call(0, function={"arguments": "1}"})],
            [piece(finish="tool_calls")],
        )
    )
    message = reply["choices"][0]["message"]
    assert message["content"] is None
    assert message["tool_calls"] == [
        {"id": "c0", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}},
        {"id": "c1", "type": "function", "function": {"name": "sub", "arguments": "{}"}},
    ]


@pytest.mark.anyio
async def test_refusals_logprobs_and_an_empty_answer() -> None:
    def token(text: str) -> dict[str, Any]:
        return {"content": [{"token": text, "logprob": -1.0, "bytes": None, "top_logprobs": []}], "refusal": None}

    reply = await fold(
        Source(
            [piece(refusal="I ", logprobs=token("a"))],
            [piece(refusal="won't", logprobs=token("b"))],
            [piece(finish="stop")],
        )
    )
    choice = reply["choices"][0]
    assert (choice["message"]["refusal"], choice["message"]["content"]) == ("I won't", "")
    assert [one["token"] for one in choice["logprobs"]["content"]] == ["a", "b"]
    empty = await fold(Source([piece(role="assistant", content="")], [piece(finish="stop")]))
    assert empty["choices"][0]["message"] == {"role": "assistant", "content": "", "refusal": None, "annotations": []}


@pytest.mark.anyio
@pytest.mark.parametrize(
    "choices", [[], [[]], [[piece(content="a")]], [[piece(0, "stop"), piece(1, content="b")]]], ids=str
)
async def test_an_answer_that_does_not_say_why_it_stopped_is_an_error(choices: list[Any]) -> None:
    source = Source(*choices)
    with pytest.raises(EngineError) as caught:
        await fold_chat(source())
    assert caught.value.code == "incomplete_answer"
    assert source.closed


@pytest.mark.anyio
async def test_an_error_in_the_stream_is_the_replys_and_closes_it() -> None:
    source = Source([piece(content="a")], fail=Busy("Full."))
    with pytest.raises(Busy):
        await fold_chat(source())
    assert source.closed


def test_the_request_is_turned_into_a_stream_with_usage_and_left_alone_itself() -> None:
    body = ChatCompletionRequest.model_validate(chat_body("a", temperature=0.5))
    made = streamed(body)
    assert made.stream is True
    assert made.stream_options is not None
    assert made.stream_options.include_usage is True
    assert made.temperature == 0.5
    assert not body.stream
    assert body.stream_options is None


@pytest.mark.anyio
async def test_a_reply_can_be_sent_back_as_it_came() -> None:
    answer = (await fold(Source([piece(content="Hi")], [piece(finish="stop")])))["choices"][0]["message"]
    user = {"role": "user", "content": "Hello"}
    body = ChatCompletionRequest.model_validate({"model": "m", "messages": [user, answer, user]})
    assert body.messages[1].model_dump(include={"annotations"}) == {}  # they reach no engine
