"""The store and a person at the same folder: files edited, copied, broken, linked, or written by other programs."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from jan_assistants_json.store import AssistantsJson

from jan_core.effective import merged
from jan_core.errors import InvalidRequest, NotFound
from jan_core.pages import PageQuery
from jan_core.schemas.assistants import AssistantUpdate

pytestmark = pytest.mark.anyio
Write = Callable[..., Path]


async def ids(assistants: AssistantsJson) -> list[str]:
    return [one.id for one in (await assistants.list(PageQuery())).data]


async def test_a_folder_copied_in_is_an_assistant(assistants: AssistantsJson, write: Write, root: Path) -> None:
    assert await ids(assistants) == ["jan"]
    write("friend/assistant.json", id="asst_abc123", object="assistant", created_at=1_698_984_975, name="Tutor")
    write("friend/src/index.js", "")
    shutil.copytree(root / "friend", root / "assistants" / "tutor")
    assert await ids(assistants) == ["jan", "tutor"]
    assert (await assistants.retrieve("tutor")).name == "Tutor"
    with pytest.raises(NotFound):
        await assistants.retrieve("asst_abc123")
    (root / "assistants" / "tutor").rename(root / "assistants" / "teacher")
    assert await ids(assistants) == ["jan", "teacher"]
    shutil.rmtree(root / "assistants" / "teacher")
    assert await ids(assistants) == ["jan"]
    write("assistants/half/model.json", id="m")
    write("assistants/.DS_Store", "")
    write("assistants/notes.txt", "")
    assert await ids(assistants) == ["jan"]
    write("assistants/half/assistant.json", created_at=5)
    assert await ids(assistants) == ["jan", "half"]


async def test_an_edit_is_in_the_next_reply(assistants: AssistantsJson, write: Write) -> None:
    for number in range(20):
        write("assistants/x/assistant.json", created_at=5, name=f"{number:02}")
        assert (await assistants.retrieve("x")).name == f"{number:02}"
        assert (await assistants.list(PageQuery())).data[-1].name == f"{number:02}"
    write("assistants/x/assistant.json", b'\xef\xbb\xbf{\r\n\r\n"created_at": 5000000000000,\r\n"name": "BOM"}')
    found = await assistants.retrieve("x")
    assert (found.name, found.created_at) == ("BOM", 5_000_000_000)
    assert await ids(assistants) == ["x", "jan"]


async def test_model_json_gives_what_the_assistant_does_not_say(
    assistants: AssistantsJson, write: Write, models: object
) -> None:
    write("assistants/x/assistant.json", created_at=5, instructions=None)
    write(
        "assistants/x/model.json", id="m", instructions="Be kind.", parameters={"temperature": 0.1}, settings={"n": 1}
    )
    found = await assistants.retrieve("x")
    assert (found.model, found.instructions, found.temperature) == ("m", "Be kind.", None)
    (layer,) = await assistants.layers("x")
    assert layer.origin == "assistants/x/model.json"
    assert layer.values == {"model": "m", "instructions": "Be kind.", "temperature": 0.1}
    write("assistants/x/assistant.json", created_at=5, model="own", instructions="Be quick.", temperature=0.7)
    found = await assistants.retrieve("x")
    assert (found.model, found.instructions, found.temperature) == ("own", "Be quick.", 0.7)
    first, second = await assistants.layers("x")
    assert first.origin == "assistants/x/assistant.json"
    assert first.values == {"model": "own", "instructions": "Be quick.", "temperature": 0.7}
    assert second == layer
    path = write("assistants/x/model.json", "{")
    assert (await assistants.retrieve("x")).model == "own"
    with pytest.raises(InvalidRequest) as caught:
        await assistants.layers("x")
    assert f"{path}, line 1" in caught.value.message


async def test_assistants_of_the_desktop_application(assistants: AssistantsJson, write: Write, root: Path) -> None:
    path = write(
        "assistants/theirs/assistant.json",
        id="jan",
        object="assistant",
        avatar="",
        created_at=1747029866.542,
        name="Jan",
        model="*",
        instructions="",
        tools=[
            {"type": "retrieval", "enabled": False, "settings": {"top_k": 2}},
            {"type": "rag"},
            {"type": "retrieval"},
            {"type": "code_interpreter"},
            {"type": "web_search"},
        ],
        file_ids=["file-1", 5],
        parameters={"temperature": 0.3},
    )
    before = path.read_bytes()
    found = await assistants.retrieve("theirs")
    assert found.created_at == 1747029866
    assert (found.model, found.avatar) == ("", "")
    assert [tool.type for tool in found.tools] == ["file_search", "code_interpreter"]
    assert found.model_dump(mode="json")["tool_resources"] == {"code_interpreter": {"file_ids": ["file-1"]}}
    (layer,) = await assistants.layers("theirs")
    assert layer.values["temperature"] == 0.3
    assert "model" not in layer.values
    assert path.read_bytes() == before
    await assistants.update("theirs", AssistantUpdate(name="Mine"))
    told = json.loads(path.read_text())
    assert told["tools"][0]["settings"] == {"top_k": 2}
    assert told["file_ids"] == ["file-1", 5]
    assert sorted(os.listdir(root / "assistants")) == ["jan", "theirs"]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("", 1),
        ('{\n"created_at": 5,\n]', 3),
        ('{"name": "no time"}', 1),
        ('{\n"name": "x",\n"created_at": "yesterday"}', 3),
        ('{"created_at": 5,\n"temperature": 7}', 2),
        ('{"created_at": 5,\n"tools": "rag"}', 2),
        ('{"created_at": 5,\n\n"tools": [{"type": "function"}]}', 3),
    ],
)
async def test_a_damaged_assistant_is_told_with_its_line_and_hides_no_other(
    assistants: AssistantsJson, write: Write, content: str, line: int
) -> None:
    path = write("assistants/x/assistant.json", content)
    assert await ids(assistants) == ["jan"]
    for asked in (assistants.retrieve("x"), assistants.update("x", AssistantUpdate(name="y")), assistants.layers("x")):
        with pytest.raises(InvalidRequest) as caught:
            await asked
        assert caught.value.code == "damaged_file"
        assert f"{path}, line {line}: " in caught.value.message
    assert path.read_text() == content
    write("assistants/x/assistant.json", created_at=1)
    assert await ids(assistants) == ["jan", "x"]
    await assistants.delete("x")


async def test_links_out_of_the_root_are_not_written_through(
    assistants: AssistantsJson, root: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "assistant.json").write_text('{"created_at": 5}')
    (root / "assistants" / "x").symlink_to(outside)
    assert await ids(assistants) == ["jan", "x"]
    with pytest.raises(InvalidRequest) as caught:
        await assistants.update("x", AssistantUpdate(name="y"))
    assert caught.value.code == "outside_root"
    await assistants.delete("x")
    assert await ids(assistants) == ["jan"]
    assert (outside / "assistant.json").read_text() == '{"created_at": 5}'


async def test_where_threads_lay_is_noted_before_it_changes(
    assistants: AssistantsJson, write: Write, root: Path
) -> None:
    note = root / "threads" / ".homes.json"
    for name, place in (("a", "one"), ("b", "two")):
        write(f"assistants/{name}/assistant.json", created_at=5, thread_location=place)
        write(f"{place}/by-hand/thread.json", created_at=5)
    await assistants.update("a", AssistantUpdate(name="x"))
    assert not note.exists()
    await assistants.update("a", AssistantUpdate(thread_location=None))
    assert json.loads(note.read_text()) == {"homes": ["one"]}
    await assistants.delete("b")
    assert json.loads(note.read_text()) == {"homes": ["one", "two"]}


async def test_the_default_assistant_is_always_there(assistants: AssistantsJson, root: Path) -> None:
    for ask in (ids, lambda store: store.retrieve("jan"), lambda store: store.update("jan", AssistantUpdate(name="x"))):
        shutil.rmtree(root / "assistants" / "jan")
        await ask(assistants)
        assert await ids(assistants) == ["jan"]
    shutil.rmtree(root)
    assert await ids(assistants) == []
    with pytest.raises(NotFound):
        await assistants.retrieve("jan")
    assert "root" not in os.listdir(root.parent)  # nobody asked for a new one


async def test_empty_instructions_are_none_and_absent_ones_are_those_of_the_model(
    assistants: AssistantsJson, write: Write
) -> None:
    write("assistants/x/model.json", instructions="Be kind.")
    for instructions, shown in (("", ""), (None, "Be kind."), ("Be quick.", "Be quick.")):
        write("assistants/x/assistant.json", created_at=5, instructions=instructions)
        assert (await assistants.retrieve("x")).instructions == shown
        assert merged(await assistants.layers("x"))["instructions"].value == shown


@pytest.mark.parametrize("made", ["true", '"2024"'])
async def test_a_time_is_a_number(assistants: AssistantsJson, write: Write, made: str) -> None:
    path = write("assistants/x/assistant.json", f'{{\n"created_at": {made}}}')
    with pytest.raises(InvalidRequest) as caught:
        await assistants.retrieve("x")
    assert f"{path}, line 2: `created_at` must be a number" in caught.value.message
