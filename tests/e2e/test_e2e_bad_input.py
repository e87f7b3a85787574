"""What must never pass, and never be a 5xx: each is a 400 that names the field."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import openai
import pytest

from tests.e2e.raw import CHAT
from tests.e2e.server import MODEL, JanServer

HELLO = [{"role": "user", "content": "hi"}]
PIXEL = "data:image/png;base64,iVBORw0KGgo="


def image(url: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]


TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
WRONG: list[tuple[str, dict[str, Any]]] = [
    ("messages", {"messages": []}),
    ("messages", {"messages": "hi"}),
    ("messages", {"messages": None}),
    ("messages", {"messages": {"role": "user", "content": "hi"}}),
    ("messages[0]", {"messages": ["hi"]}),
    ("messages[0].role", {"messages": [{"role": "pirate", "content": "hi"}]}),
    ("messages[0].role", {"messages": [{"content": "hi"}]}),
    ("messages[0].role", {"messages": [{"role": 1, "content": "hi"}]}),
    ("messages[0].content", {"messages": [{"role": "user"}]}),
    ("messages[0].content", {"messages": [{"role": "user", "content": 1}]}),
    ("messages[0].content", {"messages": [{"role": "user", "content": None}]}),
    ("messages[1].role", {"messages": [*HELLO, {"role": "", "content": "hi"}]}),
    ("model", {"model": None}),
    ("model", {"model": ""}),
    ("model", {"model": 5}),
    ("model", {"model": ["x"]}),
    ("model", {"model": "a" * 300}),
    ("temperature", {"temperature": 99}),
    ("temperature", {"temperature": -0.1}),
    ("temperature", {"temperature": "warm"}),
    ("temperature", {"temperature": True}),
    ("top_p", {"top_p": 1.5}),
    ("n", {"n": 0}),
    ("n", {"n": -1}),
    ("n", {"n": 129}),
    ("n", {"n": 1.5}),
    ("n", {"n": "1"}),
    ("max_tokens", {"max_tokens": 0}),
    ("max_tokens", {"max_tokens": 2**31}),
    ("max_completion_tokens", {"max_completion_tokens": -5}),
    ("seed", {"seed": 2**63}),
    ("seed", {"seed": 1.5}),
    ("top_k", {"top_k": -1}),
    ("min_p", {"min_p": 2}),
    ("typical_p", {"typical_p": -1}),
    ("repeat_penalty", {"repeat_penalty": 11}),
    ("presence_penalty", {"presence_penalty": 3}),
    ("frequency_penalty", {"frequency_penalty": -3}),
    ("stop", {"stop": 5}),
    ("stop", {"stop": []}),
    ("stop", {"stop": ["a", "b", "c", "d", "e"]}),
    ("logit_bias.x", {"logit_bias": {"x": 1}}),
    ('logit_bias["1"]', {"logit_bias": {"1": 101}}),
    ("stream", {"stream": "yes"}),
    ("stream_options", {"stream_options": {"include_usage": True}, "stream": False}),
    ("colour", {"colour": "red"}),
    ("top_logprobs", {"logprobs": True, "top_logprobs": 21}),
    ("top_logprobs", {"top_logprobs": 2}),
    ("tools", {"tools": TOOL}),
    ("tools[0].function.name", {"tools": [{"type": "function", "function": {"name": "a b"}}]}),
    ("tool_choice", {"tool_choice": "required"}),
    ("tool_choice", {"tool_choice": "perhaps", "tools": [TOOL]}),
    ("response_format.type", {"response_format": {"type": "yaml"}}),
    ("response_format.json_schema.name", {"response_format": {"type": "json_schema", "json_schema": {}}}),
]
NOT_AN_IMAGE = "messages[0].content[0].type"
CUSTOM_TOOL = {"type": "custom", "custom": {"name": "f"}}
REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("tools[0].type", {"tools": [CUSTOM_TOOL]}),
    ("reasoning_effort", {"reasoning_effort": "high"}),
    (NOT_AN_IMAGE, {"messages": image(PIXEL)}),
    (NOT_AN_IMAGE, {"messages": image("http://127.0.0.1:1/x.png")}),
    ("modalities", {"modalities": ["text", "audio"]}),
    ("store", {"store": True}),
    ("prediction", {"prediction": {"type": "content", "content": "x"}}),
    ("web_search_options", {"web_search_options": {}}),
]


def post(shared: JanServer, body: bytes) -> httpx2.Response:
    return shared.http().post(CHAT, content=body, headers={"content-type": "application/json"})


def refused(response: httpx2.Response, param: str | None) -> str:
    assert response.status_code == 400, response.text
    error = response.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert error["param"] == param, error
    assert param is None or error["code"] == "invalid_json" or param.split("[")[0] in error["message"]
    return str(error["code"])


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("param", "wrong"), WRONG, ids=lambda value: str(value)[:40])
def test_a_wrong_value_is_a_400_that_names_the_field(
    shared: JanServer, param: str, wrong: dict[str, Any], stream: bool
) -> None:
    body = {"model": MODEL, "messages": HELLO, "stream": stream, "max_completion_tokens": 1, **wrong}
    if "max_tokens" in wrong:
        del body["max_completion_tokens"]
    refused(post(shared, json.dumps(body).encode()), param)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("param", "wanted"), REFUSED, ids=lambda value: str(value)[:40])
def test_what_is_not_done_is_a_400_that_names_the_field(
    shared: JanServer, param: str, wanted: dict[str, Any], stream: bool
) -> None:
    body = {"model": MODEL, "messages": HELLO, "stream": stream, "max_tokens": 1, **wanted}
    assert refused(post(shared, json.dumps(body).encode()), param) == "not_supported"


def test_what_is_not_done_reaches_the_official_client_as_its_own_error(client: openai.OpenAI) -> None:
    messages: Any = HELLO
    with pytest.raises(openai.BadRequestError) as error:
        client.chat.completions.create(model=MODEL, messages=messages, store=True)
    assert (error.value.param, error.value.code) == ("store", "not_supported")


HEAD = b'{"model": "%s", ' % MODEL.encode()
DEEP = 100_000
TEXTS: list[tuple[str, str | None, bytes]] = [
    ("nothing", None, b""),
    ("not JSON", None, b"hello"),
    ("an array", None, b"[]"),
    ("a number", None, b"5"),
    ("null", None, b"null"),
    ("cut off", "messages[0]", HEAD + b'"messages": ['),
    ("NaN", "temperature", HEAD + b'"messages": [{"role": "user", "content": "hi"}], "temperature": NaN}'),
    ("infinity", "temperature", HEAD + b'"messages": [{"role": "user", "content": "hi"}], "temperature": -Infinity}'),
    ("1e999", "temperature", HEAD + b'"messages": [{"role": "user", "content": "hi"}], "temperature": 1e999}'),
    ("a lone surrogate", "messages[0].content", HEAD + rb'"messages": [{"role": "user", "content": "\ud800"}]}'),
    ("half a pair", "messages[0].content", HEAD + rb'"messages": [{"role": "user", "content": "a\udc00b"}]}'),
    ("not UTF-8", "messages[0].content", HEAD + b'"messages": [{"role": "user", "content": "\xff\xfe"}]}'),
    ("5,000 digits", "seed", HEAD + b'"messages": [{"role": "user", "content": "hi"}], "seed": ' + b"9" * 5000 + b"}"),
    ("5,000 digits", "n", HEAD + b'"messages": [{"role": "user", "content": "hi"}], "n": ' + b"9" * 5000 + b"}"),
    ("a fraction of 5,000 digits", "n", HEAD + b'"messages": [], "n": 0.' + b"9" * 5000 + b"}"),
]


@pytest.mark.parametrize(("param", "body"), [case[1:] for case in TEXTS], ids=[case[0] for case in TEXTS])
def test_hostile_json_is_a_400(shared: JanServer, param: str | None, body: bytes) -> None:
    response = post(shared, body)
    found = response.json()["error"]
    if b'"messages": []' in body:
        assert (response.status_code, found["param"]) in ((400, "n"), (400, "messages"))
    else:
        refused(response, param)


@pytest.mark.parametrize("bracket", [b"[", b'{"a":'])
@pytest.mark.parametrize("field", ["messages", "metadata", "temperature"])
def test_a_hundred_thousand_brackets_are_a_400(shared: JanServer, bracket: bytes, field: str) -> None:
    closing = b"]" if bracket == b"[" else b"}"
    for end in (b"", closing * DEEP):
        body = HEAD + b'"%s": ' % field.encode() + bracket * DEEP + (b"1" if end else b"") + end + b"}"
        response = post(shared, body)
        assert response.status_code == 400
        param = response.json()["error"]["param"]
        assert param is None or param.startswith(field)
    assert shared.http().get("/health").status_code == 200
