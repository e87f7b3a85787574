"""The modules that are there by default, asked by the official client while `jan serve --check` looks on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.e2e.server import MODEL, JanServer, add_model, write_config

pytestmark = [
    # The client says that OpenAI's own servers stopped answering these routes.
    pytest.mark.filterwarnings("ignore:(The Assistants API is )?deprecated:DeprecationWarning"),
]


@pytest.fixture(scope="module")
def looked_at(tmp_path_factory: pytest.TempPathFactory, smollm2_path: Path) -> Iterator[JanServer]:
    root = tmp_path_factory.mktemp("looked-at") / "root"
    write_config(root, aliases={"small": MODEL})
    add_model(root, MODEL, smollm2_path)
    with JanServer(root, "--check") as server:
        yield server
        assert not [line for line in server.stderr if "contract" in line]


def body(**fields: Any) -> dict[str, Any]:
    said = [{"role": "user", "content": "Say hello and count to ten."}]
    return {"model": MODEL, "messages": said, "max_tokens": 16, "temperature": 0, **fields}


@pytest.mark.parametrize("fields", [{}, {"n": 2}, {"stop": ["o", " "]}, {"model": "small"}, {"max_tokens": 1}])
def test_answers_pass(looked_at: JanServer, fields: dict[str, Any]) -> None:
    client = looked_at.client()
    whole = client.chat.completions.create(**body(**fields))
    for options in ({}, {"stream_options": {"include_usage": True}}):
        text = ""
        with client.chat.completions.create(**body(stream=True, **options, **fields)) as stream:
            for chunk in stream:
                text += "".join(one.delta.content or "" for one in chunk.choices if one.index == 0)
        assert text == (whole.choices[0].message.content or "")
    fields = {"max_tokens": 8, "model": MODEL, **fields}
    made = client.completions.create(prompt=["One two", "red green"], **fields)
    assert len(made.choices) == 2 * fields.get("n", 1)
    with client.completions.create(prompt="One two", echo=True, stream=True, **fields) as stream:
        assert "".join(chunk.choices[0].text for chunk in stream if chunk.choices).startswith("One two")


def test_what_is_refused_and_left_passes(looked_at: JanServer) -> None:
    client = looked_at.client()
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(**body(model="nowhere"))
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(**body(messages=[{"role": "user", "content": "word " * 5000}], stream=True))
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(**body(store=True))
    with client.chat.completions.create(**body(stream=True, max_tokens=200)) as stream:
        next(iter(stream))
    assert client.chat.completions.create(**body(max_tokens=1)).choices


def test_models_and_vectors_pass(looked_at: JanServer) -> None:
    client = looked_at.client()
    assert [one.id for one in client.models.list()] == ["small", MODEL]
    assert client.models.retrieve("small").id == "small"
    with pytest.raises(openai.NotFoundError):
        client.models.delete("nowhere")
    for form in ("float", "base64"):
        made = client.embeddings.create(model=MODEL, input=["a", "b"], dimensions=8, encoding_format=form)  # type: ignore[arg-type]
        assert len(made.data) == 2


def test_stored_objects_pass(looked_at: JanServer) -> None:
    beta = looked_at.client().beta
    assistant = beta.assistants.create(model=MODEL, name="Zoë", metadata={"a": "b"})
    assert beta.assistants.update(assistant.id, metadata={}).metadata == {}
    assert {one.id for one in beta.assistants.list(limit=1)} == {assistant.id, "jan"}
    thread = beta.threads.create(messages=[{"role": "user", "content": f"{number}"} for number in range(5)])
    assert beta.threads.update(thread.id, metadata={"c": "d"}).metadata == {"c": "d"}
    one = beta.threads.messages.create(thread.id, role="user", content="last", metadata={"e": "f"})
    assert beta.threads.messages.update(one.id, thread_id=thread.id, metadata={"g": "h"}).metadata == {"g": "h"}
    for order in ("asc", "desc"):
        assert len([*beta.threads.messages.list(thread.id, order=order, limit=2)]) == 6  # type: ignore[arg-type]
    page = beta.threads.messages.list(thread.id, before=one.id, limit=3)
    assert page.data == []
    assert beta.threads.messages.delete(one.id, thread_id=thread.id).deleted
    assert beta.threads.delete(thread.id).deleted
    with pytest.raises(openai.NotFoundError):
        beta.threads.messages.list(thread.id)
    assert beta.assistants.delete(assistant.id).deleted
