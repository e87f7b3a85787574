"""The store: what it answers, and what is in the folder afterwards."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from jan_assistants_json.store import AssistantsJson

from jan_core.errors import Conflict, InvalidRequest, NotFound, Unavailable
from jan_core.folder.calls import DISK
from jan_core.pages import PageQuery
from jan_core.schemas.assistants import Assistant, AssistantRequest, AssistantUpdate

pytestmark = pytest.mark.anyio
Write = Callable[..., Path]

EVERYTHING: dict[str, Any] = {
    "model": "m",
    "name": "Shakespeare",
    "description": "Writes plays.",
    "instructions": "Answer in verse.",
    "reasoning_effort": "low",
    "tools": [
        {"type": "code_interpreter"},
        {"type": "file_search", "file_search": {"max_num_results": 5}},
        {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}},
    ],
    "tool_resources": {"code_interpreter": {"file_ids": ["file-1"]}},
    "metadata": {"a": "1"},
    "temperature": 0.5,
    "top_p": 0.9,
    "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}},
    "avatar": "👋",
    "thread_location": "threads",
}


def request(**fields: Any) -> AssistantRequest:
    return AssistantRequest.model_validate({"model": "m", **fields})


async def ids(assistants: AssistantsJson, **fields: Any) -> list[str]:
    return [one.id for one in (await assistants.list(PageQuery.model_validate(fields))).data]


async def test_jan_is_there_from_the_first_start(assistants: AssistantsJson, root: Path, models: Any) -> None:
    found = await assistants.retrieve("jan")
    assert (found.id, found.name, found.model, found.tools) == ("jan", "Jan", "", [])
    assert await assistants.layers("jan") == []
    models.engines = {"b": None, "a": None}
    assert (await assistants.retrieve("jan")).model == "a"
    assert (await assistants.list(PageQuery())).data[0].model == "a"
    with pytest.raises(InvalidRequest) as caught:
        await assistants.delete("jan")
    assert (caught.value.code, caught.value.param) == ("protected_assistant", "assistant_id")
    changed = await assistants.update("jan", AssistantUpdate(model="m", instructions="Be brief."))
    assert (changed.model, changed.instructions) == ("m", "Be brief.")
    assert os.listdir(root / "assistants" / "jan") == ["assistant.json"]


async def test_a_further_start_leaves_jan_as_it_is(jan: Any, root: Path) -> None:
    async with AssistantsJson(jan) as first:
        await first.update("jan", AssistantUpdate(name="Mine"))
    async with AssistantsJson(jan) as second:
        assert (await second.retrieve("jan")).name == "Mine"
    path = root / "assistants" / "jan" / "assistant.json"
    path.write_text("{ broken by hand")
    async with AssistantsJson(jan):
        assert path.read_text() == "{ broken by hand"
    shutil.rmtree(path.parent)
    async with AssistantsJson(jan) as third:
        assert (await third.retrieve("jan")).name == "Jan"


async def test_many_first_starts_at_once(jan: Any) -> None:
    stores = [AssistantsJson(jan) for _ in range(8)]
    async with anyio.create_task_group() as group:
        for store in stores:
            group.start_soon(store.__aenter__)
    assert len({(await store.retrieve("jan")).created_at for store in stores}) == 1


async def test_what_another_process_made_and_somebody_changed_meanwhile_stays(
    jan: Any, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = AssistantsJson(jan)
    hold = store._locks.hold

    def late(name: str) -> AbstractContextManager[None]:
        write("assistants/jan/assistant.json", created_at=5, name="Mine")
        return hold(name)

    monkeypatch.setattr(store._locks, "hold", late)
    async with store:
        assert (await store.retrieve("jan")).name == "Mine"


async def test_a_root_that_cannot_be_written_to_is_read(
    jan: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*arguments: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(DISK, "mkdir", refuse)
    async with AssistantsJson(jan) as store:
        with pytest.raises(NotFound):
            await store.retrieve("jan")
        assert await ids(store) == []
    assert "Permission denied" in caplog.text


async def test_every_field_is_kept_and_shown(assistants: AssistantsJson, root: Path, jan: Any) -> None:
    made = await assistants.create(request(**EVERYTHING))
    assert made.id.startswith("asst_")
    told = {"id": made.id, "object": "assistant", "created_at": made.created_at, **EVERYTHING}
    assert made.model_dump(mode="json") == told
    assert json.loads((root / "assistants" / made.id / "assistant.json").read_text()) == told
    for store in (assistants, AssistantsJson(jan)):
        assert await store.retrieve(made.id) == made
        assert await ids(store) == [made.id, "jan"] or made.created_at == (await store.retrieve("jan")).created_at
    (layer,) = await assistants.layers(made.id)
    settings = ("model", "instructions", "reasoning_effort", "tools", "temperature", "top_p", "response_format")
    assert layer.origin == f"assistants/{made.id}/assistant.json"
    assert layer.values == {name: EVERYTHING[name] for name in settings}


async def test_updates_change_what_they_name_and_nothing_else(
    assistants: AssistantsJson, write: Write, root: Path
) -> None:
    path = write("assistants/x/assistant.json", created_at=5, name="old", theirs=[1], tools=[{"type": "rag", "k": 1}])
    source = write("assistants/x/src/index.py", "print()")
    changed = await assistants.update("x", AssistantUpdate(name="new"))
    assert (changed.name, changed.model) == ("new", "")
    told = {"created_at": 5, "name": "new", "theirs": [1], "tools": [{"type": "rag", "k": 1}]}
    assert json.loads(path.read_text()) == told
    nulls = {"name": None, "temperature": None, "metadata": None, "avatar": None, "tools": []}
    await assistants.update("x", AssistantUpdate.model_validate(nulls))
    assert json.loads(path.read_text()) == {
        "created_at": 5,
        "name": None,
        "theirs": [1],
        "tools": [],
        "metadata": {},
        "temperature": None,
    }
    assert source.read_text() == "print()"
    assert sorted(os.listdir(root / "assistants" / "x")) == ["assistant.json", "src"]


async def test_pages(assistants: AssistantsJson, write: Write) -> None:
    for number in range(12):
        write(f"assistants/a{number:02}/assistant.json", created_at=2_000_000_000 + number // 2)
    newest = [f"a{number:02}" for number in range(11, -1, -1)]
    assert await ids(assistants) == [*newest, "jan"]
    assert await ids(assistants, order="asc", limit=3) == ["jan", "a00", "a01"]
    page = await assistants.list(PageQuery(limit=5, after="a09"))
    assert ([one.id for one in page.data], page.first_id, page.last_id, page.has_more) == (
        *(newest[3:8], "a08", "a04"),
        True,
    )
    assert await ids(assistants, before="a09", limit=2) == ["a11", "a10"]
    for cursor in ("none", "..", "\ud800"):
        with pytest.raises(InvalidRequest) as caught:
            await assistants.list(PageQuery.model_construct(limit=5, order="desc", after=cursor, before=None))
        assert caught.value.param == "after"


async def test_a_deleted_assistant_is_gone_with_its_folder(assistants: AssistantsJson, root: Path, jan: Any) -> None:
    made = await assistants.create(request())
    (root / "assistants" / made.id / "src").mkdir()
    other = AssistantsJson(jan)
    assert made.id in await ids(other)
    told = (await assistants.delete(made.id)).model_dump()
    assert told == {"id": made.id, "object": "assistant.deleted", "deleted": True}
    for store in (assistants, other):
        for asked in (
            store.retrieve(made.id),
            store.delete(made.id),
            store.layers(made.id),
            store.update(made.id, AssistantUpdate(name="x")),
        ):
            with pytest.raises(NotFound) as caught:
                await asked
            assert (caught.value.code, caught.value.param) == ("assistant_not_found", "assistant_id")
        assert await ids(store) == ["jan"]
    assert sorted(os.listdir(root / "assistants")) == [".deleted", "jan"]
    assert os.listdir(root / "assistants" / ".deleted") == []


async def test_what_a_crash_left_of_a_deletion_goes_at_the_next_start(
    jan: Any, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with AssistantsJson(jan) as store:
        made = await store.create(request())

        def refuse(path: str) -> None:
            raise OSError(16, "busy")

        monkeypatch.setattr(DISK, "rmdir", refuse)
        await store.delete(made.id)  # it is out of sight, which is what was asked for
        assert await ids(store) == ["jan"]
        assert len(os.listdir(root / "assistants" / ".deleted")) == 1
    monkeypatch.undo()
    async with AssistantsJson(jan):
        assert os.listdir(root / "assistants" / ".deleted") == []


async def test_an_assistant_that_holds_threads_stays(assistants: AssistantsJson, root: Path) -> None:
    made = await assistants.create(request(thread_location="threads"))
    thread = root / "assistants" / made.id / "threads" / "t"
    thread.mkdir(parents=True)
    with pytest.raises(Conflict) as caught:
        await assistants.delete(made.id)
    assert caught.value.code == "assistant_has_threads"
    assert str(thread.parent) in caught.value.message
    thread.rmdir()
    await assistants.delete(made.id)


@pytest.mark.parametrize("location", ["../x", "/etc", "models", "C:x", "a//b", ".locks", "jan.toml", "work", "Work"])
async def test_a_location_that_cannot_be_is_refused(assistants: AssistantsJson, write: Write, location: str) -> None:
    write("assistants/x/assistant.json", created_at=1, thread_location="work/threads")
    for asked in (
        assistants.create(request(thread_location=location)),
        assistants.update("jan", AssistantUpdate(thread_location=location)),
    ):
        with pytest.raises(InvalidRequest) as caught:
            await asked
        assert (caught.value.param, caught.value.code) == ("thread_location", "invalid_location")
    assert await ids(assistants) == ["jan", "x"]


@pytest.mark.parametrize("name", ["..", "../x", "a/b", "CON", "x" * 129, "", "\0", "\ud800", "ä", ".deleted", "C:x"])
async def test_hostile_ids(assistants: AssistantsJson, root: Path, name: str) -> None:
    before = sorted(os.listdir(root.parent)), sorted(os.listdir(root / "assistants"))
    for asked in (
        assistants.retrieve(name),
        assistants.update(name, AssistantUpdate()),
        assistants.delete(name),
        assistants.layers(name),
        assistants.put(Assistant.model_construct(id=name, created_at=1, model="m", metadata={}, tools=[])),
    ):
        with pytest.raises(InvalidRequest) as caught:
            await asked
        assert caught.value.code == "invalid_id"
    assert (sorted(os.listdir(root.parent)), sorted(os.listdir(root / "assistants"))) == before


async def test_put_stores_what_it_gets(assistants: AssistantsJson, write: Write, root: Path) -> None:
    write("assistants/x/assistant.json", created_at=1, theirs=5)
    for name in ("x", "new"):
        assistant = Assistant.model_validate({"id": name, "created_at": 7, "model": "m"})
        await assistants.put(assistant)
        assert await assistants.retrieve(name) == assistant
    assert json.loads((root / "assistants/x/assistant.json").read_text())["theirs"] == 5
    assert await ids(assistants, order="asc") == ["new", "x", "jan"]


async def test_a_full_disk_is_told_and_leaves_nothing(
    assistants: AssistantsJson, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(DISK, "write", full)
    for asked in (assistants.create(request()), assistants.update("jan", AssistantUpdate(name="x"))):
        with pytest.raises(Unavailable, match="No space left on device"):
            await asked
    monkeypatch.undo()
    assert os.listdir(root / "assistants") == ["jan"]
    assert await ids(assistants) == ["jan"]
    assert (await assistants.retrieve("jan")).name == "Jan"


async def test_without_models_there_is_no_model(root: Path) -> None:
    async with AssistantsJson(SimpleNamespace(root=root, endpoints={})) as store:  # type: ignore[arg-type]
        assert (await store.retrieve("jan")).model == ""
