from __future__ import annotations

from typing import Any

from jan_core.importing.assistants import as_assistant
from jan_core.importing.threads import Names
from jan_core.schemas.assistants import Assistant

NAMES = Names(models={"org/ship/q8": "org-ship-q8"})


def turned(**raw: Any) -> tuple[Assistant, list[str]]:
    notes: list[str] = []
    return as_assistant(raw, "x", 7, NAMES, notes), notes


def test_an_older_assistant() -> None:
    found, notes = turned(
        id="elsewhere",
        name="Tutor",
        created_at=1_699_000_000_123,
        model="*",
        instructions="",
        avatar="",
        tools=[{"type": "retrieval", "enabled": True, "settings": {}}, {"type": "code_interpreter"}],
        file_ids=[],
        metadata=None,
    )
    assert found.model_dump(mode="json", exclude_unset=True) == {
        "id": "x",
        "created_at": 1_699_000_000,
        "name": "Tutor",
        "model": "",
        "metadata": {},
        "tools": [{"type": "file_search"}, {"type": "code_interpreter"}],
    }
    assert notes == []


def test_a_newer_assistant() -> None:
    found, notes = turned(
        assistant_name="Pirate",
        model={"id": "org/ship/q8"},
        parameters={"temperature": 0.5, "top_p": 7, "top_k": 3, "stream": True, "seed": None},
        avatar="🏴",
        tools=[{"type": "retrieval", "enabled": False}, {"type": "telepathy"}, "x"],
    )
    assert (found.created_at, found.name, found.model) == (7, "Pirate", "org-ship-q8")
    assert (found.temperature, found.top_p, found.tools) == (0.5, None, [])
    assert [note.split(":")[0] for note in notes] == [
        "the tool 'telepathy' was left out",
        "parameters.top_k was left out",
        "top_p was left out",
    ]


def test_texts_that_are_too_long_are_cut() -> None:
    found, notes = turned(name="n" * 300, description="d" * 600, instructions=5, avatar=["x"], created_at="x")
    assert found.name is not None
    assert found.description is not None
    assert (len(found.name), len(found.description), found.instructions, found.avatar) == (256, 512, None, None)
    assert len(notes) == 2


def test_our_own_format_stays_as_it_is() -> None:
    original = Assistant(
        id="x",
        created_at=5,
        name="A",
        description="B",
        model="m",
        instructions="C",
        tools=[
            {"type": "file_search", "file_search": {"max_num_results": 3}},
            {"type": "function", "function": {"name": "f"}},
        ],
        tool_resources={"file_search": {"vector_store_ids": ["vs_1"]}},
        metadata={"a": "b"},
        temperature=0.1,
        top_p=0.9,
        response_format="auto",
        reasoning_effort="low",
        avatar="a",
        thread_location="threads",
    )
    assert turned(**original.model_dump(mode="json"))[0] == original


def test_a_place_outside_of_the_root_is_left_out() -> None:
    for place in ("/elsewhere/threads", "../threads", "C:\\threads"):
        found, notes = turned(thread_location=place)
        assert found.thread_location is None
        assert notes == ["thread_location was left out: it is no place in this root"]
