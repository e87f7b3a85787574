from __future__ import annotations

from typing import Any

import pytest

from jan_core.schemas.chat import ChatCompletionChunk
from jan_core.testing.contract.case import Broken
from jan_core.testing.contract.grammar import counts_are_right, stream_keeps_grammar

USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}


def chunk(*choices: dict[str, Any], **fields: Any) -> dict[str, Any]:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 5, "model": "m"}
    return {**head, "choices": list(choices), **fields}


def new(index: int = 0, reason: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"index": index, "delta": delta, "finish_reason": reason}


def call(index: int, id: str | None = None, name: str | None = None, arguments: str = "") -> dict[str, Any]:
    return {"index": index, "id": id, "function": {"name": name, "arguments": arguments}}


def text(piece: str, reason: str | None = None, index: int = 0) -> dict[str, Any]:
    choice = {"index": index, "text": piece, "finish_reason": reason}
    return chunk(choice, object="text_completion")


ROLE, END = chunk(new(role="assistant", content="")), chunk(new(reason="stop"))
SAID = [ROLE, chunk(new(content="a")), chunk(new(content="b")), END]


def test_whole_streams() -> None:
    (told,) = stream_keeps_grammar(SAID, choices=1)
    assert (told.text, told.pieces, told.finish_reason) == ("ab", ["", "a", "b"], "stop")
    objects = [ChatCompletionChunk.model_validate(one) for one in [*SAID, chunk(usage=USAGE)]]
    assert stream_keeps_grammar(objects, choices=1, usage=True)[0].text == "ab"
    several = [
        chunk(new(1, role="assistant"), new(0, role="assistant")),
        chunk(new(1, "length")),
        chunk(new(0, "stop")),
    ]
    assert [one.finish_reason for one in stream_keeps_grammar(several)] == ["stop", "length"]
    assert stream_keeps_grammar([text("a"), text("b"), text("", "stop")])[0].text == "ab"


def test_calls() -> None:
    begun = [ROLE, chunk(new(tool_calls=[call(0, "call_1", "f")])), chunk(new(tool_calls=[call(0, arguments="{}")]))]
    second, end = chunk(new(tool_calls=[call(1, "call_2", "g", "[]")])), chunk(new(reason="tool_calls"))
    assert stream_keeps_grammar([*begun, second, end])[0].calls == [["f", "{}"], ["g", "[]"]]
    older = [ROLE, chunk(new(function_call={"name": "f"})), chunk(new(reason="function_call"))]
    assert stream_keeps_grammar(older)[0].older_call
    for wrong, told in (
        ([ROLE, end], "tool_calls and has none"),
        ([ROLE, chunk(new(reason="function_call"))], "function_call and has none"),
        ([ROLE, chunk(new(tool_calls=[call(0, "call_1")])), end], "begins with its id and its name"),
        ([ROLE, second, end], "in the order of their indexes"),
        ([*begun, begun[1], end], "each begun once"),
    ):
        with pytest.raises(Broken, match=told):
            stream_keeps_grammar(wrong)


@pytest.mark.parametrize(
    ("chunks", "told"),
    [
        ([], "at least one chunk"),
        (SAID[1:], "the role, in the first chunk"),
        ([ROLE, *SAID], "the role, after the first chunk"),
        (SAID[:-1], "no finish_reason"),
        ([*SAID, END], "more after the finish_reason"),
        ([*SAID, chunk(new(content="c"))], "more after the finish_reason"),
        ([ROLE, chunk(new(reason="stop", content="c"))], "what is new in the chunk with the finish_reason"),
        ([*SAID[:-1], {**END, "id": "chatcmpl-2"}], "what chunk 3 says"),
        ([*SAID[:-1], {**END, "created": 6}], "what chunk 3 says"),
        ([{**ROLE, "object": "chat.completion"}], "a chunk's object"),
        ([{**ROLE, "model": ""}], "model is ''"),
        ([*SAID, chunk()], "has no choice"),
        ([*SAID[:-1], {**END, "usage": USAGE}], "usage in chunk 3"),
        ([ROLE, chunk(new(content="\ud83d")), END], "half a character"),
        ([chunk(new(1, role="assistant")), chunk(new(1, "stop"))], "the indexes"),
        ([chunk({"index": 0, "finish_reason": None})], "there is no delta"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_broken_streams(chunks: list[dict[str, Any]], told: str) -> None:
    with pytest.raises(Broken, match=told):
        stream_keeps_grammar(chunks)


def test_usage() -> None:
    for wrong in (SAID, [*SAID, chunk()], [*SAID, chunk(usage={**USAGE, "total_tokens": 4})]):
        with pytest.raises(Broken):
            stream_keeps_grammar(wrong, usage=True)
    for counts in (None, {}, {**USAGE, "prompt_tokens": -1, "total_tokens": 1}):
        with pytest.raises(Broken, match="usage counts"):
            counts_are_right(counts)
    with pytest.raises(Broken, match="the indexes"):
        stream_keeps_grammar(SAID, choices=2)


def test_what_it_adds_up_to() -> None:
    message = {"role": "assistant", "content": "ab", "tool_calls": None}
    plain = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    stream_keeps_grammar(SAID, plain=plain)
    stream_keeps_grammar([text("a"), text("", "stop")], plain={"choices": [{**text("a", "stop")["choices"][0]}]})
    for wrong, told in (
        ([ROLE, SAID[1], END], "put together"),
        ([*SAID[:-1], chunk(new(reason="length"))], "the end of choice 0"),
    ):
        with pytest.raises(Broken, match=told):
            stream_keeps_grammar(wrong, plain=plain)
    calls = [{"function": {"name": "f", "arguments": ""}}]
    asked = {"choices": [{"index": 0, "message": {**message, "tool_calls": calls}, "finish_reason": "stop"}]}
    with pytest.raises(Broken, match="the calls of choice 0"):
        stream_keeps_grammar(SAID, plain=asked)
