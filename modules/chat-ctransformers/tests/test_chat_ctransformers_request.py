from __future__ import annotations

from typing import Any

import pytest
from jan_chat_ctransformers.request import REFUSED, messages, refuse

from jan_core.errors import NotSupported
from jan_core.schemas.chat import ChatCompletionRequest

USER = {"role": "user", "content": "a"}
FUNCTION = {"name": "f", "parameters": {"type": "object"}}
TOLD: dict[str, Any] = {
    "tools": [{"type": "function", "function": FUNCTION}],
    "functions": [FUNCTION],
    "audio": {"voice": "x", "format": "wav"},
    "prediction": {"type": "content", "content": "x"},
    "web_search_options": {},
    "moderation": {"model": "x"},
    "store": True,
    "response_format": {"type": "json_object"},
    "logprobs": True,
    "modalities": ["text", "audio"],
    "reasoning_effort": "high",
    "verbosity": "low",
    "frequency_penalty": 1,
    "logit_bias": {"1": 1},
}


def body(**fields: Any) -> ChatCompletionRequest:
    return ChatCompletionRequest.model_validate({"model": "m", "messages": [USER], **fields})


@pytest.mark.parametrize("field", [name for name in TOLD if name not in ("audio", "web_search_options")])
def test_what_it_does_not_do_is_refused_by_name(field: str) -> None:
    with pytest.raises(NotSupported, match=field) as refused:
        refuse(body(**{field: TOLD[field]}))
    assert refused.value.param == field


def test_every_field_of_the_list_is_one_of_the_request() -> None:
    assert REFUSED.keys() <= ChatCompletionRequest.model_fields.keys()


def test_values_that_mean_nothing_are_taken() -> None:
    refuse(body(response_format={"type": "text"}, store=False, n=2))
    refuse(body(modalities=["text"], reasoning_effort="none", verbosity="medium", frequency_penalty=0, logprobs=False))


def test_messages_become_texts() -> None:
    said = [
        {"role": "developer", "content": "a"},
        {"role": "user", "content": [{"type": "text", "text": "b"}, {"type": "text", "text": "c"}]},
        {"role": "assistant", "content": None, "refusal": "d"},
        USER,
    ]
    assert [tuple(one.values()) for one in messages(body(messages=said))] == [
        ("system", "a"),
        ("user", "b\nc"),
        ("assistant", "d"),
        ("user", "a"),
    ]


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({"role": "tool", "content": "x", "tool_call_id": "1"}, "messages[0].role"),
        (
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]},
            "messages[0].content[0].type",
        ),
    ],
)
def test_messages_that_are_no_text(message: dict[str, Any], param: str) -> None:
    with pytest.raises(NotSupported) as refused:
        messages(body(messages=[message, USER]))
    assert refused.value.param == param
