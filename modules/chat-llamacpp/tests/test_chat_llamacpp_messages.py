from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest
from jan_chat_llamacpp.form import PLAIN, form_of
from jan_chat_llamacpp.images import MOST_IMAGES
from jan_chat_llamacpp.messages import length, messages
from jan_chat_llamacpp.template_facts import TemplateFacts
from jan_chat_llamacpp.tools import read_calling

from jan_core.errors import InvalidRequest, NotSupported
from jan_core.schemas.chat import ChatCompletionRequest

HI = {"role": "user", "content": "hi"}
NONE = TemplateFacts("none", "none", False, False)
SAME = TemplateFacts("same", "none", False, False)
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + struct.pack(">II", 1, 1)
IMAGE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{base64.b64encode(PNG).decode()}"}}
TOOLS = [{"type": "function", "function": {"name": "add", "description": "adds"}}]


def told(*given: Any, facts: TemplateFacts = NONE, images: bool = False, **fields: Any) -> list[dict[str, Any]]:
    body = ChatCompletionRequest.model_validate({"model": "m", "messages": list(given), **fields})
    form = form_of(body, read_calling(body), facts, thinks=True) if fields else PLAIN
    return messages(body, form, facts, images=images)


def call(arguments: str = '{"a": 1}', name: str = "add", **more: Any) -> dict[str, Any]:
    one = {"id": "c1", "type": "function", "function": {"name": name, "arguments": arguments}}
    return {"role": "assistant", "content": None, "tool_calls": [one], **more}


RESULT = {"role": "tool", "tool_call_id": "c1", "content": "5"}
WRITTEN = '<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>'
READ = "<tool_response>\n5\n</tool_response>"


def test_developer_is_system_and_parts_are_joined() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert told(
        {"role": "developer", "content": "be kind"},
        {"role": "system", "content": parts},
        {"role": "user", "content": parts},
        {"role": "assistant", "content": None, "refusal": "no"},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "never"}]},
        {"role": "user", "content": "x", "name": "Ann"},
    ) == [
        {"role": "system", "content": "be kind"},
        {"role": "system", "content": "a\nb"},
        {"role": "user", "content": "a\nb"},
        {"role": "assistant", "content": "no"},
        {"role": "assistant", "content": "never"},
        {"role": "user", "content": "x"},
    ]


def test_calls_and_results_are_text_where_the_template_knows_none() -> None:
    second = {**RESULT, "content": [{"type": "text", "text": "6"}]}
    assert told(HI, call(content="Let me see."), RESULT, second, HI, RESULT) == [
        HI,
        {"role": "assistant", "content": f"Let me see.\n{WRITTEN}"},
        {"role": "user", "content": f"{READ}\n{READ.replace('5', '6')}"},
        HI,
        {"role": "user", "content": READ},
    ]


def test_calls_and_results_are_the_templates_where_it_knows_them() -> None:
    assert told(HI, call(), RESULT, facts=SAME) == [
        HI,
        {"role": "assistant", "content": "", "tool_calls": call()["tool_calls"]},
        RESULT,
    ]


def test_the_older_form_is_the_same() -> None:
    older = {"role": "assistant", "content": None, "function_call": {"name": "add", "arguments": '{"a": 1}'}}
    result = {"role": "function", "name": "add", "content": "5"}
    assert told(HI, older, result) == [HI, {"role": "assistant", "content": WRITTEN}, {"role": "user", "content": READ}]
    one = {"id": "call_add", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
    assert told(HI, older, result, facts=SAME)[1:] == [
        {"role": "assistant", "content": "", "tool_calls": [one]},
        {"role": "tool", "tool_call_id": "call_add", "content": "5"},
    ]
    assert told(HI, {**result, "content": None})[1]["content"] == "<tool_response>\n\n</tool_response>"


def test_arguments_that_are_no_json_do_not_break_the_template() -> None:
    arguments = told(HI, call('{"a": '), facts=SAME)[1]["tool_calls"][0]["function"]["arguments"]
    assert json.loads(arguments) == {"invalid_json": '{"a": '}


def test_tools_are_described_where_the_template_cannot() -> None:
    alone = told(HI, tools=TOOLS)
    assert alone[0]["role"] == "system"
    assert '"description": "adds"' in alone[0]["content"]
    assert alone[1:] == [HI]
    after = told({"role": "developer", "content": "Be kind."}, HI, tools=TOOLS)
    assert after[0]["content"] == f"Be kind.\n\n{alone[0]['content']}"
    assert told({"role": "system", "content": ""}, HI, tools=TOOLS) == alone
    assert told(HI, tools=TOOLS, facts=SAME) == [HI]
    assert told(HI, tools=TOOLS, tool_choice="none") == [HI]


def test_thoughts_go_back_to_the_template() -> None:
    thought = {"role": "assistant", "content": "5", "reasoning_content": "2 and 3"}
    assert told(HI, thought)[1] == thought


def test_images_stay_among_their_text_where_the_model_has_eyes() -> None:
    parts = [{"type": "text", "text": "What is"}, {**IMAGE, "image_url": {**IMAGE["image_url"], "detail": "low"}}]  # type: ignore[dict-item]
    assert told({"role": "user", "content": parts}, images=True) == [
        {"role": "user", "content": [{"type": "text", "text": "What is"}, IMAGE]}
    ]
    with pytest.raises(InvalidRequest, match="images") as refused:
        told({"role": "user", "content": [IMAGE] * (MOST_IMAGES + 1)}, images=True)
    assert refused.value.param == "messages"
    with pytest.raises(InvalidRequest) as bad:
        told({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x/y.png"}}]}, images=True)
    assert bad.value.param == "messages[0].content[0].image_url.url"


CUSTOM = {"id": "c", "type": "custom", "custom": {"name": "x", "input": "y"}}


@pytest.mark.parametrize(
    ("message", "param", "why"),
    [
        ({"role": "user", "content": [IMAGE]}, "messages[1].content[0].type", "mmproj"),
        (
            {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}]},
            "messages[1].content[0].type",
            "sound",
        ),
        (
            {"role": "user", "content": [{"type": "file", "file": {"file_id": "x"}}]},
            "messages[1].content[0].type",
            "files",
        ),
        ({"role": "assistant", "content": None, "tool_calls": [CUSTOM]}, "messages[1].tool_calls[0].type", "custom"),
        ({"role": "assistant", "audio": {"id": "x"}}, "messages[1].audio", "speak"),
    ],
)
def test_what_cannot_be_read_is_refused_by_its_place(message: dict[str, Any], param: str, why: str) -> None:
    with pytest.raises(NotSupported, match=why) as refused:
        told(HI, message)
    assert refused.value.param == param
    assert param.removesuffix(".type") in refused.value.message


def test_length_counts_what_becomes_tokens() -> None:
    parts = {"role": "user", "content": [{"type": "text", "text": "abc"}, IMAGE]}
    assert length(told(HI, parts, call('{"a": 1}'), images=True, facts=SAME)) == 2 + 3 + 8
