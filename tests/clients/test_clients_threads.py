"""`beta.assistants` and `beta.threads` of openai-python and openai-node, unchanged."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.clients.environments import node
from tests.clients.running import PROGRAMS, Run, Told
from tests.e2e.server import MODEL


@pytest.fixture(scope="module", params=["openai-python", "openai-node"])
def told(request: pytest.FixtureRequest, run: Run, tmp_path_factory: pytest.TempPathFactory) -> Told:
    if request.param == "openai-python":
        # Its own warning that OpenAI itself serves these no longer.
        ignore = "ignore::DeprecationWarning"
        return run(sys.executable, "-W", "error", "-W", ignore, PROGRAMS / "openai_threads.py")
    program, modules = node()
    folder = tmp_path_factory.mktemp("node-threads")
    (folder / "node_modules").symlink_to(modules / "node_modules", target_is_directory=True)
    copy: Path = shutil.copy(PROGRAMS / "openai_threads.mjs", folder)
    return run(program, copy)


def has(found: dict[str, Any], **expected: Any) -> None:
    """Every expected field is there; a client may add nulls of its own inside."""
    for name, value in expected.items():
        assert plain(found[name]) == value, name


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items() if inner is not None}
    return [plain(inner) for inner in value] if isinstance(value, list) else value


def test_assistants(told: Told) -> None:
    found = told["assistant"]
    made = found["made"]
    assert made["id"].startswith("asst_")
    has(
        made,
        object="assistant",
        model=MODEL,
        name="Mathe-Übung ☃",
        description="Teaches.",
        instructions="Be short.",
        tool_resources={"code_interpreter": {"file_ids": ["file-1"]}, "file_search": {"vector_store_ids": ["vs_1"]}},
        metadata={"subject": "maths"},
        temperature=0.5,
        top_p=0.9,
        response_format={"type": "json_object"},
        reasoning_effort="low",
    )
    assert [tool["type"] for tool in made["tools"]] == ["function", "code_interpreter", "file_search"]
    assert found["found"] == made
    assert found["changed"] == {**made, "name": "Other", "metadata": {"a": "b"}}
    assert set(found["listed"]) == {made["id"], "jan"}
    assert found["gone"] == {"id": made["id"], "object": "assistant.deleted", "deleted": True}
    assert found["left"] == ["jan"]


def test_threads(told: Told) -> None:
    found = told["thread"]
    made = found["made"]
    has(
        made,
        object="thread",
        metadata={"topic": "numbers"},
        tool_resources={"code_interpreter": {"file_ids": ["file-1"]}},
    )
    assert found["said"] == ["one", "two"]
    assert found["changed"] == found["found"] == {**made, "metadata": {"topic": "letters"}}
    assert found["gone"] == {"id": made["id"], "object": "thread.deleted", "deleted": True}


def test_messages(told: Told) -> None:
    found = told["messages"]
    made = found["made"]
    assert made["id"].startswith("msg_")
    assert [part["type"] for part in made["content"]] == ["text", "image_url", "image_file"]
    assert made["content"][0]["text"] == {"value": "see", "annotations": []}
    assert made["content"][1]["image_url"] == {"url": "https://images.example/a.png", "detail": "low"}
    assert made["content"][2]["image_file"] == {"file_id": "file-1", "detail": "high"}
    attached = {"file_id": "file-2", "tools": [{"type": "file_search"}, {"type": "code_interpreter"}]}
    has(made, object="thread.message", role="user", attachments=[attached], metadata={"k": "v"})
    assert found["found"] == made
    assert found["changed"] == {**made, "metadata": {"new": "pair"}}
    oldest_first = [made["id"], *found["more"]]
    newest_first = oldest_first[::-1]
    assert found["page"] == newest_first[:2]
    assert found["after"] == newest_first[2:4]
    assert found["before"] == newest_first[:1]
    assert found["every"] == oldest_first
    assert found["of_run"] == []
    assert found["gone"] == {"id": made["id"], "object": "thread.message.deleted", "deleted": True}
    assert found["left"] == newest_first[:-1]


def test_errors(told: Told) -> None:
    assert told["errors"] == {
        "no_thread": {"status": 404, "code": "thread_not_found", "param": "thread_id"},
        "no_message": {"status": 404, "code": "message_not_found", "param": "message_id"},
        "no_assistant": {"status": 404, "code": "assistant_not_found", "param": "assistant_id"},
        "default": {"status": 400, "code": "protected_assistant", "param": "assistant_id"},
        "cursor": {"status": 400, "code": None, "param": "after"},
        "metadata": {"status": 400, "code": "invalid_value", "param": "metadata.k"},
    }


def test_a_repeated_request_is_done_once(told: Told) -> None:
    assert told["repeated"] == {"same": True, "kept": 1, "other": "idempotency_conflict"}
