from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from jan_core.errors import InvalidRequest
from jan_core.schemas.embeddings import MOST_INPUTS, EmbeddingList, EmbeddingRequest
from jan_core.validation import parse
from tests.pinned import spec


def _names(model: type[BaseModel]) -> set[str]:
    schema = model.model_json_schema(mode="serialization")
    return set(spec().properties(schema, schema, depth=12))


@pytest.mark.parametrize(
    ("model", "name"), [(EmbeddingList, "CreateEmbeddingResponse"), (EmbeddingRequest, "CreateEmbeddingRequest")]
)
def test_every_field_of_the_api_is_there_and_no_other(model: type[BaseModel], name: str) -> None:
    wanted = spec().properties({"$ref": f"#/components/schemas/{name}"}, spec().document(), depth=12)
    assert len(wanted) >= 3
    assert _names(model) == wanted


@pytest.mark.parametrize("vector", [[0.6, 0.8], "mpkZP83MTD8="])
def test_replies_are_valid_for_the_api(vector: Any) -> None:
    usage = {"prompt_tokens": 1, "total_tokens": 1}
    reply = EmbeddingList.model_validate({"model": "m", "usage": usage, "data": [{"index": 0, "embedding": vector}]})
    spec().validate("POST", "/v1/embeddings", 200, json.loads(reply.model_dump_json()))


@pytest.mark.parametrize("given", ["a", ["a", "b"], [1, 2], [[1], [2, 3]], ["a"] * MOST_INPUTS], ids=str)
def test_every_form_of_an_input(given: Any) -> None:
    full = {"model": "m", "input": given, "encoding_format": "base64", "dimensions": 2, "user": "u"}
    request = EmbeddingRequest.model_validate(full)
    assert json.loads(request.model_dump_json()) == full
    assert set(full) == set(EmbeddingRequest.model_fields)


@pytest.mark.parametrize(
    ("param", "more"),
    [
        ("input", {"input": ""}), ("input", {"input": []}), ("input", {"input": None}), ("input", {"input": 5}),
        ("input", {"input": {"text": "a"}}), ("input[1]", {"input": ["a", ""]}), ("input[0]", {"input": [[]]}),
        ("input[0]", {"input": [True]}), ("input[1]", {"input": [1, "a"]}), ("input[1]", {"input": ["a", 1]}),
        ("input[0]", {"input": [-1]}), ("input[0]", {"input": [1.5]}), ("input[1][0]", {"input": [[1], [2**31]]}),
        ("input", {"input": ["a"] * 2049}), ("input", {"input": [1] * 2049}), ("input", {"input": [[1]] * 2049}),
        ("encoding_format", {"encoding_format": "int8"}), ("encoding_format", {"encoding_format": None}),
        ("dimensions", {"dimensions": 0}), ("dimensions", {"dimensions": "2"}), ("dimensions", {"dimensions": None}),
        ("user", {"user": 5}), ("model", {"model": ""}), ("colour", {"colour": "red"}),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_a_bad_value_is_refused_where_it_is(param: str, more: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse(EmbeddingRequest, json.dumps({"model": "m", "input": "a", **more}).encode())
    assert caught.value.param == param
    with pytest.raises(ValidationError):
        EmbeddingRequest.model_validate({"model": "m"})
