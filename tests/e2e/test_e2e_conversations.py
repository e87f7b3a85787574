"""Assistants, threads and messages through HTTP: the official client, and every reply held against the API."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import openai
import pytest
from openai import AsyncOpenAI

from jan_core.app import Jan
from jan_core.inprocess import client
from tests.conversations import KINDS, app
from tests.pinned import spec

pytestmark = [
    pytest.mark.anyio,
    # The client says that OpenAI's own servers stopped answering these routes.
    pytest.mark.filterwarnings("ignore:(The Assistants API is )?deprecated:DeprecationWarning"),
]


class Asked(NamedTuple):
    """An app, clients of it, and how many replies of each status were held against the API."""

    jan: Jan
    openai: AsyncOpenAI
    http: httpx2.AsyncClient
    checked: dict[int, int]


@pytest.fixture(params=KINDS)
async def asked(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Asked]:
    checked: dict[int, int] = {}

    async def check(reply: httpx2.Response) -> None:
        body = json.loads(await reply.aread())
        spec().validate(reply.request.method, reply.request.url.path, reply.status_code, body)
        if reply.status_code >= 400:
            assert [*body["error"]] == ["message", "type", "param", "code"]
        checked[reply.status_code] = checked.get(reply.status_code, 0) + 1

    async with (
        app(request.param, tmp_path, server={"log_requests": False}) as jan,
        client(jan, event_hooks={"response": [check]}) as http,
    ):
        made = AsyncOpenAI(base_url="http://localhost/v1", api_key="none", max_retries=0, http_client=http)
        yield Asked(jan, made, http, checked)
        print(checked)


FUNCTION: dict[str, Any] = {
    "type": "function",
    "function": {"name": "look_up", "description": "d", "parameters": {"type": "object"}, "strict": True},
}
ASSISTANT: dict[str, Any] = {
    "model": "scripted",
    "name": "Übung",
    "description": "Teaches.",
    "instructions": "Be short.",
    "tools": [
        FUNCTION,
        {"type": "code_interpreter"},
        {"type": "file_search", "file_search": {"max_num_results": 5, "ranking_options": {"score_threshold": 0.5}}},
    ],
    "tool_resources": {"code_interpreter": {"file_ids": ["file-1"]}, "file_search": {"vector_store_ids": ["vs_1"]}},
    "metadata": {"subject": "maths"},
    "temperature": 0.5,
    "top_p": 0.9,
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
    "reasoning_effort": "low",
}


async def test_assistants_with_the_official_client(asked: Asked) -> None:
    assistants = asked.openai.beta.assistants
    made = await assistants.create(**ASSISTANT)
    told = made.model_dump(exclude_unset=True, by_alias=True)
    assert {name: told[name] for name in ASSISTANT} == ASSISTANT
    assert await assistants.retrieve(made.id) == made
    changed = await assistants.update(made.id, name="Other", tools=[], metadata={})
    assert (changed.name, changed.tools, changed.metadata, changed.instructions) == ("Other", [], {}, "Be short.")
    others = [(await assistants.create(model="scripted", name=f"a{index}")).id for index in range(4)]
    listed = [one.id async for one in assistants.list(limit=2, order="asc")]
    assert sorted(listed) == sorted(["jan", made.id, *others])
    page = await assistants.list(limit=3, order="asc")
    assert page.has_more
    before = await assistants.list(before=page.data[2].id, order="asc")
    assert [one.id for one in before.data] == [one.id for one in page.data[:2]]
    gone = await assistants.delete(made.id)
    assert (gone.id, gone.deleted, gone.object) == (made.id, True, "assistant.deleted")
    with pytest.raises(openai.NotFoundError) as missing:
        await assistants.retrieve(made.id)
    assert (missing.value.code, missing.value.param) == ("assistant_not_found", "assistant_id")
    with pytest.raises(openai.BadRequestError) as protected:
        await assistants.delete("jan")
    assert protected.value.code == "protected_assistant"
    assert asked.checked[200] > 10


async def test_threads_with_the_official_client(asked: Asked) -> None:
    threads = asked.openai.beta.threads
    resources: Any = {"code_interpreter": {"file_ids": ["file-1"]}}
    made = await threads.create(
        messages=[{"role": "user", "content": "a"}, {"role": "assistant", "content": [{"type": "text", "text": "b"}]}],
        metadata={"a": "b"},
        tool_resources=resources,
        extra_body={"title": "T", "assistants": [{"assistant_id": "jan"}], "parameters": {"temperature": 0}},
    )
    assert (made.metadata, made.model_extra) == (
        {"a": "b"},
        {"title": "T", "assistants": [{"assistant_id": "jan"}], "parameters": {"temperature": 0}},
    )
    assert made.tool_resources is not None
    assert made.tool_resources.model_dump(exclude_unset=True) == resources
    assert await threads.retrieve(made.id) == made
    changed = await threads.update(made.id, metadata={"c": "d"}, extra_body={"title": "U", "model": "scripted"})
    assert (changed.metadata, (changed.model_extra or {})["title"]) == ({"c": "d"}, "U")
    listed = [one.role async for one in threads.messages.list(made.id, order="asc")]
    assert listed == ["user", "assistant"]
    gone = await threads.delete(made.id)
    assert (gone.deleted, gone.object) == (True, "thread.deleted")
    with pytest.raises(openai.NotFoundError) as missing:
        await threads.messages.list(made.id)
    assert (missing.value.code, missing.value.param) == ("thread_not_found", "thread_id")


async def test_messages_with_the_official_client(asked: Asked) -> None:
    thread = (await asked.openai.beta.threads.create()).id
    messages = asked.openai.beta.threads.messages
    parts: list[Any] = [
        {"type": "text", "text": "Look: é ☃ 😀"},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
        {"type": "image_file", "image_file": {"file_id": "file-1"}},
    ]
    attachments: list[Any] = [{"file_id": "file-1", "tools": [{"type": "file_search"}]}]
    made = await messages.create(thread, role="user", content=parts, attachments=attachments, metadata={"a": "b"})
    told = made.model_dump(exclude_unset=True)
    assert told["content"][0] == {"type": "text", "text": {"value": parts[0]["text"], "annotations": []}}
    assert told["content"][1:] == parts[1:]
    assert (told["attachments"], told["metadata"], told["status"]) == (attachments, {"a": "b"}, "completed")
    assert await messages.retrieve(made.id, thread_id=thread) == made
    changed = await messages.update(made.id, thread_id=thread, metadata={"c": "d"})
    assert changed == made.model_copy(update={"metadata": {"c": "d"}})
    for index in range(45):
        await messages.create(thread, role="user", content=f"m{index}")
    listed = [one.id async for one in messages.list(thread, limit=20)]
    assert (len(listed), len({*listed}), listed[-1]) == (46, 46, made.id)
    assert [one.id async for one in messages.list(thread, limit=7, order="asc")] == listed[::-1]
    gone = await messages.delete(made.id, thread_id=thread)
    assert (gone.deleted, gone.object) == (True, "thread.message.deleted")
    with pytest.raises(openai.NotFoundError) as missing:
        await messages.retrieve(made.id, thread_id=thread)
    assert missing.value.code == "message_not_found"


async def test_threads_can_be_found_again(asked: Asked) -> None:
    ids = []
    for index in range(5):
        body = {"metadata": {"part of": str(index % 2)}, "assistants": [{"assistant_id": "jan"}]}
        ids.append((await asked.http.post("/threads", json=body)).json()["id"])
    whole = (await asked.http.get("/threads")).json()
    assert [one["id"] for one in whole["data"]] == ids[::-1]
    found = (await asked.http.get("/threads", params={"metadata[part of]": "1", "limit": 1})).json()
    assert [one["id"] for one in found["data"]] == [ids[3]]
    found = (await asked.http.get("/threads", params={"metadata[part of]": "1", "after": ids[3]})).json()
    assert [one["id"] for one in found["data"]] == [ids[1]]
    assert len((await asked.http.get("/threads", params={"assistant_id": "jan"})).json()["data"]) == 5
    assert (await asked.http.get("/threads", params={"assistant_id": "asst_x"})).json()["data"] == []


async def test_a_repeated_request_under_one_key_is_done_once(asked: Asked) -> None:
    thread = (await asked.openai.beta.threads.create()).id
    bodies: dict[str, dict[str, Any]] = {
        "/assistants": {"model": "scripted", "name": "A"},
        "/threads": {"title": "T"},
        f"/threads/{thread}/messages": {"role": "user", "content": "a"},
    }
    for path, body in bodies.items():
        headers = {"Idempotency-Key": "the same for all"}
        first = await asked.http.post(path, json=body, headers=headers)
        again = await asked.http.post(path, json=body, headers=headers)
        assert (first.status_code, first.content) == (200, again.content), path
        other = await asked.http.post(path, json={**body, "metadata": {"a": "b"}}, headers=headers)
        assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_conflict")
        free = await asked.http.post(path, json=body)
        assert free.json()["id"] != first.json()["id"]
        for key in ("", "x" * 256):
            refused = await asked.http.post(path, json=body, headers={"Idempotency-Key": key})
            assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_idempotency_key")
    assert len((await asked.http.get(f"/threads/{thread}/messages")).json()["data"]) == 2
    assert len((await asked.http.get("/threads")).json()["data"]) == 3


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/assistants", {"name": "a"}, "model"),
        ("/assistants", {"model": "m", "name": "x" * 257}, "name"),
        ("/assistants", {"model": "m", "temperature": 3}, "temperature"),
        ("/assistants", {"model": "m", "tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        ("/assistants", {"model": "m", "metadata": {"k" * 65: "v"}}, f'metadata["{"k" * 60}…"]'),
        ("/assistants", {"model": "m", "metadata": {"k": "v" * 513}}, "metadata.k"),
        ("/threads", {"messages": [{"role": "user", "content": ""}]}, "messages[0].content"),
        ("/threads", {"parameters": {"temperature": 3}}, "parameters.temperature"),
        ("/threads", {"assistants": [{"assistant_id": "../x"}]}, "assistants[0].assistant_id"),
        ("/threads/{}/messages", {"role": "tool", "content": "a"}, "role"),
        ("/threads/{}/messages", {"role": "user", "content": []}, "content"),
        ("/threads/{}/messages", {"role": "user"}, "content"),
        (
            "/threads",
            {"tool_resources": {"file_search": {"vector_stores": [{"file_ids": ["f"]}]}}},
            "tool_resources.file_search.vector_stores",
        ),
    ],
)
async def test_a_bad_body_is_a_400_that_names_the_field(
    asked: Asked, path: str, body: dict[str, Any], param: str
) -> None:
    thread = (await asked.openai.beta.threads.create()).id
    reply = await asked.http.post(path.format(thread), json=body)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param), reply.text
    assert len((await asked.http.get("/threads")).json()["data"]) == 1
    assert len((await asked.http.get("/assistants")).json()["data"]) == 1
