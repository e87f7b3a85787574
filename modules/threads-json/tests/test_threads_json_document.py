from __future__ import annotations

from typing import Any

import pytest
from jan_threads_json.document import IN_MODEL, model_of, model_values, settings_of, thread_of, thread_values

from jan_core.folder.objects import Damaged
from jan_core.schemas.threads import Thread

ALL = set(Thread.model_fields)


def shown(values: dict[str, Any], settings: dict[str, Any] | None = None) -> dict[str, Any]:
    thread = thread_of("t", "/root/threads/t/thread.json", values, b"", settings)
    return thread.model_dump(mode="json")


def test_what_the_file_lacks_takes_its_default_and_its_id_does_not_count() -> None:
    assert shown({"id": "other", "object": "chat", "created_at": 1_700_000_000_123}) == {
        "id": "t",
        "object": "thread",
        "created_at": 1_700_000_000,
        "tool_resources": None,
        "metadata": {},
    }
    assert shown({"created": 5})["created_at"] == 5
    for missing in (
        {},
        {"created_at": None},
        {"created_at": [], "metadata": {}},
        {"created_at": "2024"},
        {"created": True},
    ):
        with pytest.raises(Damaged):
            shown(missing)


def test_what_model_json_says() -> None:
    assert model_of({"id": "a", "model": "b"}) == "b"
    assert model_of({"id": "a", "model": ""}) == "a"
    assert model_of({"id": 5}) is model_of({"id": "*"}) is None
    assert model_of({"id": "a", "model": "*"}) == "a"
    found = shown({"created_at": 1, "model": "not here", "parameters": {"x": 1}}, {"id": "m", "parameters": {"y": 2}})
    assert (found["model"], found["parameters"]) == ("m", {"y": 2})
    for wrong in ([], 5, "", False):  # it costs what it sets
        assert shown({"created_at": 1}, {"id": "m", "parameters": wrong}) == shown({"created_at": 1}, {"id": "m"})
    assert "model" not in shown({"created_at": 1, "model": "not here"})
    assert settings_of("/m", {"id": "m", "parameters": {"top_p": 1, "model": "x"}}, b"") == {"model": "m", "top_p": 1}
    assert settings_of("/m", {"id": "*", "instructions": ""}, b"") == {"instructions": ""}
    with pytest.raises(Damaged):
        settings_of("/m", {"parameters": []}, b"")


def test_what_is_written_is_what_is_read() -> None:
    fields = {
        "id": "t",
        "created_at": 5,
        "title": "a",
        "metadata": {"k": "v"},
        "tool_resources": {"file_search": {"vector_store_ids": ["vs_1"]}},
        "assistants": [{"assistant_id": "jan", "model": "m"}],
        "model": "n",
        "parameters": {"stop": ["x"]},
    }
    thread = Thread.model_validate(fields)
    values, settings = thread_values(thread, {}, ALL), model_values(thread, {}, ALL)
    assert not IN_MODEL & values.keys()
    assert thread_of("t", "", values, b"", settings) == thread


def test_only_named_fields_are_written() -> None:
    thread = Thread.model_validate({"id": "t", "created_at": 5, "title": "new"})
    before = {"title": "old", "metadata": {"n": 1}, "x": [1]}
    assert thread_values(thread, before, {"title"}) == {"title": "new", "metadata": {"n": 1}, "x": [1]}
    assert before["title"] == "old"
    assert thread_values(thread, {"assistants": [1], "x": 1}, {"assistants"}) == {"x": 1}
    assert model_values(thread, {"id": "m", "model": "m", "object": "model"}, {"model"}) == {}
    assert model_values(thread, {"id": "m", "parameters": {}, "x": 1}, {"parameters"}) == {"id": "m", "x": 1}
