from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import BaseModel

from jan_core.errors import InvalidRequest, NotSupported
from jan_core.schemas.assistants import (
    Assistant,
    AssistantDeleted,
    AssistantPage,
    AssistantRequest,
    AssistantUpdate,
)
from jan_core.validation import parse
from tests.pinned import spec

OWN = {"avatar", "thread_location", "reasoning_effort"}
FULL: dict[str, Any] = {
    "model": "m",
    "name": "Math",
    "description": "d",
    "instructions": "i",
    "reasoning_effort": "high",
    "tools": [{"type": "code_interpreter"}, {"type": "function", "function": {"name": "f"}}],
    "tool_resources": {"code_interpreter": {"file_ids": ["file-1"]}},
    "metadata": {"a": "b"},
    "temperature": 0,
    "top_p": 1,
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
    "avatar": "🧮",
    "thread_location": "threads",
}


def asked(**fields: Any) -> AssistantRequest:
    return parse(AssistantRequest, json.dumps({"model": "m", **fields}).encode())


def made(**fields: Any) -> Assistant:
    return Assistant.of(asked(**fields), id="asst_1", created_at=1)


def written(model: BaseModel) -> Any:
    return json.loads(model.model_dump_json())


@pytest.mark.parametrize(
    ("model", "method", "template", "own"),
    [
        (Assistant, "GET", "/assistants/{assistant_id}", OWN),
        (AssistantPage, "GET", "/assistants", {f"data.[].{name}" for name in OWN}),
        (AssistantDeleted, "DELETE", "/assistants/{assistant_id}", set()),
    ],
)
def test_every_field_of_the_api_is_there_and_only_those_named_besides(
    model: type[BaseModel], method: str, template: str, own: set[str]
) -> None:
    check = spec()
    schema = model.model_json_schema(mode="serialization")
    wanted = check.properties(check.reply_schema(method, template), check.document())
    assert check.properties(schema, schema) == wanted | own
    assert wanted


@pytest.mark.parametrize(("model", "template"), [(AssistantRequest, ""), (AssistantUpdate, "/{assistant_id}")])
def test_every_field_of_the_apis_requests_is_taken(model: type[BaseModel], template: str) -> None:
    check = spec()
    body = check.document()["paths"][f"/assistants{template}"]["post"]["requestBody"]["content"]
    wanted = check.properties(body["application/json"]["schema"], check.document())
    schema = model.model_json_schema()
    assert check.properties(schema, schema) == wanted | {"avatar", "thread_location"}


def test_an_assistant_keeps_all_that_was_asked_for() -> None:
    assistant = made(**FULL)
    assert written(assistant) == {**FULL, "id": "asst_1", "object": "assistant", "created_at": 1}
    assert Assistant.model_validate_json(assistant.model_dump_json()) == assistant


def test_what_was_left_out_is_null_or_empty() -> None:
    assert written(made()) == {
        "id": "asst_1",
        "object": "assistant",
        "created_at": 1,
        "name": None,
        "description": None,
        "model": "m",
        "instructions": None,
        "tools": [],
        "tool_resources": None,
        "metadata": {},
        "temperature": None,
        "top_p": None,
        "response_format": None,
    }
    assert written(made(metadata=None)) == written(made())


def test_replies_are_valid_for_the_api() -> None:
    check = spec()
    for one in (made(), made(**FULL)):
        check.validate("POST", "/v1/assistants", 200, written(one))
        page = AssistantPage(data=[one], first_id=one.id, last_id=one.id, has_more=False)
        check.validate("GET", "/v1/assistants", 200, written(page))
    check.validate("DELETE", "/v1/assistants/a", 200, written(AssistantDeleted(id="a", deleted=True)))


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": None}, "model"),
        ({"model": ""}, "model"),
        ({"name": "x" * 257}, "name"),
        ({"description": "x" * 513}, "description"),
        ({"instructions": "x" * 256_001}, "instructions"),
        ({"tools": None}, "tools"),
        ({"temperature": 2.1}, "temperature"),
        ({"top_p": -0.1}, "top_p"),
        ({"top_p": "1"}, "top_p"),
        ({"response_format": "json"}, "response_format"),
        ({"reasoning_effort": "huge"}, "reasoning_effort"),
        ({"metadata": {"a": None}}, "metadata.a"),
        ({"metadata": {"x" * 65: ""}}, f'metadata["{"x" * 60}…"]'),
        ({"metadata": {str(number): "" for number in range(17)}}, "metadata"),
        ({"file_ids": []}, "file_ids"),
        ({"thread_location": ""}, "thread_location"),
    ],
)
def test_a_bad_field_is_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        asked(**fields)
    assert caught.value.param == param


def test_the_longest_allowed_are_allowed() -> None:
    long = {"name": "x" * 256, "description": "x" * 512, "instructions": "x" * 256_000}
    assert len(asked(**long).instructions or "") == 256_000


def test_a_vector_store_is_not_made_on_the_way() -> None:
    with pytest.raises(NotSupported):
        made(tool_resources={"file_search": {"vector_stores": [{}]}})


def test_an_update_changes_what_it_has_and_nothing_else() -> None:
    assistant = made(**FULL)
    same = assistant.changed(parse(AssistantUpdate, b"{}"))
    assert same == assistant
    changes: dict[str, Any] = {
        "name": None,
        "metadata": None,
        "tools": [],
        "tool_resources": None,
        "temperature": 1,
        "model": "n",
        "response_format": "auto",
    }
    changed = assistant.changed(parse(AssistantUpdate, json.dumps(changes).encode()))
    assert written(changed) == {**written(assistant), **changes, "metadata": {}}
    assert written(assistant)["name"] == "Math"
    assert "avatar" not in written(changed.changed(parse(AssistantUpdate, b'{"avatar": null}')))


def test_an_update_may_not_take_the_model_away() -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse(AssistantUpdate, b'{"model": null}')
    assert caught.value.param == "model"


def test_a_file_with_less_or_more_is_read() -> None:
    stored = {"id": "a", "created_at": 1_700_000_000_123, "model": "m", "metadata": None, "name": "x" * 300, "new": 1}
    read = Assistant.model_validate(stored, extra="ignore")
    assert (read.created_at, read.metadata, read.tools, len(read.name or "")) == (1_700_000_000, {}, [], 300)
