from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import BaseModel, Field, TypeAdapter

from jan_core.errors import InvalidRequest, NotSupported
from jan_core.schemas.base import Request
from jan_core.schemas.tools import (
    AssistantFunctionTool,
    AssistantResponseFormat,
    AssistantTool,
    AttachmentTool,
    FileSearchTool,
    JsonSchemaResponse,
    NewToolResources,
    ToolResources,
    Tools,
)
from jan_core.validation import parse


class Body(Request):
    tools: Tools
    formats: list[AssistantResponseFormat] = Field(default_factory=list)


def written(model: BaseModel) -> Any:
    return json.loads(model.model_dump_json())


TOOLS: list[dict[str, Any]] = [
    {"type": "code_interpreter"},
    {"type": "file_search"},
    {
        "type": "file_search",
        "file_search": {"max_num_results": 50, "ranking_options": {"ranker": "auto", "score_threshold": 0.5}},
    },
    {"type": "function", "function": {"name": "now"}},
    {
        "type": "function",
        "function": {"name": "a_b-1", "description": "d", "parameters": {"type": "object"}, "strict": True},
    },
]
FORMATS: list[Any] = [
    "auto",
    {"type": "text"},
    {"type": "json_object"},
    {"type": "json_schema", "json_schema": {"name": "n"}},
    {"type": "json_schema", "json_schema": {"name": "n", "description": "d", "schema": {"a": 1}, "strict": False}},
]


def test_what_is_given_is_given_back_and_nothing_besides() -> None:
    body = {"tools": TOOLS, "formats": FORMATS}
    assert written(parse(Body, json.dumps(body).encode())) == body


def test_what_was_written_can_be_read_again() -> None:
    for kind, values in ((AssistantTool, TOOLS), (AssistantResponseFormat, FORMATS)):
        adapter = TypeAdapter[Any](kind)
        for value in values:
            made = adapter.validate_python(value)
            assert adapter.validate_json(adapter.dump_json(made)) == made


@pytest.mark.parametrize(
    ("tool", "param"),
    [
        ({}, "tools[0].type"),
        ({"type": "retrieval"}, "tools[0].type"),
        ({"type": "code_interpreter", "x": 1}, "tools[0].x"),
        ({"type": "file_search", "file_search": None}, "tools[0].file_search"),
        ({"type": "file_search", "file_search": {"max_num_results": 51}}, "tools[0].file_search.max_num_results"),
        (
            {"type": "file_search", "file_search": {"ranking_options": {}}},
            "tools[0].file_search.ranking_options.score_threshold",
        ),
        ({"type": "function"}, "tools[0].function"),
        ({"type": "function", "function": {"name": "a b"}}, "tools[0].function.name"),
        ({"type": "function", "function": {"name": "x" * 65}}, "tools[0].function.name"),
        ({"type": "function", "function": {"name": "f", "parameters": []}}, "tools[0].function.parameters"),
    ],
)
def test_a_bad_tool_is_refused_by_its_field(tool: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse(Body, json.dumps({"tools": [tool]}).encode())
    assert caught.value.param == param


def test_there_are_at_most_128_tools() -> None:
    assert len(parse(Body, json.dumps({"tools": TOOLS[:1] * 128}).encode()).tools) == 128
    with pytest.raises(InvalidRequest, match="at most 128"):
        parse(Body, json.dumps({"tools": TOOLS[:1] * 129}).encode())


def test_a_files_tools_say_no_more_than_their_type() -> None:
    adapter = TypeAdapter[Any](AttachmentTool)
    assert adapter.validate_python({"type": "file_search"}).type == "file_search"
    with pytest.raises(ValueError, match="file_search"):
        adapter.validate_python(TOOLS[2])


@pytest.mark.parametrize(
    "resources",
    [
        {},
        {"code_interpreter": {"file_ids": ["a"] * 20}},
        {"file_search": {"vector_store_ids": ["v"]}},
        {"file_search": {"vector_store_ids": []}},
        {"file_search": {}},
        {"code_interpreter": {}, "file_search": {"vector_store_ids": ["v"]}},
    ],
)
def test_resources_are_stored_as_given(resources: dict[str, Any]) -> None:
    asked = parse(NewToolResources, json.dumps(resources).encode())
    assert written(asked.stored()) == resources
    assert parse(ToolResources, json.dumps(resources).encode()) == asked.stored()


def test_an_empty_list_of_new_stores_makes_none() -> None:
    asked = parse(NewToolResources, b'{"file_search": {"vector_stores": []}}')
    assert written(asked.stored()) == {"file_search": {}}


@pytest.mark.parametrize(
    "store",
    [
        {},
        {"file_ids": ["a"], "metadata": {"a": "b"}, "chunking_strategy": {"type": "auto"}},
        {
            "chunking_strategy": {
                "type": "static",
                "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 0},
            }
        },
    ],
)
def test_a_vector_store_to_make_is_understood_and_refused_by_name(store: dict[str, Any]) -> None:
    asked = parse(NewToolResources, json.dumps({"file_search": {"vector_stores": [store]}}).encode())
    with pytest.raises(NotSupported, match="vector_store_ids") as caught:
        asked.stored()
    assert caught.value.param == "tool_resources.file_search.vector_stores"


@pytest.mark.parametrize(
    ("resources", "param"),
    [
        ({"code_interpreter": {"file_ids": ["a"] * 21}}, "code_interpreter.file_ids"),
        ({"file_search": {"vector_store_ids": ["a", "b"]}}, "file_search.vector_store_ids"),
        ({"file_search": {"vector_store_ids": ["a"], "vector_stores": [{}]}}, "file_search"),
        ({"file_search": {"vector_stores": [{}, {}]}}, "file_search.vector_stores"),
        ({"file_search": {"vector_stores": [{"chunking_strategy": {"type": "x"}}]}}, None),
        ({"retrieval": {}}, "retrieval"),
    ],
)
def test_bad_resources_are_refused_by_their_field(resources: dict[str, Any], param: str | None) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse(NewToolResources, json.dumps(resources).encode())
    assert caught.value.param == (param or "file_search.vector_stores[0].chunking_strategy.type")


def test_classes_are_told_apart() -> None:
    tools = parse(Body, json.dumps({"tools": TOOLS, "formats": FORMATS}).encode())
    assert isinstance(tools.tools[1], FileSearchTool)
    assert isinstance(tools.tools[3], AssistantFunctionTool)
    assert isinstance(tools.formats[4], JsonSchemaResponse)
    assert tools.formats[4].json_schema.schema_ == {"a": 1}
