from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import BaseModel

from jan_core.errors import InvalidRequest, NotSupported
from jan_core.schemas.threads import (
    Thread,
    ThreadDeleted,
    ThreadPage,
    ThreadRequest,
    ThreadsQuery,
    ThreadUpdate,
)
from jan_core.validation import parse, parse_query
from tests.pinned import spec

OWN = {"title", "assistants", "assistants.[].assistant_id", "assistants.[].model", "model", "parameters"}
PARAMETERS = {"temperature": 0, "max_tokens": 5, "stop": ["a"], "top_k": 3, "own": {"x": [1, None]}}
FULL: dict[str, Any] = {
    "tool_resources": {"file_search": {"vector_store_ids": ["vs_1"]}},
    "metadata": {"a": "b"},
    "title": "A talk",
    "assistants": [{"assistant_id": "jan"}, {"assistant_id": "asst_1", "model": "m"}],
    "model": "m",
    "parameters": PARAMETERS,
}


def asked(**fields: Any) -> ThreadRequest:
    return parse(ThreadRequest, json.dumps(fields).encode())


def made(**fields: Any) -> Thread:
    return Thread.of(asked(**fields), id="jan-1-a", created_at=1)


def written(model: BaseModel) -> Any:
    return json.loads(model.model_dump_json())


@pytest.mark.parametrize(
    ("model", "method", "own"),
    [(Thread, "GET", OWN), (Thread, "POST", OWN), (ThreadDeleted, "DELETE", set())],
)
def test_every_field_of_the_api_is_there_and_only_those_named_besides(
    model: type[BaseModel], method: str, own: set[str]
) -> None:
    check = spec()
    schema = model.model_json_schema(mode="serialization")
    wanted = check.properties(check.reply_schema(method, "/threads/{thread_id}"), check.document())
    assert check.properties(schema, schema) == wanted | own
    assert wanted


@pytest.mark.parametrize(("model", "template"), [(ThreadRequest, ""), (ThreadUpdate, "/{thread_id}")])
def test_every_field_of_the_apis_requests_is_taken(model: type[BaseModel], template: str) -> None:
    check = spec()
    body = check.document()["paths"][f"/threads{template}"]["post"]["requestBody"]["content"]
    wanted = check.properties(body["application/json"]["schema"], check.document())
    schema = model.model_json_schema()
    extra = check.properties(schema, schema) - wanted
    assert wanted <= check.properties(schema, schema)
    assert {name.split(".")[0] for name in extra} == {"title", "assistants", "model", "parameters"}


def test_a_thread_keeps_all_that_was_asked_for() -> None:
    thread = made(**FULL, messages=[{"role": "user", "content": "x"}])
    assert written(thread) == {**FULL, "id": "jan-1-a", "object": "thread", "created_at": 1}
    assert Thread.model_validate_json(thread.model_dump_json()) == thread


def test_what_was_left_out_is_null_empty_or_not_there() -> None:
    bare = {"id": "jan-1-a", "object": "thread", "created_at": 1, "tool_resources": None, "metadata": {}}
    assert written(made()) == bare
    nothing = dict.fromkeys(("tool_resources", "metadata", "title", "assistants", "model", "parameters"))
    assert written(made(**nothing)) == bare


def test_replies_are_valid_for_the_api() -> None:
    check = spec()
    for one in (made(), made(**FULL)):
        check.validate("POST", "/v1/threads", 200, written(one))
        check.validate("GET", f"/v1/threads/{one.id}", 200, written(one))
    check.validate("DELETE", "/v1/threads/a", 200, written(ThreadDeleted(id="a", deleted=True)))
    page = ThreadPage(data=[made()], first_id="jan-1-a", last_id="jan-1-a", has_more=False)
    assert [*written(page)] == ["object", "data", "first_id", "last_id", "has_more"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": None}, "messages"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": ""}]}, "messages[1].content"),
        ({"title": "x" * 513}, "title"),
        ({"assistants": [{}]}, "assistants[0].assistant_id"),
        ({"assistants": [{"assistant_id": "a", "model": None}]}, "assistants[0].model"),
        ({"assistants": [{"assistant_id": "a"}] * 129}, "assistants"),
        ({"model": ""}, "model"),
        ({"parameters": []}, "parameters"),
        ({"parameters": {"temperature": 3}}, "parameters.temperature"),
        ({"parameters": {"temperature": "1"}}, "parameters.temperature"),
        ({"parameters": {"stop": [""]}}, "parameters.stop[0]"),
        ({"parameters": {"max_tokens": 2**40}}, "parameters.max_tokens"),
        ({"parameters": {"model": "m"}}, "parameters"),
        ({"parameters": {"tools": []}}, "parameters"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"object": "thread"}, "object"),
    ],
)
def test_a_bad_field_is_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        asked(**fields)
    assert caught.value.param == param


def test_numbers_without_end_are_no_parameters() -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse(ThreadRequest, b'{"parameters": {"own": [1e999]}}')
    assert caught.value.status == 400


def test_a_vector_store_is_not_made_on_the_way() -> None:
    with pytest.raises(NotSupported):
        made(tool_resources={"file_search": {"vector_stores": [{}]}})


def test_an_update_changes_what_it_has_and_nothing_else() -> None:
    thread = made(**FULL)
    assert thread.changed(parse(ThreadUpdate, b"{}")) == thread
    changes = {"metadata": {}, "title": "B", "parameters": {"seed": 1}, "assistants": [{"assistant_id": "x"}]}
    changed = thread.changed(parse(ThreadUpdate, json.dumps(changes).encode()))
    assert written(changed) == {**written(thread), **changes}
    nothing = dict.fromkeys(FULL)
    emptied = changed.changed(parse(ThreadUpdate, json.dumps(nothing).encode()))
    assert written(emptied) == written(made())


def test_messages_are_no_part_of_an_update() -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse(ThreadUpdate, b'{"messages": []}')
    assert caught.value.code == "unknown_field"


def test_the_query_takes_an_assistant_and_pairs() -> None:
    query = parse_query(ThreadsQuery, {"limit": "3", "assistant_id": "jan", "metadata[a]": "b", "metadata[c d]": ""})
    assert (query.limit, query.assistant_id, query.metadata) == (3, "jan", {"a": "b", "c d": ""})
    assert parse_query(ThreadsQuery, {}).metadata is None
    with pytest.raises(InvalidRequest):
        parse_query(ThreadsQuery, {"metadata": "a"})


def test_a_file_with_less_or_more_is_read() -> None:
    stored = {"id": "jan_1700000000", "created_at": 1_700_000_000_123, "metadata": {"n": 1}, "new": {"x": 1}}
    read = Thread.model_validate(stored, extra="ignore")
    assert (read.created_at, read.metadata, read.title) == (1_700_000_000, {"n": "1"}, None)
