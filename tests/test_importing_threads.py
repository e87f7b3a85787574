from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jan_core.importing.reading import Unreadable
from jan_core.importing.threads import Conversation, Names, read_conversation
from tests.foreign import NEW_THREAD, OLD_THREAD, lines, newer, older, said, write

NAMES = Names({"5f1c": "pirate"}, {"org/ship/q8": "ship", "tiny-q4": "tiny"}, {"5f1c": "Talk like a pirate."})


def read(folder: Path, raw: Any, **more: Any) -> Conversation:
    write(folder / "thread.json", raw)
    for name, value in more.items():
        write(folder / f"{name}.json", value)
    return read_conversation(folder, "t", NAMES)


def test_a_thread_of_an_older_app(tmp_path: Path) -> None:
    found = read_conversation(older(tmp_path) / "threads" / OLD_THREAD, OLD_THREAD, NAMES)
    assert found.thread.model_dump(mode="json") == {
        "id": OLD_THREAD,
        "object": "thread",
        "created_at": 1_700_000_000,
        "tool_resources": None,
        "metadata": {},
        "title": "Cats",
        "assistants": [{"assistant_id": "jan", "model": "tiny"}],
        "model": "tiny",
        "parameters": {"temperature": 0.3},
    }
    assert found.instructions == "Be brief."
    assert [one.id[-1] for one in found.messages] == ["1", "2", "3", "4"]
    assert found.problems == []
    assert found.notes == ["engine 'nitro' was left out: the model says which one answers"]


def test_a_thread_of_a_newer_app(tmp_path: Path) -> None:
    found = read_conversation(newer(tmp_path) / "threads" / NEW_THREAD, NEW_THREAD, NAMES)
    assert found.thread.assistants is not None
    assert [one.model_dump() for one in found.thread.assistants] == [{"assistant_id": "pirate", "model": "ship"}]
    assert (found.thread.title, found.thread.model) == ("Ships", "ship")
    assert found.thread.metadata == {"order": "3", "is_favorite": "true"}
    assert found.thread.created_at == 1_750_000_001  # that of its first message: the file has none
    assert found.instructions is None  # the assistant says the same


def test_the_model_file_beside_it_goes_first(tmp_path: Path) -> None:
    raw = {"created_at": 5, "assistants": [{"assistant_id": "a", "model": {"id": "x", "parameters": {"top_p": 0.5}}}]}
    model = {"id": "tiny-q4", "parameters": {"seed": 3}, "instructions": "Be kind."}
    found = read(tmp_path, raw, model=model)
    assert (found.thread.model, found.thread.parameters, found.instructions) == ("tiny", {"seed": 3}, "Be kind.")


def test_parameters_that_cannot_be_used_are_left_out(tmp_path: Path) -> None:
    parameters = {"temperature": 9, "top_k": 40, "stop": [], "stream": True, "max_tokens": 5, "seed": None}
    found = read(tmp_path, {"created": 5, "model": {"id": "m", "parameters": parameters}})
    assert found.thread.parameters == {"top_k": 40, "max_tokens": 5}
    assert len(found.notes) == 1
    assert found.notes[0].startswith("parameters.temperature was left out: ")


@pytest.mark.parametrize(
    ("raw", "title"),
    [
        ({"title": "A", "metadata": {"title": "B"}}, "A"),
        ({"metadata": {"title": "B"}}, "B"),
        ({"summary": "C"}, "C"),
        ({"title": " "}, None),
        ({"title": 5}, None),
    ],
)
def test_titles(tmp_path: Path, raw: dict[str, Any], title: str | None) -> None:
    found = read(tmp_path, raw)
    assert found.thread.title == title
    assert ("title" in found.thread.metadata) == (title == "A")


def test_messages_without_a_thread_file_are_a_thread(tmp_path: Path) -> None:
    write(tmp_path / "messages.jsonl", lines(said("user", "a", 1)))
    found = read_conversation(tmp_path, "t", Names())
    assert (found.thread.created_at, len(found.messages)) == (1_700_000_001, 1)
    assert found.notes == ["it had no thread.json"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"title": "a",\n]', '{"tool_resources": 5, "created": 1}'])
def test_a_damaged_thread_file_is_named(tmp_path: Path, content: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read(tmp_path, content)
    assert caught.value.path == tmp_path / "thread.json"
    assert caught.value.why
    # Where there are messages, these are brought all the same.
    write(tmp_path / "messages.jsonl", lines(said("user", "a", 1)))
    found = read(tmp_path, content)
    assert (found.thread.title, len(found.messages)) == (None, 1)
    assert found.thread.created_at == (1 if "created" in content else 1_700_000_001)
    assert [one.why for one in found.problems] == [caught.value.why]
    assert found.notes == ["its thread.json is damaged: the messages were brought without what stands there"]


def test_no_time_at_all(tmp_path: Path) -> None:
    assert read(tmp_path, {}).thread.created_at == int(tmp_path.stat().st_mtime)
    assert read(tmp_path, {"updated": 1_700_000_000_000}).thread.created_at == 1_700_000_000


def test_odd_lists_of_assistants(tmp_path: Path) -> None:
    found = read(tmp_path, {"created": 5, "assistants": ["x", {"name": "y"}, {"id": "z", "model": "*"}]})
    assert found.thread.assistants is not None
    assert [one.model_dump() for one in found.thread.assistants] == [{"assistant_id": "z"}]
    assert read(tmp_path, {"created": 5, "assistants": "x"}).thread.assistants is None
