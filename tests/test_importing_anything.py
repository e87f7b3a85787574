"""Whatever JSON a foreign root holds, an import brings it or names what is wrong with it: it never breaks off."""

from __future__ import annotations

import json
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jan_core.importing.assistants import as_assistant
from jan_core.importing.models import read_model
from jan_core.importing.reading import Unreadable, read_object
from jan_core.importing.threads import Names, embedded_assistants, read_conversation
from tests.foreign import GGUF, lines, write

TEXTS = st.sampled_from(
    ["", "a", "user", "assistant", "text", "ready", "stopped", "*", "jan", "../x", "\ud800", "x" * 600]
)
PLAIN = st.one_of(st.none(), st.booleans(), st.integers(-10, 10**20), st.floats(), TEXTS)
ANY = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=6
)


def objects(*names: str) -> st.SearchStrategy[dict[str, Any]]:
    """Objects that have some of these fields, each with anything in it."""
    return st.fixed_dictionaries({}, optional=dict.fromkeys(names, ANY))


PART = objects("type", "text", "image_url", "image_file", "refusal", "tool_name", "input") | ANY
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant"]) | ANY},
    optional={
        "content": st.lists(PART, max_size=3) | ANY,
        **dict.fromkeys(["id", "created", "created_at", "status", "metadata", "assistant_id", "attachments"], ANY),
        **dict.fromkeys(["completed_at", "incomplete_details", "run_id", "updated"], ANY),
    },
)
ASSISTANT = objects(
    *("id", "assistant_id", "name", "model", "instructions", "tools", "parameters", "metadata", "created_at", "avatar"),
    *("thread_location", "response_format", "tool_resources", "temperature", "description"),
)
THREAD = st.fixed_dictionaries(
    {},
    optional={
        "assistants": st.lists(ASSISTANT, max_size=2) | ANY,
        **dict.fromkeys(["id", "title", "summary", "created", "created_at", "updated", "metadata", "model"], ANY),
        **dict.fromkeys(["tool_resources", "model_id"], ANY),
    },
)
MODEL = objects(
    *("id", "model", "sources", "source", "settings", "parameters", "metadata", "engine", "created", "files"),
    *("model_path", "mmproj_path", "source_url", "stop", "ctx_len", "model_sha256"),
)


@settings(max_examples=150, deadline=None)
@given(THREAD, st.lists(MESSAGE, max_size=3), objects("id", "model", "parameters", "instructions"))
def test_threads(thread: Any, messages: list[Any], model: Any) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / "thread.json", thread)
        write(folder / "model.json", model)
        write(folder / "messages.jsonl", lines(*messages))
        try:
            found = read_conversation(folder, "t", Names())
        except Unreadable:
            return
    json.dumps(found.thread.model_dump(mode="json"), allow_nan=False, ensure_ascii=False).encode()
    for message in found.messages:
        json.dumps(message.model_dump(mode="json"), allow_nan=False, ensure_ascii=False).encode()
    # Each line is brought or told of once; so is a thread.json that says nothing that can be read.
    assert len(found.messages) + len(found.problems) <= len(messages) + 1


@settings(max_examples=150, deadline=None)
@given(ASSISTANT)
def test_assistants(raw: Any) -> None:
    with tempfile.TemporaryDirectory() as name:
        raw = read_object(write(Path(name) / "assistant.json", raw))
    made = as_assistant(raw, "x", 5, Names(), [])
    json.dumps(made.model_dump(mode="json"), allow_nan=False)
    list(embedded_assistants({"assistants": [raw]}))


@settings(max_examples=150, deadline=None)
@given(MODEL)
def test_models(raw: Any) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "models" / "m"
        write(folder / "model.json", raw)
        write(folder / "a.gguf", GGUF)
        found = read_model(folder, "m", Path(name))
        json.dumps(found.description("m"), allow_nan=False, ensure_ascii=False).encode()
        assert found.files


@pytest.mark.parametrize("name", ["thread.json", "messages.jsonl"])
@settings(max_examples=100, deadline=None)
@given(content=st.binary(max_size=60))
def test_bytes(name: str, content: bytes) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write(folder / name, content)
        with suppress(Unreadable):
            read_conversation(folder, "t", Names())
