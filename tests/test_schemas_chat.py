from __future__ import annotations

import contextlib
import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from jan_core.schemas import chat
from jan_core.schemas.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionRequest
from jan_core.schemas.chat.stored import ChatCompletionUpdate, StoredImage, StoredImageUrl, StoredText
from tests.pinned import spec

EXTENSIONS = {"top_k", "min_p", "typical_p", "repeat_penalty"}
BEYOND = {"ChatCompletion": "choices.[].message.", "ChatCompletionChunk": "choices.[].delta."}
BEYOND |= {"ChatCompletionList": "data.[].choices.[].message.", "ChatCompletionMessageList": "data.[]."}
USER = {"role": "user", "content": "Hello"}

# Every field of a request at least once.
FULL: dict[str, Any] = {
    "model": "m",
    "messages": [
        {"role": "developer", "content": "Be short.", "name": "d"},
        {"role": "system", "content": [{"type": "text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}}]},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "a"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}},
                {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
                {"type": "file", "file": {"filename": "f", "file_data": "AA==", "file_id": "file-1"}},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "audio": {"id": "a"},
            "function_call": {"name": "f", "arguments": "{}"},
            "tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                {"id": "2", "type": "custom", "custom": {"name": "c", "input": "i"}},
            ],
        },
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}, {"type": "text", "text": "a"}]},
        {"role": "tool", "content": "42", "tool_call_id": "1"},
        {"role": "function", "content": None, "name": "f"},
    ],
    "temperature": 1,
    "top_p": 0.5,
    "n": 128,
    "stop": ["a", "b"],
    "max_completion_tokens": 5,
    "frequency_penalty": -2,
    "presence_penalty": 2,
    "logit_bias": {"5": -100, "7": 0.5},
    "seed": -(2**63),
    "logprobs": True,
    "top_logprobs": 20,
    "stream": True,
    "stream_options": {"include_usage": True, "include_obfuscation": False},
    "tools": [
        {
            "type": "function",
            "function": {"name": "f", "description": "d", "parameters": {"type": "object", "n": [1.5]}, "strict": None},
        },
        {
            "type": "custom",
            "custom": {
                "name": "c",
                "description": "d",
                "format": {"type": "grammar", "grammar": {"definition": "x", "syntax": "regex"}},
            },
        },
    ],
    "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"type": "function"}]}},
    "parallel_tool_calls": False,
    "functions": [{"name": "f", "description": "d", "parameters": {}}],
    "function_call": {"name": "f"},
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "n", "description": "d", "schema": {"type": "object"}, "strict": True},
    },
    "modalities": ["text", "audio"],
    "audio": {"voice": {"id": "v"}, "format": "mp3"},
    "prediction": {"type": "content", "content": [{"type": "text", "text": "a"}]},
    "reasoning_effort": "xhigh",
    "verbosity": "low",
    "web_search_options": {
        "user_location": {"type": "approximate", "approximate": {"country": "AT", "city": "Wien"}},
        "search_context_size": "high",
    },
    "moderation": {"model": "m", "policy": {"input": {"mode": "score"}, "output": None}},
    "service_tier": "auto",
    "store": True,
    "metadata": {"k" * 64: "v" * 512},
    "user": "u",
    "safety_identifier": "s" * 64,
    "prompt_cache_key": "k",
    "prompt_cache_retention": "24h",
    "prompt_cache_options": {"ttl": "30m", "mode": "implicit"},
    "top_k": 0,
    "min_p": 0.05,
    "typical_p": 1,
    "repeat_penalty": 1.1,
}


def _logprobs() -> chat.Logprobs:
    top = chat.TopLogprob(token="a", logprob=-0.5, bytes=[97])
    token = chat.TokenLogprob(token="a", logprob=-0.5, bytes=None, top_logprobs=[top])
    return chat.Logprobs(content=[token], refusal=None)


def _completion(**fields: Any) -> ChatCompletion:
    message = chat.ResponseMessage(content="Hi", refusal=None)
    choice = chat.Choice(index=0, message=message, finish_reason="stop", logprobs=None)
    return ChatCompletion(id="chatcmpl-1", created=1, model="m", **{"choices": [choice], **fields})


def _full_completion() -> ChatCompletion:
    result = {
        "type": "moderation_result", "model": "o", "flagged": False, "categories": {"violence": False},
        "category_scores": {"violence": 0.1}, "category_applied_input_types": {"violence": ["text"]},
    }  # fmt: skip
    citation = {"start_index": 0, "end_index": 1, "url": "https://example.com/", "title": "t"}
    return ChatCompletion.model_validate({
        "id": "chatcmpl-1", "created": 1, "model": "m", "metadata": {"k": "v"}, "service_tier": "default",
        "system_fingerprint": "f",
        "usage": {
            "prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3,
            "completion_tokens_details": {"reasoning_tokens": 1}, "prompt_tokens_details": {"cached_tokens": 1},
        },
        "moderation": {
            "input": {"type": "moderation_results", "model": "o", "results": [result]},
            "output": {"type": "error", "code": "c", "message": "m"},
        },
        "choices": [{
            "index": 0, "finish_reason": "tool_calls", "logprobs": _logprobs(),
            "message": {
                "content": None, "refusal": None, "annotations": [{"type": "url_citation", "url_citation": citation}],
                "audio": {"id": "a", "expires_at": 5, "data": "AA==", "transcript": "t"},
                "function_call": {"name": "f", "arguments": "{}"},
                "tool_calls": [
                    {"type": "function", "id": "1", "function": {"name": "f", "arguments": "{}"}},
                    {"type": "custom", "id": "2", "custom": {"name": "c", "input": "i"}},
                ],
            },
        }],
    })  # fmt: skip


def _names(model: type[BaseModel]) -> set[str]:
    schema = model.model_json_schema(mode="serialization")
    return set(spec().properties(schema, schema, depth=12))


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (ChatCompletion, "CreateChatCompletionResponse"),
        (ChatCompletionChunk, "CreateChatCompletionStreamResponse"),
        (chat.ChatCompletionList, "ChatCompletionList"),
        (chat.ChatCompletionDeleted, "ChatCompletionDeleted"),
        (chat.ChatCompletionMessageList, "ChatCompletionMessageList"),
        (ChatCompletionRequest, "CreateChatCompletionRequest"),
    ],
)
def test_every_field_of_the_api_is_there_and_no_other(model: type[BaseModel], name: str) -> None:
    root = spec().document()
    wanted = spec().properties({"$ref": f"#/components/schemas/{name}"}, root, depth=12)
    assert len(wanted) >= 3
    extra = EXTENSIONS | {"messages.[].reasoning_content"} if model is ChatCompletionRequest else set()
    extra |= {BEYOND[model.__name__] + "reasoning_content"} if model.__name__ in BEYOND else set()
    assert _names(model) == wanted | extra


def test_an_update_takes_what_the_api_takes() -> None:
    operation = spec().document()["paths"]["/chat/completions/{completion_id}"]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert _names(ChatCompletionUpdate) == spec().properties(schema, spec().document())
    assert ChatCompletionUpdate.model_validate({"metadata": None}).metadata is None
    with pytest.raises(ValidationError):
        ChatCompletionUpdate.model_validate({})


def _allows_null(schema: dict[str, Any], root: dict[str, Any]) -> bool:
    if "$ref" in schema:
        return _allows_null(root["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]], root)
    parts = schema.get("anyOf", []) + schema.get("oneOf", [])
    return schema.get("type") == "null" or any(_allows_null(part, root) for part in parts)


def _fields(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        return _fields(root["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]], root)
    found = dict(schema.get("properties", {}))
    for part in schema.get("allOf", []):
        for name, value in _fields(part, root).items():
            # `top_logprobs` stands there three times, nullable in the more specific places.
            found[name] = {"anyOf": [found[name], value]} if name in found else value
    return found


def test_null_is_taken_exactly_where_the_api_takes_it() -> None:
    root = spec().document()
    fields = _fields({"$ref": "#/components/schemas/CreateChatCompletionRequest"}, root)
    wrong = []
    for name, schema in fields.items():
        body = {"model": "m", "messages": [USER], "stream": True, name: None}
        try:
            ChatCompletionRequest.model_validate(body)
            taken = True
        except ValidationError:
            taken = False
        if taken != _allows_null(schema, root):
            wrong.append(name)
    assert wrong == []


def test_replies_are_valid_for_the_api() -> None:
    check = spec()
    for reply in (_completion(), _completion(choices=[]), _full_completion()):
        for body in (json.loads(reply.model_dump_json()), reply.model_dump(mode="json")):
            check.validate("POST", "/v1/chat/completions", 200, body)
            check.validate("GET", "/v1/chat/completions/chatcmpl-1", 200, body)
    page = chat.ChatCompletionList(data=[_completion()], first_id="chatcmpl-1", last_id="chatcmpl-1", has_more=False)
    check.validate("GET", "/v1/chat/completions", 200, page.model_dump(mode="json"))
    empty = chat.ChatCompletionList(data=[], first_id=None, last_id=None, has_more=False)
    check.validate("GET", "/v1/chat/completions", 200, empty.model_dump(mode="json"))
    deleted = chat.ChatCompletionDeleted(id="chatcmpl-1", deleted=True)
    check.validate("DELETE", "/v1/chat/completions/chatcmpl-1", 200, deleted.model_dump(mode="json"))
    image = StoredImage(image_url=StoredImageUrl(url="https://example.com/a.png", detail="low"))
    message = chat.StoredMessage(id="m", content=None, refusal=None, content_parts=[StoredText(text="a"), image])
    messages = chat.ChatCompletionMessageList(data=[message], first_id="m", last_id="m", has_more=False)
    check.validate("GET", "/v1/chat/completions/chatcmpl-1/messages", 200, messages.model_dump(mode="json"))


def _chunk(delta: chat.Delta, **fields: Any) -> ChatCompletionChunk:
    choice = chat.ChunkChoice(index=0, delta=delta, finish_reason=None)
    return ChatCompletionChunk(id="chatcmpl-1", created=1, model="m", **{"choices": [choice], **fields})


def test_chunks_are_valid_for_the_api() -> None:
    call = chat.ToolCallDelta(index=0, id="1", type="function", function=chat.FunctionDelta(name="f", arguments=""))
    usage = chat.CompletionUsage(prompt_tokens=1, completion_tokens=2, total_tokens=3)
    end = chat.ChunkChoice(index=0, delta=chat.Delta(), finish_reason="stop", logprobs=_logprobs())
    for chunk in (
        _chunk(chat.Delta(role="assistant", content="")),
        _chunk(chat.Delta(content="Hi"), obfuscation="x", service_tier="auto", system_fingerprint="f"),
        _chunk(chat.Delta(refusal="no", tool_calls=[call], function_call=chat.FunctionDelta(arguments="{"))),
        _chunk(chat.Delta(), choices=[end]),
        _chunk(chat.Delta(), choices=[], usage=usage),
    ):
        spec().validate_chunk("/v1/chat/completions", json.loads(chunk.model_dump_json()))


def test_a_chunk_writes_what_is_required_and_nothing_that_is_not_there() -> None:
    assert json.loads(_chunk(chat.Delta(content="Hi")).model_dump_json()) == {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": None}],
    }
    message = _completion().model_dump(mode="json")["choices"][0]
    assert message["message"] == {"role": "assistant", "content": "Hi", "refusal": None}
    assert message["logprobs"] is None


def test_a_full_request_is_taken_and_comes_out_as_it_went_in() -> None:
    request = ChatCompletionRequest.model_validate(FULL)
    assert json.loads(request.model_dump_json(exclude_unset=True)) == FULL
    assert set(FULL) | {"max_tokens"} == set(ChatCompletionRequest.model_fields)


@pytest.mark.parametrize(
    "message",
    [
        {"role": "assistant", "content": None, "refusal": "no"},
        {"role": "assistant", "tool_calls": []},
        {"role": "assistant", "audio": {"id": "a"}},
        {"role": "assistant", "function_call": {"name": "f", "arguments": ""}},
        {"role": "assistant", "content": ""},
    ],
)
def test_an_assistant_message_needs_one_of_its_kinds_of_content(message: dict[str, Any]) -> None:
    ChatCompletionRequest.model_validate({"model": "m", "messages": [message]})


def _bad(path: tuple[str | int, ...], value: object) -> tuple[tuple[str | int, ...], object]:
    return path, value


@pytest.mark.parametrize(
    ("path", "value"),
    [
        _bad(("model",), ""), _bad(("model",), "m" * 257), _bad(("model",), None),
        _bad(("messages",), []), _bad(("messages",), None), _bad(("messages",), "Hello"), _bad(("messages", 0), 5),
        _bad(("messages", 0, "role"), "wizard"), _bad(("messages", 0, "role"), 5),
        _bad(("messages", 0, "content"), 5), _bad(("messages", 0, "content"), None),
        _bad(("messages", 0, "content"), []), _bad(("messages", 0, "nmae"), "x"),
        _bad(("messages", 2, "content", 0, "text"), 5), _bad(("messages", 2, "content", 0, "type"), "txt"),
        _bad(("messages", 2, "content", 1, "image_url"), "https://example.com"),
        _bad(("messages", 2, "content", 1, "image_url", "url"), ""),
        _bad(("messages", 2, "content", 2, "input_audio", "format"), "ogg"),
        _bad(("messages", 3, "tool_calls", 0, "function", "arguments"), {}),
        _bad(("messages", 5, "tool_call_id"), None), _bad(("messages", 6, "name"), 1),
        _bad(("temperature",), 99), _bad(("temperature",), -0.1), _bad(("temperature",), float("nan")),
        _bad(("temperature",), "1"), _bad(("temperature",), True), _bad(("temperature",), 10**400),
        _bad(("top_p",), 1.1), _bad(("top_p",), float("inf")),
        _bad(("n",), 0), _bad(("n",), 129), _bad(("n",), True), _bad(("n",), "1"), _bad(("n",), 1.0),
        _bad(("stop",), ""), _bad(("stop",), []), _bad(("stop",), ["a"] * 5), _bad(("stop",), [""]),
        _bad(("max_tokens",), 5), _bad(("max_completion_tokens",), 0), _bad(("max_completion_tokens",), 2**31),
        _bad(("frequency_penalty",), 2.1), _bad(("presence_penalty",), -2.1),
        _bad(("logit_bias",), {"5": 101}), _bad(("logit_bias",), {"a": 1}), _bad(("logit_bias",), {"9" * 10: 1}),
        _bad(("seed",), 2**63), _bad(("seed",), -(2**63) - 1), _bad(("top_logprobs",), 21),
        _bad(("stream",), "yes"), _bad(("stream_options", "include_usage"), 1),
        _bad(("tools",), None), _bad(("tools", 0, "type"), "x"), _bad(("tools", 0, "function", "name"), "a b"),
        _bad(("tools", 0, "function", "name"), "a" * 65),
        _bad(("tools", 0, "function", "parameters", "n"), float("inf")),
        _bad(("tool_choice",), "sometimes"), _bad(("functions",), []), _bad(("function_call",), "required"),
        _bad(("response_format", "type"), "xml"), _bad(("response_format", "json_schema", "schema"), []),
        _bad(("response_format", "json_schema", "schema_"), {}),
        _bad(("metadata",), {str(i): "" for i in range(17)}), _bad(("metadata",), {"k" * 65: ""}),
        _bad(("metadata",), {"k": "v" * 513}), _bad(("metadata",), {"k": 1}), _bad(("safety_identifier",), "s" * 65),
        _bad(("top_k",), -1), _bad(("top_k",), 100_001), _bad(("min_p",), 1.1), _bad(("typical_p",), -1),
        _bad(("repeat_penalty",), 10.1), _bad(("unknown",), 1), _bad(("audio", "voice"), 5),
    ],
)  # fmt: skip
def test_a_bad_value_is_refused_where_it_is(path: tuple[str | int, ...], value: object) -> None:
    body = copy.deepcopy(FULL)
    node: Any = body
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    with pytest.raises(ValidationError) as caught:
        ChatCompletionRequest.model_validate(body)
    locs = [error["loc"] for error in caught.value.errors()]
    # pydantic puts the tags of unions between the steps, tells a wrong tag at the object that has it, and a
    # value that is not finite at the object that was promised to be.
    near = path[:-1] if path[-1] in ("role", "type", "n") and len(path) > 1 else path
    assert any(_within(near, loc) for loc in locs), locs
    assert {loc[0] for loc in locs} == {path[0]}


def _within(path: tuple[str | int, ...], loc: tuple[str | int, ...]) -> bool:
    rest = iter(loc)
    return all(step in rest for step in path)


def test_a_message_without_content_or_an_image_without_url_is_refused_there() -> None:
    for message, last in (
        ({"role": "assistant"}, "content"),
        ({"role": "assistant", "content": None, "tool_calls": None}, "tool_calls"),
        ({"role": "user"}, "content"),
        ({"role": "tool", "content": "x"}, "tool_call_id"),
        ({"role": "user", "content": [{"type": "image_url", "image_url": {}}]}, "url"),
    ):
        with pytest.raises(ValidationError) as caught:
            ChatCompletionRequest.model_validate({"model": "m", "messages": [message]})
        assert {"messages", 0, last} <= set(caught.value.errors()[-1]["loc"])


def test_stream_options_need_stream() -> None:
    for body in ({}, {"stream": None}, {"stream": False}):
        with pytest.raises(ValidationError) as caught:
            ChatCompletionRequest.model_validate({"model": "m", "messages": [USER], "stream_options": {}, **body})
        assert [error["loc"] for error in caught.value.errors()] == [("stream_options",)]


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["user", "text", "function"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text() | st.sampled_from(["type", "role", "content", "text"]), inner, max_size=3)
    ),
    max_leaves=8,
)


def _places(node: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    steps = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [p for step, value in steps for p in [(*path, step), *_places(value, (*path, step))]]


@settings(max_examples=300, deadline=None)
@given(path=st.sampled_from(_places(FULL)), value=_json | st.integers(-(10**400), 10**400))
def test_no_value_anywhere_raises_anything_else(path: tuple[str | int, ...], value: object) -> None:
    body = copy.deepcopy(FULL)
    node: Any = body
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    with contextlib.suppress(ValidationError):
        ChatCompletionRequest.model_validate(body)
