from __future__ import annotations

import asyncio
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from jan_core.errors import InvalidRequest, NotFound
from jan_core.schemas.messages import Message, MessagesQuery, MessageUpdate

Store = Any
"""The fixture's object; see conftest.py."""
THREAD = "jan-1790000000-0123456789abcd"
"""The thread that there is."""


def text_of(message: Message) -> str:
    part = message.content[0]
    assert part.type == "text"
    return part.text.value


def test_what_is_not_known_stays(store: Store) -> None:
    async def run() -> None:
        one, two = await store.say("one", "two")
        elements = store.stored()
        elements[0] |= {"mood": {"x": 1.5}, "note": None}
        elements[1]["content"][0]["text"]["color"] = "red"
        store.write(elements)
        await store.say("three")
        assert store.stored()[:2] == elements
        await store.messages.update(THREAD, one.id, MessageUpdate(metadata={"a": "b"}))
        assert store.stored()[0] == elements[0] | {"metadata": {"a": "b"}}
        assert store.stored()[1] == elements[1]
        await store.messages.put(two.model_copy(update={"metadata": {"c": "d"}}))
        assert (await store.messages.retrieve(THREAD, one.id)).metadata == {"a": "b"}
        assert (await store.messages.retrieve(THREAD, two.id)).metadata == {"c": "d"}

    asyncio.run(run())


def test_what_a_person_wrote_is_filled_up(store: Store) -> None:
    async def run() -> None:
        content = [{"type": "text", "text": {"value": "hi", "annotations": []}}]
        store.write([{"id": "m1", "role": "user", "content": content, "created_at": 1_700_000_000_123}])
        found = await store.messages.retrieve(THREAD, "m1")
        assert (found.created_at, found.thread_id, found.status) == (1_700_000_000, THREAD, "completed")
        # A folder that was copied under another name is the thread of that name.
        store.write([{**found.model_dump(mode="json"), "thread_id": "jan-1-elsewhere"}])
        assert (await store.messages.list(THREAD, MessagesQuery())).data == [found]
        assert await store.messages.retrieve(THREAD, "m1") == found
        await store.say("more")
        assert (await store.messages.list(THREAD, MessagesQuery(order="asc"))).data[0] == found

    asyncio.run(run())


DAMAGED: list[Any] = [
    {"id": "bad", "role": "user", "created_at": 1},
    {"id": "bad", "role": "robot", "created_at": 1, "content": []},
    {"id": "bad", "role": "user", "content": [], "created_at": "soon"},
    {"id": "bad", "role": "user", "content": [{"type": "text", "text": "\ud800"}], "created_at": 1},
]


@pytest.mark.parametrize("number", range(len(DAMAGED)))
@pytest.mark.parametrize("compact", [True, False])
def test_a_damaged_message_costs_only_itself(store: Store, number: int, compact: bool) -> None:
    async def run() -> None:
        messages = await store.say("one", "two", "three")
        elements = [one.model_dump(mode="json") for one in messages]
        elements.insert(2, DAMAGED[number])
        if compact:
            lines = [json.dumps(one, separators=(",", ":")) for one in elements]
            store.file.write_text("[\n" + ",\n".join(lines) + "\n]\n")
        else:
            store.write(elements)
        assert await store.texts() == ["three", "two", "one"]
        assert await store.texts(limit=2) == ["three", "two"]
        page = await store.messages.list(THREAD, MessagesQuery(limit=2, order="asc"))
        assert [text_of(one) for one in page.data] == ["one", "two"]
        assert page.has_more
        for asked in (
            store.messages.retrieve(THREAD, "bad"),
            store.messages.update(THREAD, "bad", MessageUpdate(metadata={"a": "b"})),
        ):
            with pytest.raises((InvalidRequest, NotFound)) as refused:
                await asked
            if refused.value.code != "message_not_found":  # what nobody can read has no id either
                assert refused.value.code == "damaged_file"
                line = 4 if compact else 1 + store.file.read_text().split('"bad"')[0].count("\n") - 1
                assert f"messages.json, line {line}" in refused.value.message
        await store.say("four")
        assert await store.texts() == ["four", "three", "two", "one"]
        assert len(store.stored()) == 5
        assert [path.name for path in store.folder.iterdir()] == ["messages.json"]

    asyncio.run(run())


def test_a_damaged_one_can_be_deleted(store: Store) -> None:
    async def run() -> None:
        await store.say("one")
        store.write([*store.stored(), DAMAGED[0]])
        await store.messages.delete(THREAD, "bad")
        assert [text_of(Message.model_validate(one)) for one in store.stored()] == ["one"]

    asyncio.run(run())


def test_an_edit_by_hand_is_in_the_next_reply(store: Store) -> None:
    async def run() -> None:
        (made, *_) = await store.say(*(f"wrod {number}" for number in range(30)))
        store.file.write_bytes(store.file.read_bytes().replace(b"wrod 7", b"word 7"))
        assert "word 7" in await store.texts(limit=100)
        assert text_of(await store.messages.retrieve(THREAD, made.id)) == "wrod 0"
        store.file.write_bytes(store.file.read_bytes().replace(made.id.encode(), b"msg_mine"))
        assert text_of(await store.messages.retrieve(THREAD, "msg_mine")) == "wrod 0"
        with pytest.raises(NotFound):
            await store.messages.retrieve(THREAD, made.id)
        for data in (b"", b"[]", None):
            store.file.unlink() if data is None else store.file.write_bytes(data)
            assert await store.texts() == []
            await store.say("again")
            assert await store.texts() == ["again"]

    asyncio.run(run())


def test_a_folder_that_a_person_deleted(store: Store) -> None:
    async def run() -> None:
        await store.say("one")
        shutil.rmtree(store.folder)
        assert await store.texts() == []
        await store.say("two")
        assert await store.texts() == ["two"]

    asyncio.run(run())


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_nothing_is_written_outside_the_root(store: Store, tmp_path: Path) -> None:
    async def run() -> None:
        outside = tmp_path / "outside"
        outside.mkdir()
        (store.root / "threads").mkdir(parents=True)
        store.folder.symlink_to(outside)
        for work in (store.say("one"), store.messages.start(THREAD, [])):
            with pytest.raises(InvalidRequest):
                await work
        assert [*outside.iterdir()] == []
        (outside / "messages.json").write_text("[]")
        # There is nothing of the thread's to remove: or its deletion would be tried again for ever.
        await store.messages.clear(THREAD)
        assert [one.name for one in outside.iterdir()] == ["messages.json"]

    asyncio.run(run())


def test_a_folder_in_place_of_the_file(store: Store) -> None:
    async def run() -> None:
        (store.file / "inside").mkdir(parents=True)
        for work in (
            store.say("one"),
            store.texts(),
            store.messages.retrieve(THREAD, "msg_1"),
            store.messages.update(THREAD, "msg_1", MessageUpdate(metadata={})),
            store.messages.delete(THREAD, "msg_1"),
        ):
            with pytest.raises(InvalidRequest) as refused:
                await work
            assert refused.value.code == "damaged_file"
            assert "messages.json, line 1: this is no file" in refused.value.message
        # It was nobody's message, and goes with the thread's folder.
        await store.messages.clear(THREAD)
        assert (store.file / "inside").is_dir()

    asyncio.run(run())


def test_messages_of_one_id(store: Store) -> None:
    """A person copied a line: listings show the id once, a change is a change of both, and a deletion deletes both."""

    async def run() -> None:
        messages = await store.say("one", "two", "three")
        elements = store.stored()
        copy = {**elements[0], "content": [{"type": "text", "text": {"value": "copy", "annotations": []}}]}
        store.write([*elements, copy])
        assert await store.texts() == ["copy", "three", "two"]
        assert await store.texts(order="asc") == ["one", "two", "three"]
        first = messages[0].id
        assert text_of(await store.messages.retrieve(THREAD, first)) == "one"
        await store.messages.update(THREAD, first, MessageUpdate(metadata={"a": "b"}))
        for order in ("asc", "desc"):
            page = await store.messages.list(THREAD, MessagesQuery.model_validate({"order": order}))
            assert [one.metadata for one in page.data if one.id == first] == [{"a": "b"}]
        store.write([*store.stored(), {"id": first}])  # a damaged one costs only itself
        changed = await store.messages.update(THREAD, first, MessageUpdate(metadata={"c": "d"}))
        assert (text_of(changed), changed.metadata) == ("one", {"c": "d"})
        assert store.stored()[-1] == {"id": first}
        await store.messages.delete(THREAD, first)
        with pytest.raises(NotFound):
            await store.messages.retrieve(THREAD, first)
        assert await store.texts() == ["three", "two"]

    asyncio.run(run())
