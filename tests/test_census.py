"""Hostile input on every route that the app has: never a 5xx, always an error in the API's shape."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jan_core.endpoint import Operation
from jan_core.endpoints.assistants import Assistants
from jan_core.endpoints.chat import Chat
from jan_core.endpoints.completions import Completions
from jan_core.endpoints.embeddings import Embeddings
from jan_core.endpoints.messages import Messages
from jan_core.endpoints.models import Models
from jan_core.endpoints.threads import Threads
from jan_core.inprocess import client
from jan_core.schemas.assistants import Assistant
from jan_core.schemas.messages import Message
from jan_core.schemas.threads import Thread
from jan_core.testing.wired import CONVERSATIONS, EVERYTHING, wired
from tests.conversations import FOLDER
from tests.notes import Notes, NotesInMemory
from tests.parts import NOTES, chat_body, part

PUBLIC = [
    one
    for endpoint in (Chat, Completions, Embeddings, Models, Assistants, Threads, Messages, Notes)
    for one in endpoint.operations().values()
    if one.path and not one.stream
]
KNOWN = "known"
"""The id of an assistant, of a thread, and of a message in it."""
GOOD: dict[str, dict[str, Any]] = {
    "assistants.create": {
        "model": "scripted",
        "name": "a",
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"a": [1]}}}],
        "tool_resources": {"file_search": {"vector_store_ids": ["v"]}},
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}},
    },
    "assistants.update": {"name": None, "metadata": {"a": "b"}, "temperature": 1},
    "chat.create": chat_body("hello", temperature=0.5, n=1, max_tokens=5, stop=["x"], user="u", metadata={"a": "b"}),
    "chat.update": {"metadata": {"a": "b"}},
    "completions.create": {
        "model": "scripted",
        "prompt": ["a b", ""],
        "n": 1,
        "max_tokens": 5,
        "stop": ["x"],
        "echo": True,
    },
    "embeddings.create": {"model": "scripted", "input": ["a", "b"], "dimensions": 3, "encoding_format": "base64"},
    "messages.create": {
        "role": "user",
        "content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "u"}}],
        "attachments": [{"file_id": "f", "tools": [{"type": "file_search"}]}],
    },
    "messages.update": {"metadata": {"a": "b"}},
    "notes.create": {"text": "a"},
    "threads.create": {
        "messages": [{"role": "user", "content": "a"}],
        "title": "a",
        "assistants": [{"assistant_id": "jan", "model": "m"}],
        "parameters": {"temperature": 0, "own": [1, None]},
    },
    "threads.update": {"title": "a", "tool_resources": None, "parameters": {"stop": ["x"]}},
}
HOSTILE = [
    b"",
    b" ",
    b"null",
    b"[]",
    b'"x"',
    b"{",
    b'{"a":',
    b"\xff\xfe",
    b"\x00",
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'{"model": NaN}',
    b'{"model": Infinity}',
    b'{"model": ' + b"9" * 5000 + b"}",
    b'{"model": 1e999}',
    b'{"model": "\\ud800"}',
    b'{"\\udfff": 1}',
    b'{"nothing": "a", "nothing": "b"}',
    b"\xef\xbb\xbf{}",
    b'{"model": "\x01"}',
]
SETTINGS = settings(
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)


def objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    names = [
        "model",
        "messages",
        "role",
        "content",
        "type",
        "text",
        "stream",
        "metadata",
        "tools",
        "stop",
        "n",
        "seed",
        "input",
        "prompt",
        "assistants",
        "attachments",
        "parameters",
        "tool_resources",
    ]
    return st.dictionaries(st.sampled_from(names) | st.text(max_size=8), inner, max_size=4)


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | objects(inner), max_leaves=8)


class Asked:
    """One app in one loop, and what it answered."""

    def __init__(self, runner: asyncio.Runner, http: Any) -> None:
        self.runner = runner
        self.http = http
        self.statuses: dict[int, int] = {}

    def ask(self, operation: Operation, *, path: str = KNOWN, **request: Any) -> Any:
        assert operation.path is not None
        url = "http://localhost" + re.sub(
            r"\{[^}]+\}", lambda _: quote(path, safe="").replace(".", "%2E"), operation.path
        )
        reply = self.runner.run(self.http.request(operation.method, url, **request))
        self.statuses[reply.status_code] = self.statuses.get(reply.status_code, 0) + 1
        assert reply.status_code < 500, (operation.qualified, request, reply.text)
        assert reply.headers["x-request-id"].startswith("req_")
        if reply.status_code >= 400:
            error = reply.json()["error"]
            assert [*error] == ["message", "type", "param", "code"], reply.text
            assert error["message"]
            assert len(reply.content) < 20_000
        return reply


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    notes = part(monkeypatch, "notes-memory", provide_notes=lambda: NotesInMemory())
    # The modules that make folders and files of ids, in place of those that keep all in memory.
    kept = {name: value for name, value in EVERYTHING.items() if name not in CONVERSATIONS}
    modules = {**kept, **FOLDER, "notes-memory": notes}
    jan = wired(tmp_path / "root", {"server": {"log_requests": False}}, modules=modules, **NOTES)
    with asyncio.Runner() as runner:
        runner.run(jan.__aenter__())
        runner.run(jan.assistants.put(Assistant(id=KNOWN, created_at=1, model="scripted")))
        runner.run(jan.threads.put(Thread(id=KNOWN, created_at=1)))
        runner.run(jan.messages.put(Message(id=KNOWN, thread_id=KNOWN, created_at=1, role="user", content=[])))
        made = Asked(runner, client(jan))
        yield made
        print(made.statuses)
        runner.run(made.http.aclose())
        runner.run(jan.__aexit__(None, None, None))
    assert [one.name for one in tmp_path.iterdir()] == ["root"]


def with_body() -> list[Operation]:
    found = [one for one in PUBLIC if one.types().body is not None]
    assert {one.qualified for one in found} == set(GOOD)
    return found


def test_the_good_bodies_are_good(asked: Asked) -> None:
    for operation in with_body():
        reply = asked.ask(operation, json=GOOD[operation.qualified])
        assert reply.status_code == (400 if operation.optional else 200), reply.text


def test_bodies_that_are_no_json_object(asked: Asked) -> None:
    for operation in with_body():
        for raw in HOSTILE:
            reply = asked.ask(operation, content=raw, headers={"content-type": "application/json"})
            # Two fields under one name are one, as in every JSON reader, and here one that nobody knows.
            assert reply.status_code == 400, (operation.qualified, raw[:30], reply.text)
        for kind in (
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "",
            "x" * 400,
        ):
            assert asked.ask(operation, content=b"{}", headers={"content-type": kind}).status_code == 415


@pytest.mark.parametrize("operation", with_body(), ids=lambda one: one.qualified)
def test_any_json_as_a_body(asked: Asked, operation: Operation) -> None:
    @settings(SETTINGS, max_examples=60)
    @given(objects(values) | values)
    def run(body: Any) -> None:
        asked.ask(operation, content=json.dumps(body).encode(), headers={"content-type": "application/json"})

    run()


@pytest.mark.parametrize("operation", with_body(), ids=lambda one: one.qualified)
def test_a_good_body_with_one_field_changed(asked: Asked, operation: Operation) -> None:
    fields = st.sampled_from([*operation.types().body.model_fields, "unknown"])

    @settings(SETTINGS, max_examples=150)
    @given(fields, values)
    def run(name: str, value: Any) -> None:
        body = {**GOOD[operation.qualified], name: value}
        reply = asked.ask(operation, content=json.dumps(body).encode(), headers={"content-type": "application/json"})
        error = reply.json().get("error") if reply.status_code == 400 else None
        if error is not None and error["code"] not in ("not_supported", "invalid_json"):
            assert error["param"], reply.text  # it names the field

    run()


@pytest.mark.parametrize("operation", [one for one in PUBLIC if one.parameters], ids=lambda one: one.qualified)
def test_any_text_in_a_path(asked: Asked, operation: Operation) -> None:
    hostile = ["..", "../../etc/passwd", "%2e%2e", "\x00", "a/b:c", "CON", "é\u202e", " ", ".", "a" * 5000, "{x}"]

    @settings(SETTINGS, max_examples=40)
    @given(st.sampled_from(hostile) | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30))
    def run(text: str) -> None:
        body = GOOD.get(operation.qualified)
        reply = asked.ask(operation, path=text, **({"json": body} if body else {}))
        assert reply.status_code in (400, 404, 405), (text, reply.status_code)

    run()


@pytest.mark.parametrize("operation", [one for one in PUBLIC if one.types().query], ids=lambda one: one.qualified)
def test_any_query(asked: Asked, operation: Operation) -> None:
    names = st.sampled_from([*operation.types().query.model_fields, "metadata[a]", "metadata[", "unknown"])

    @settings(SETTINGS, max_examples=60)
    @given(st.lists(st.tuples(names, st.text(st.characters(exclude_categories=["Cs"]), max_size=10)), max_size=4))
    def run(pairs: list[tuple[str, str]]) -> None:
        reply = asked.ask(operation, params=pairs)
        assert reply.status_code in (200, 400)

    run()
    for raw in ("limit=%ff%fe", "limit=1&limit=2", "&&&=", "limit", "%00=1", "limit=" + "9" * 5000, "order=%F0%9F%98"):
        url = f"http://localhost{operation.path}?{raw}".replace("{completion_id}", "c").replace("{thread_id}", KNOWN)
        assert asked.runner.run(asked.http.get(url)).status_code in (200, 400)
