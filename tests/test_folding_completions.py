from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from jan_core.errors import Busy, EngineError
from jan_core.folding_completions import fold_completion, streamed
from jan_core.schemas.completions import CompletionChunk, CompletionRequest
from tests.pinned import spec

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


class Source:
    """Chunks from plain objects, and whether their iterator was closed."""

    def __init__(self, *choices: list[dict[str, Any]], fail: Exception | None = None, **last: Any) -> None:
        self.choices = choices
        self.fail = fail
        self.last = last
        self.closed = False

    async def __call__(self) -> AsyncIterator[CompletionChunk]:
        head = {"id": "cmpl-1", "created": 5, "model": "m", "system_fingerprint": "fp"}
        try:
            for listed in self.choices:
                yield CompletionChunk.model_validate({**head, "choices": listed})
            if self.fail is not None:
                raise self.fail
            if self.last:
                yield CompletionChunk.model_validate({**head, "choices": [], **self.last})
        finally:
            self.closed = True


def piece(index: int = 0, text: str = "", finish: str | None = None, logprobs: Any = None) -> dict[str, Any]:
    return {"index": index, "text": text, "finish_reason": finish, "logprobs": logprobs}


def token(text: str, offset: int) -> dict[str, Any]:
    return {"tokens": [text], "token_logprobs": [-1.0], "top_logprobs": [{text: -1.0}], "text_offset": [offset]}


async def fold(source: Source) -> dict[str, Any]:
    reply = (await fold_completion(source())).model_dump(mode="json")
    assert source.closed
    spec().validate("POST", "/v1/completions", 200, reply)
    return reply


@pytest.mark.anyio
async def test_the_pieces_become_the_reply() -> None:
    reply = await fold(
        Source(
            [piece(1, "x"), piece(0, "Hé", logprobs=token("Hé", 0))],
            [piece(0, "llo", logprobs=token("llo", 2))],
            [piece(0, finish="length")],
            [piece(1, finish="stop")],
            usage=USAGE,
        )
    )
    assert (reply["id"], reply["created"], reply["model"], reply["system_fingerprint"]) == ("cmpl-1", 5, "m", "fp")
    assert (reply["object"], reply["usage"]) == ("text_completion", USAGE)
    assert [(one["index"], one["text"], one["finish_reason"]) for one in reply["choices"]] == [
        (0, "Héllo", "length"),
        (1, "x", "stop"),
    ]
    assert reply["choices"][0]["logprobs"] == {
        "tokens": ["Hé", "llo"],
        "token_logprobs": [-1.0, -1.0],
        "top_logprobs": [{"Hé": -1.0}, {"llo": -1.0}],
        "text_offset": [0, 2],
    }
    assert reply["choices"][1]["logprobs"] is None


@pytest.mark.anyio
@pytest.mark.parametrize("choices", [[], [[]], [[piece(text="a")]], [[piece(0, "", "stop"), piece(1, "b")]]], ids=str)
async def test_an_answer_that_does_not_say_why_it_stopped_is_an_error(choices: list[Any]) -> None:
    source = Source(*choices)
    with pytest.raises(EngineError) as caught:
        await fold_completion(source())
    assert caught.value.code == "incomplete_answer"
    assert source.closed


@pytest.mark.anyio
async def test_an_error_in_the_stream_is_the_replys_and_closes_it() -> None:
    source = Source([piece(text="a")], fail=Busy("Full."))
    with pytest.raises(Busy):
        await fold_completion(source())
    assert source.closed


def test_the_request_is_turned_into_a_stream_with_usage_and_left_alone_itself() -> None:
    body = CompletionRequest.model_validate({"model": "m", "prompt": "a", "best_of": 3, "temperature": 0.5})
    made = streamed(body)
    assert made.stream is True
    assert made.stream_options is not None
    assert made.stream_options.include_usage is True
    assert (made.temperature, made.best_of) == (0.5, 3)
    assert body.stream is body.stream_options is None
