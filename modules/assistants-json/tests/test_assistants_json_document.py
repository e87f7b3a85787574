from __future__ import annotations

from typing import Any

from jan_assistants_json.document import assistant_of, model_of, own_settings

from jan_core.folder.fields import updated
from jan_core.schemas.assistants import Assistant


def read(**values: Any) -> Assistant:
    return assistant_of("x", "/root/assistants/x/assistant.json", {"created_at": 5, **values}, b"", None)


def test_the_model_that_a_file_names() -> None:
    assert model_of({"model": "m", "id": "x"}) == "m"
    assert model_of({"model": {"id": "m"}}) == "m"
    assert model_of({"id": "x"}) == "x"
    assert model_of({"id": "x"}, ("model",)) is None
    for none in ({"model": "*"}, {"model": ""}, {"model": None}, {"model": 5}, {"model": {}}):
        assert model_of(none) is None


def test_tools_under_their_older_names() -> None:
    def kinds(*tools: Any) -> list[str]:
        return [tool.type for tool in read(tools=list(tools)).tools]

    assert kinds({"type": "rag"}) == kinds({"type": "retrieval", "settings": {}}) == ["file_search"]
    assert kinds({"type": "rag"}, {"type": "file_search"}) == ["file_search"]
    assert kinds("retrieval", "unknown", 5, {}, {"type": "new"}) == ["file_search"]
    assert kinds({"type": "code_interpreter", "enabled": False}) == []
    assert read(tools=None).tools == []


def test_what_is_written_is_what_is_read() -> None:
    found = read(model="m", temperature=0.5, metadata={"a": 1, "b": {"c": 2}}, avatar="x")
    assert found.metadata == {"a": "1", "b": '{"c": 2}'}
    values = updated({}, found, set(Assistant.model_fields))
    assert assistant_of("x", "", values, b"", None) == found


def test_own_settings_are_what_the_file_says_and_no_defaults() -> None:
    values = {"created_at": 5, "temperature": 0, "tools": [], "parameters": {"top_k": 5, "temperature": 1}}
    assert own_settings(read(**values), values) == {"temperature": 0, "top_k": 5}
