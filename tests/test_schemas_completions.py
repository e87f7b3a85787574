from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from jan_core.schemas import completions
from jan_core.schemas.completions import Completion, CompletionChunk, CompletionRequest
from tests.pinned import spec

EXTENSIONS = {"top_k", "min_p", "typical_p", "repeat_penalty"}

# Every field of a request.
FULL: dict[str, Any] = {
    "model": "m",
    "prompt": "Once",
    "suffix": "end",
    "max_tokens": 0,
    "temperature": 1,
    "top_p": 0.5,
    "n": 2,
    "best_of": 2,
    "stop": ["a", "b"],
    "echo": True,
    "logprobs": 5,
    "frequency_penalty": -2,
    "presence_penalty": 2,
    "logit_bias": {"5": -100, "7": 0.5},
    "seed": -(2**63),
    "user": "u",
    "stream": True,
    "stream_options": {"include_usage": True, "include_obfuscation": False},
    "top_k": 0,
    "min_p": 0.05,
    "typical_p": 1,
    "repeat_penalty": 1.1,
}
LOGPROBS = {"tokens": ["a"], "token_logprobs": [-0.5], "top_logprobs": [{"a": -0.5}], "text_offset": [0]}
CHOICE = {"index": 0, "text": "a", "logprobs": LOGPROBS, "finish_reason": "stop"}


def _names(model: type[BaseModel]) -> set[str]:
    schema = model.model_json_schema(mode="serialization")
    return set(spec().properties(schema, schema, depth=12))


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (Completion, "CreateCompletionResponse"),
        (CompletionChunk, "CreateCompletionResponse"),
        (CompletionRequest, "CreateCompletionRequest"),
    ],
)
def test_every_field_of_the_api_is_there_and_no_other(model: type[BaseModel], name: str) -> None:
    root = spec().document()
    wanted = spec().properties({"$ref": f"#/components/schemas/{name}"}, root, depth=12)
    assert len(wanted) >= 3
    extra = EXTENSIONS if model is CompletionRequest else set()
    assert _names(model) == wanted | extra


def _allows_null(schema: dict[str, Any], root: dict[str, Any]) -> bool:
    if "$ref" in schema:
        return _allows_null(root["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]], root)
    parts = schema.get("anyOf", []) + schema.get("oneOf", [])
    return schema.get("type") == "null" or any(_allows_null(part, root) for part in parts)


def test_null_is_taken_exactly_where_the_api_takes_it() -> None:
    root = spec().document()
    fields = root["components"]["schemas"]["CreateCompletionRequest"]["properties"]
    wrong = []
    for name, schema in fields.items():
        try:
            CompletionRequest.model_validate({"model": "m", "prompt": "a", "stream": True, name: None})
            taken = True
        except ValidationError:
            taken = False
        if taken != _allows_null(schema, root):
            wrong.append(name)
    assert wrong == []


def test_replies_are_valid_for_the_api() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    for more in ({}, {"usage": usage, "system_fingerprint": "f"}, {"choices": []}):
        reply = Completion.model_validate({"id": "cmpl-1", "created": 1, "model": "m", "choices": [CHOICE], **more})
        spec().validate("POST", "/v1/completions", 200, json.loads(reply.model_dump_json()))
    with pytest.raises(ValidationError):
        Completion.model_validate(
            {"id": "x", "created": 1, "model": "m", "choices": [{**CHOICE, "finish_reason": None}]}
        )


def test_a_chunk_says_null_until_its_choice_has_ended() -> None:
    chunk = CompletionChunk.model_validate(
        {
            "id": "cmpl-1",
            "created": 1,
            "model": "m",
            "choices": [{**CHOICE, "logprobs": None, "finish_reason": None}],
        }
    )
    assert json.loads(chunk.model_dump_json()) == {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "text": "a", "logprobs": None, "finish_reason": None}],
    }


def test_a_full_request_is_taken_and_comes_out_as_it_went_in() -> None:
    request = CompletionRequest.model_validate(FULL)
    assert json.loads(request.model_dump_json(exclude_unset=True)) == FULL
    assert set(FULL) == set(CompletionRequest.model_fields)


@pytest.mark.parametrize(
    "prompt", ["", "a", ["a", ""], [1, 2], [[1], [2, 3]], None, ["a"] * completions.MOST_PROMPTS], ids=str
)
def test_every_form_of_a_prompt(prompt: Any) -> None:
    assert CompletionRequest.model_validate({"model": "m", "prompt": prompt}).prompt == prompt


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("model",), ""), (("model",), "m" * 257), (("model",), None),
        (("prompt",), 5), (("prompt",), {}), (("prompt",), []), (("prompt",), True),
        (("prompt",), ["a"] * (completions.MOST_PROMPTS + 1)), (("prompt", 1), ["a", 1]), (("prompt", 1), [1, "a"]),
        (("prompt", 0), [None]), (("prompt", 0), [True]), (("prompt", 0), [1.5]), (("prompt", 0), [-1]),
        (("prompt", 0), [2**31]), (("prompt", 0), [[]]), (("prompt", 1, 0), [[1], ["a"]]),
        (("suffix",), 1), (("max_tokens",), -1), (("max_tokens",), 2**31), (("temperature",), 2.1),
        (("top_p",), 1.1), (("n",), 0), (("n",), 129), (("best_of",), 21), (("best_of",), -1),
        (("stop",), ""), (("stop",), ["a"] * 5), (("echo",), "yes"), (("logprobs",), 6), (("logprobs",), True),
        (("frequency_penalty",), 2.1), (("presence_penalty",), -2.1), (("logit_bias",), {"a": 1}), (("seed",), 2**63),
        (("user",), None), (("stream",), 1), (("top_k",), -1), (("min_p",), 2), (("typical_p",), 2),
        (("repeat_penalty",), 11), (("unknown",), 1),
    ],
    ids=str,
)  # fmt: skip
def test_a_bad_value_is_refused_where_it_is(path: tuple[Any, ...], value: Any) -> None:
    body = {**copy.deepcopy(FULL), "n": 1, "best_of": 1, path[0]: value}
    with pytest.raises(ValidationError) as caught:
        CompletionRequest.model_validate(body)
    locs = [error["loc"] for error in caught.value.errors()]
    assert {loc[0] for loc in locs} == {path[0]}
    assert all(step in locs[0] for step in path), locs


def test_best_of_is_not_for_streams_and_not_below_n() -> None:
    body = {"model": "m", "prompt": "a"}
    CompletionRequest.model_validate({**body, "best_of": 3, "n": 2})
    CompletionRequest.model_validate({**body, "best_of": 0, "n": 2})
    CompletionRequest.model_validate({**body, "best_of": 1, "stream": True})
    for wrong, name in (({"best_of": 3, "stream": True}, "stream"), ({"best_of": 2, "n": 3}, "best_of")):
        with pytest.raises(ValidationError) as caught:
            CompletionRequest.model_validate({**body, **wrong})
        assert [error["loc"] for error in caught.value.errors()] == [(name,)]


def test_stream_options_need_stream() -> None:
    with pytest.raises(ValidationError) as caught:
        CompletionRequest.model_validate({"model": "m", "prompt": "a", "stream_options": {}})
    assert [error["loc"] for error in caught.value.errors()] == [("stream_options",)]
