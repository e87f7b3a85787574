from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import BaseModel

from jan_core.errors import InvalidRequest
from jan_core.schemas.messages import (
    Message,
    MessageDeleted,
    MessagePage,
    MessageRequest,
    MessagesQuery,
    MessageUpdate,
)
from jan_core.validation import parse, parse_query
from tests.pinned import spec

ONE = "/threads/{thread_id}/messages/{message_id}"
MANY = "/threads/{thread_id}/messages"
PARTS: list[dict[str, Any]] = [
    {"type": "text", "text": "Look:"},
    {"type": "image_file", "image_file": {"file_id": "file-1", "detail": "low"}},
    {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
]
ATTACHMENTS: list[dict[str, Any]] = [
    {"file_id": "file-1", "tools": [{"type": "code_interpreter"}, {"type": "file_search"}]},
    {"file_id": "file-2"},
]


def asked(**fields: Any) -> MessageRequest:
    return parse(MessageRequest, json.dumps({"role": "user", "content": "hi", **fields}).encode())


def made(**fields: Any) -> Message:
    return Message.of(asked(**fields), id="msg_1", thread_id="jan-1-a", created_at=5)


def written(model: BaseModel) -> Any:
    return json.loads(model.model_dump_json())


@pytest.mark.parametrize(
    ("model", "method", "template"),
    [(Message, "GET", ONE), (MessagePage, "GET", MANY), (MessageDeleted, "DELETE", ONE)],
)
def test_every_field_of_the_api_is_there_and_no_other(model: type[BaseModel], method: str, template: str) -> None:
    check = spec()
    schema = model.model_json_schema(mode="serialization")
    wanted = check.properties(check.reply_schema(method, template), check.document())
    assert check.properties(schema, schema) == wanted
    assert wanted


@pytest.mark.parametrize(("model", "template"), [(MessageRequest, MANY), (MessageUpdate, ONE)])
def test_every_field_of_the_apis_requests_is_taken_and_no_other(model: type[BaseModel], template: str) -> None:
    check = spec()
    body = check.document()["paths"][template]["post"]["requestBody"]["content"]
    wanted = check.properties(body["application/json"]["schema"], check.document())
    schema = model.model_json_schema()
    assert check.properties(schema, schema) == wanted


def test_a_text_becomes_a_part_and_the_rest_its_default() -> None:
    assert written(made()) == {
        "id": "msg_1",
        "object": "thread.message",
        "created_at": 5,
        "thread_id": "jan-1-a",
        "status": "completed",
        "incomplete_details": None,
        "completed_at": 5,
        "incomplete_at": None,
        "role": "user",
        "content": [{"type": "text", "text": {"value": "hi", "annotations": []}}],
        "assistant_id": None,
        "run_id": None,
        "attachments": [],
        "metadata": {},
    }
    assert written(made(attachments=None, metadata=None)) == written(made())


def test_parts_attachments_and_pairs_are_kept() -> None:
    message = made(role="assistant", content=PARTS, attachments=ATTACHMENTS, metadata={"a": "b"})
    told = written(message)
    text = {"type": "text", "text": {"value": "Look:", "annotations": []}}
    assert told["content"] == [text, *PARTS[1:]]
    assert (told["role"], told["attachments"], told["metadata"]) == ("assistant", ATTACHMENTS, {"a": "b"})
    assert Message.model_validate_json(message.model_dump_json()) == message


def test_replies_are_valid_for_the_api() -> None:
    check = spec()
    annotations: list[dict[str, Any]] = [
        {"type": kind, "text": "[1]", kind: {"file_id": "file-1"}, "start_index": 0, "end_index": 3}
        for kind in ("file_citation", "file_path")
    ]
    answer = Message.model_validate(
        {
            **written(made()),
            "role": "assistant",
            "status": "incomplete",
            "completed_at": None,
            "incomplete_at": 6,
            "incomplete_details": {"reason": "max_tokens"},
            "assistant_id": "jan",
            "run_id": "run_1",
            "content": [
                {"type": "text", "text": {"value": "[1]", "annotations": annotations}},
                {"type": "refusal", "refusal": "no"},
            ],
        }
    )
    path = "/v1/threads/t/messages"
    for one in (made(), made(content=PARTS, attachments=ATTACHMENTS), answer):
        check.validate("POST", path, 200, written(one))
        page = MessagePage(data=[one], first_id=one.id, last_id=one.id, has_more=True)
        check.validate("GET", path, 200, written(page))
    check.validate("DELETE", f"{path}/m", 200, written(MessageDeleted(id="m", deleted=True)))
    assert written(answer)["content"][0]["text"]["annotations"] == annotations


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"role": "system"}, "role"),
        ({"content": None}, "content"),
        ({"content": ""}, "content"),
        ({"content": "", "attachments": []}, "content"),
        ({"content": [{"type": "text", "text": ""}]}, "content"),
        ({"content": [{"type": "text", "text": "hi"}, {"type": "text", "text": ""}]}, "content"),
        ({"content": []}, "content"),
        ({"content": "x" * 256_001}, "content"),
        ({"content": [{"type": "text", "text": "x" * 256_001}]}, "content[0].text"),
        ({"content": [{"type": "text", "text": {"value": "x"}}]}, "content[0].text"),
        ({"content": [{"type": "refusal", "refusal": "x"}]}, "content[0].type"),
        ({"content": [PARTS[1], {"type": "image_url", "image_url": {}}]}, "content[1].image_url.url"),
        ({"content": [{"type": "image_file", "image_file": {"file_id": 5}}]}, "content[0].image_file.file_id"),
        (
            {"content": [{"type": "image_file", "image_file": {"file_id": "f", "detail": "x"}}]},
            "content[0].image_file.detail",
        ),
        ({"attachments": [{"tools": [{"type": "function"}]}]}, "attachments[0].tools[0].type"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"status": "completed"}, "status"),
    ],
)
def test_a_bad_field_is_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        asked(**fields)
    assert caught.value.param == param


def test_an_attachment_may_come_without_words_and_a_text_may_be_long() -> None:
    assert written(made(content="", attachments=ATTACHMENTS))["content"][0]["text"]["value"] == ""
    parts = [{"type": "text", "text": ""}]
    assert written(made(content=parts, attachments=ATTACHMENTS))["content"][0]["text"]["value"] == ""
    assert len(made(content="😀" * 256_000).content) == 1


def test_an_update_replaces_the_pairs_or_nothing() -> None:
    message = made(metadata={"a": "b"})
    assert message.changed(parse(MessageUpdate, b"{}")) == message
    assert message.changed(parse(MessageUpdate, b'{"metadata": {"c": "d"}}')).metadata == {"c": "d"}
    assert message.changed(parse(MessageUpdate, b'{"metadata": null}')).metadata == {}
    assert message.metadata == {"a": "b"}
    with pytest.raises(InvalidRequest) as caught:
        parse(MessageUpdate, b'{"content": "x"}')
    assert caught.value.param == "content"


def test_the_query_takes_a_run() -> None:
    assert parse_query(MessagesQuery, {"run_id": "run_1", "order": "asc"}).run_id == "run_1"


def test_a_file_with_less_or_more_is_read() -> None:
    stored = {
        "id": "m",
        "thread_id": "t",
        "created_at": 1_700_000_000_123,
        "role": "user",
        "content": [
            {"type": "text", "text": {"value": "x", "new": 1}},
            {"type": "image_url", "image_url": {"url": "u", "new": 1}, "new": 1},
        ],
        "metadata": None,
        "new": [1],
    }
    for read in (
        Message.model_validate(stored, extra="ignore"),
        Message.model_validate_json(json.dumps(stored), extra="ignore"),
    ):
        assert (read.created_at, read.status, read.metadata, read.attachments) == (1_700_000_000, "completed", {}, None)
        assert len(read.content) == 2
