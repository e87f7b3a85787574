"""The store and a person at the same folder: files edited, copied, broken, linked, or written by other programs."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jan_threads_json.store import ThreadsJson

from jan_core.errors import InvalidRequest, NotFound
from jan_core.schemas.threads import ThreadRequest, ThreadsQuery, ThreadUpdate

pytestmark = pytest.mark.anyio
Write = Callable[..., Path]


def request(**fields: Any) -> ThreadRequest:
    return ThreadRequest.model_validate(fields)


async def ids(threads: ThreadsJson, **fields: Any) -> list[str]:
    return [one.id for one in (await threads.list(ThreadsQuery.model_validate(fields))).data]


async def test_what_a_person_edits_is_in_the_next_reply(threads: ThreadsJson, write: Write, root: Path) -> None:
    made = await threads.create(request(title="one"))
    path = f"threads/{made.id}/thread.json"
    for number in range(20):
        write(path, created_at=made.created_at, title=f"{number:02}")
        assert (await threads.retrieve(made.id)).title == f"{number:02}"
        assert (await threads.list(ThreadsQuery())).data[0].title == f"{number:02}"
    for content in (
        b'\xef\xbb\xbf{"created_at": 5,\r\n "title": "BOM"}\r\n',
        b'{\n\n\n"title"  :\n"BOM",\n"created_at": 5000.0}',
    ):
        write(path, content)
        assert (await threads.retrieve(made.id)).title == "BOM"
    write(f"threads/{made.id}/model.json", id="by-hand", parameters={"top_k": 4})
    found = await threads.retrieve(made.id)
    assert (found.model, found.parameters) == ("by-hand", {"top_k": 4})
    (root / path).unlink()
    for asked in (threads.retrieve, threads.check, threads.layers):
        with pytest.raises(NotFound):
            await asked(made.id)
    assert await ids(threads) == []


async def test_folders_copied_in_and_taken_away(threads: ThreadsJson, root: Path) -> None:
    made = await threads.create(request(title="one"))
    assert await ids(threads) == [made.id]
    shutil.copytree(root / "threads" / made.id, root / "threads" / "a-copy")
    assert set(await ids(threads)) == {made.id, "a-copy"}
    assert (await threads.retrieve("a-copy")).id == "a-copy"
    shutil.move(root / "threads" / made.id, root / "elsewhere")
    assert await ids(threads) == ["a-copy"]
    with pytest.raises(NotFound):
        await threads.check(made.id)
    shutil.rmtree(root)
    assert await ids(threads) == []
    again = await threads.create(ThreadRequest())
    assert await ids(threads) == [again.id]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("", 1),
        ('{\n"created_at": 5,\n]', 3),
        ("[]", 1),
        ('{"title": "no time"}', 1),
        ('{\n"metadata": {},\n"created_at": "yesterday"}', 3),
        ('{"created_at": -5}', 1),
        ('{"created_at": 5,\n\n"metadata": 7}', 3),
        ('{"created_at": 5, "title": ["x"]}', 1),
        ('{"created_at": 5, "title": "\\ud83d"}', 1),
    ],
)
async def test_a_damaged_thread_is_told_with_its_line_and_hides_no_other(
    threads: ThreadsJson, write: Write, content: str, line: int
) -> None:
    good = await threads.create(ThreadRequest())
    path = write("threads/jan-1900000000-x/thread.json", content)
    assert await ids(threads) == [good.id]
    assert await ids(threads, assistant_id="nobody") == []
    for asked in (
        threads.retrieve("jan-1900000000-x"),
        threads.check("jan-1900000000-x"),
        threads.update("jan-1900000000-x", ThreadUpdate(title="x")),
    ):
        with pytest.raises(InvalidRequest) as caught:
            await asked
        assert caught.value.code == "damaged_file"
        assert f"{path}, line {line}: " in caught.value.message
    assert path.read_text() == content
    await threads.delete("jan-1900000000-x")  # what cannot be read can be deleted
    await threads.forget("jan-1900000000-x")
    assert not path.exists()


async def test_a_damaged_model_json_costs_what_it_sets(threads: ThreadsJson, write: Write) -> None:
    made = await threads.create(request(model="m"))
    for content in ("{", '{"parameters": 5}'):
        path = write(f"threads/{made.id}/model.json", content)
        assert (await threads.retrieve(made.id)).parameters is None
        assert await ids(threads) == [made.id]
        with pytest.raises(InvalidRequest) as caught:
            await threads.layers(made.id)
        assert str(path) in caught.value.message
    write(f"threads/{made.id}/model.json", "{")
    with pytest.raises(InvalidRequest):
        await threads.update(made.id, ThreadUpdate(model="n"))
    assert (await threads.update(made.id, ThreadUpdate(title="t"))).title == "t"


async def test_threads_of_the_desktop_application(threads: ThreadsJson, write: Write, root: Path) -> None:
    write(
        "threads/jan_1712345678/thread.json",
        id="jan_1712345678",
        object="thread",
        title="New Thread",
        created=1712345678901,
        updated=1712345679.5,
        metadata={"lastMessage": "hi", "is_favorite": True},
        assistants=[
            {
                "assistant_id": "jan",
                "assistant_name": "Jan",
                "tools": [{"type": "retrieval", "enabled": False}],
                "model": {"id": "llama3", "settings": {"ctx_len": 8}, "parameters": {"top_p": 1}, "engine": "nitro"},
                "instructions": "",
            },
            "odd",
            {"model": {"id": "*"}},
        ],
    )
    shown = await threads.retrieve("jan_1712345678")
    assert shown.model_dump(mode="json") == {
        "id": "jan_1712345678",
        "object": "thread",
        "created_at": 1712345678,
        "tool_resources": None,
        "metadata": {"lastMessage": "hi", "is_favorite": "true"},
        "title": "New Thread",
        "assistants": [{"assistant_id": "jan", "model": "llama3"}, {"assistant_id": "odd"}],
    }
    new = ThreadUpdate.model_validate(
        {"assistants": [{"assistant_id": "jan", "model": "llama3"}, {"assistant_id": "z"}]}
    )
    await threads.update("jan_1712345678", new)
    told = json.loads((root / "threads/jan_1712345678/thread.json").read_text())
    assert told["assistants"][0]["model"]["settings"] == {"ctx_len": 8}
    assert told["assistants"][1] == {"assistant_id": "z"}
    assert told["updated"] == 1712345679.5
    other = ThreadUpdate.model_validate({"assistants": [{"assistant_id": "jan", "model": "phi"}]})
    await threads.update("jan_1712345678", other)
    told = json.loads((root / "threads/jan_1712345678/thread.json").read_text())
    assert (told["assistants"][0]["model"], told["assistants"][0]["assistant_name"]) == ("phi", "Jan")


async def test_links_out_of_the_root_are_not_written_through(threads: ThreadsJson, root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside" / "x"
    outside.mkdir(parents=True)
    (outside / "thread.json").write_text('{"created_at": 5}')
    (root / "threads").mkdir(parents=True)
    (root / "threads" / "x").symlink_to(outside)
    assert (await threads.retrieve("x")).created_at == 5
    with pytest.raises(InvalidRequest) as caught:
        await threads.update("x", ThreadUpdate(title="t"))
    assert caught.value.code == "outside_root"
    await threads.delete("x")
    # Before anything of it is cleared: what clears would be led out of the root.
    assert os.listdir(root / "threads") == [".deleted"]
    await threads.forget("x")
    assert os.listdir(root / "threads" / ".deleted") == []
    assert os.listdir(outside) == ["thread.json"]  # the link alone is gone
    (root / "threads" / "x").symlink_to(outside)
    (root / "threads" / ".deleted" / "x").write_text("{}")  # a deletion that broke off there
    assert await threads.deleted() == ["x"]
    assert os.listdir(root / "threads") == [".deleted"]
    await threads.forget("x")
    assert os.listdir(outside) == ["thread.json"]
    shutil.rmtree(root / "threads")
    (root / "threads").symlink_to(outside.parent)
    for asked in (threads.create(ThreadRequest()), threads.delete("x")):
        with pytest.raises(InvalidRequest) as caught:
            await asked
        assert caught.value.code == "outside_root"
    assert os.listdir(outside.parent) == ["x"]


async def test_threads_stay_when_their_assistant_changes(
    threads: ThreadsJson, jan: Any, write: Write, root: Path
) -> None:
    write("assistants/a/assistant.json", created_at=1, thread_location="work/plays")
    made = await threads.create(request(title="one", assistants=[{"assistant_id": "a"}]))
    assert sorted(os.listdir(root / "work" / "plays")) == [made.id]

    async def is_whole() -> bool:
        found = [(await one.retrieve(made.id), await ids(one)) for one in (threads, ThreadsJson(jan))]
        return found == [(made, [made.id])] * 2

    assert await is_whole()
    for content in ('{"created_at": 1, "thread_location": "threads"}', "{ broken"):
        write("assistants/a/assistant.json", content)
        assert await is_whole()
    shutil.rmtree(root / "assistants")
    assert await is_whole()
    assert (await threads.update(made.id, ThreadUpdate(title="two"))).title == "two"
    await threads.delete(made.id)
    await threads.forget(made.id)
    assert os.listdir(root / "work" / "plays") == [".deleted"]
    await threads.put(made)
    assert await is_whole()
    assert os.listdir(root / "threads" / ".deleted") == []
