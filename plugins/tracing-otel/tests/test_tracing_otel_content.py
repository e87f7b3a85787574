from __future__ import annotations

import json
from typing import Any

import pytest

from jan_core.inprocess import client
from tests.parts import chat_body

SECRETS = (b"open sesame", b"forty thieves", b"treasure")


async def ask(http: Any, stream: bool) -> None:
    messages = [
        {"role": "system", "content": "open sesame"},
        {"role": "user", "content": [{"type": "text", "text": "forty thieves"}]},
        {
            "role": "assistant",
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "count", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "forty thieves"},
        {"role": "user", "content": "treasure"},
    ]
    body = {"model": "scripted", "messages": messages, "stream": stream, "stop": ["forty thieves"], "user": "treasure"}
    assert (await http.post("/chat/completions", json=body)).status_code == 200
    completion = {"model": "scripted", "prompt": "open sesame", "stream": stream}
    assert (await http.post("/completions", json=completion)).status_code == 200
    await http.post("/chat/completions", json=chat_body("treasure", temperature="open sesame"))
    await http.post("/embeddings", json={"model": "scripted", "input": "treasure"})
    thread = (await http.post("/threads", json={"metadata": {"k": "treasure"}})).json()["id"]
    await http.post(f"/threads/{thread}/messages", json={"role": "user", "content": "forty thieves"})


@pytest.mark.anyio
@pytest.mark.parametrize("stream", [False, True])
async def test_nothing_that_is_written_leaves_unless_a_setting_says_so(
    traced: Any, collector: Any, stream: bool
) -> None:
    async with traced(internal=True) as jan, client(jan) as http:
        await ask(http, stream)
    assert len(collector.spans) > 10
    assert not [secret for secret in SECRETS if secret in collector.raw]


@pytest.mark.anyio
@pytest.mark.parametrize("stream", [False, True])
async def test_prompts_and_answers_have_the_conventions_form_where_they_are_wanted(
    traced: Any, collector: Any, stream: bool
) -> None:
    async with traced(content=True) as jan, client(jan) as http:
        await ask(http, stream)
    told = next(one.told for one in collector.spans if one.name == "chat scripted")
    assert json.loads(told["gen_ai.input.messages"]) == [
        {"role": "system", "parts": [{"type": "text", "content": "open sesame"}]},
        {"role": "user", "parts": [{"type": "text", "content": "forty thieves"}]},
        {"role": "assistant", "parts": [{"type": "tool_call", "id": "c1", "name": "count", "arguments": "{}"}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "response": "forty thieves", "id": "c1"}]},
        {"role": "user", "parts": [{"type": "text", "content": "treasure"}]},
    ]
    (answer,) = json.loads(told["gen_ai.output.messages"])
    assert (answer["role"], answer["finish_reason"]) == ("assistant", "stop")
    assert [(part["type"], part["content"].strip()) for part in answer["parts"]] == [("text", "treasure")]
    assert told["gen_ai.request.stop_sequences"] == ["forty thieves"]
    told = collector.named("text_completion scripted").told
    assert json.loads(told["gen_ai.input.messages"]) == [
        {"role": "user", "parts": [{"type": "text", "content": "open sesame"}]}
    ]
    assert "open sesame" in told["gen_ai.output.messages"]


def test_pictures_and_files_are_named_and_left_out() -> None:
    from jan_tracing_otel.content import asked

    from jan_core.schemas.chat import ChatCompletionRequest

    parts = [{"type": "text", "text": "what?"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]
    body = ChatCompletionRequest.model_validate({"model": "m", "messages": [{"role": "user", "content": parts}]})
    ((name, told),) = asked(body)
    assert name == "gen_ai.input.messages"
    assert json.loads(told) == [
        {"role": "user", "parts": [{"type": "text", "content": "what?"}, {"type": "image_url"}]}
    ]


def test_calls_that_come_in_pieces_are_put_together() -> None:
    from jan_tracing_otel.content import Answer, says

    from jan_core.schemas.chat import ChunkChoice

    def piece(delta: dict[str, Any]) -> ChunkChoice:
        return ChunkChoice.model_validate({"index": 0, "delta": delta, "finish_reason": None})

    first = {"index": 0, "id": "c1", "type": "function", "function": {"name": "count", "arguments": '{"a"'}}
    pieces = [
        piece({"role": "assistant", "content": ""}),
        piece({"reasoning_content": "hm"}),
        piece({"tool_calls": [first]}),
        piece({"tool_calls": [{"index": 0, "function": {"arguments": ": 1}"}}]}),
    ]
    answer = Answer()
    for one in pieces:
        answer.add(one)
    ((_, told),) = answer.told({0: "tool_calls"})
    assert json.loads(told) == [
        {
            "role": "assistant",
            "parts": [
                {"type": "reasoning", "content": "hm"},
                {"type": "tool_call", "id": "c1", "name": "count", "arguments": '{"a": 1}'},
            ],
            "finish_reason": "tool_calls",
        }
    ]
    assert [says(one) for one in pieces] == [False, True, True, True]
    assert Answer().told({}) == []
