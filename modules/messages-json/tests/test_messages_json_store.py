from __future__ import annotations

import asyncio
import errno
import json
import random
import shutil
from types import SimpleNamespace
from typing import Any

import pytest

from jan_core import call
from jan_core.call import Call
from jan_core.errors import Conflict, InvalidRequest, JanError, NotFound, Unavailable
from jan_core.folder.calls import DISK
from jan_core.folder.locks import Locks
from jan_core.schemas.messages import Message, MessageRequest, MessagesQuery, MessageUpdate
from jan_core.testing.memory_messages import MessagesInMemory

Store = Any
"""The fixture's object; see conftest.py."""
THREAD = "jan-1790000000-0123456789abcd"
"""The thread that there is."""


def text_of(message: Message) -> str:
    part = message.content[0]
    assert part.type == "text"
    return part.text.value


def test_a_message_is_kept_whole(store: Store) -> None:
    async def run() -> None:
        body = MessageRequest.model_validate(
            {
                "role": "assistant",
                "content": [
                    {"type": "text", "text": 'Grüße,\n\u2028\U0001f600 \x7f \\ "'},
                    {"type": "image_file", "image_file": {"file_id": "file-1", "detail": "low"}},
                    {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
                ],
                "attachments": [{"file_id": "file-2", "tools": [{"type": "file_search"}]}],
                "metadata": {"a": "b"},
            }
        )
        made = await store.messages.create(THREAD, body)
        for other in (store, store.again()):
            assert await other.messages.retrieve(THREAD, made.id) == made
            assert (await other.messages.list(THREAD, MessagesQuery())).data == [made]
        assert store.stored() == [made.model_dump(mode="json")]
        assert made.id.startswith("msg_")
        assert store.file.read_bytes().count(b"\n") == 3

    asyncio.run(run())


def test_order_is_the_order_of_storing(store: Store) -> None:
    async def run() -> None:
        texts = [str(number) for number in range(30)]
        await store.say(*texts)
        assert await store.texts() == texts[::-1][:20]
        assert await store.texts(order="asc", limit=100) == texts
        assert await store.again().texts(limit=1) == ["29"]

    asyncio.run(run())


def test_replies_are_the_callers_own(store: Store) -> None:
    async def run() -> None:
        (made,) = await store.say("one", metadata={"a": "b"})
        first = await store.messages.list(THREAD, MessagesQuery())
        first.data[0].metadata["a"] = "changed"
        first.data[0].content.clear()
        made.metadata["a"] = "changed"
        assert (await store.messages.list(THREAD, MessagesQuery())).data[0].metadata == {"a": "b"}
        assert text_of(await store.messages.retrieve(THREAD, made.id)) == "one"

    asyncio.run(run())


def test_the_same_as_the_reference(store: Store) -> None:
    """Random operations, with the same ids, answered alike."""

    async def run(seed: int) -> None:
        chance = random.Random(seed)
        reference = MessagesInMemory(SimpleNamespace(root=store.root, threads=store.again().threads))  # type: ignore[arg-type]
        both: list[Any] = [store.messages, reference]
        ids = ["msg_none", "a/b", "x" * 200, "msg_0"]
        for one in both:  # that in memory is the root's, and lives as long as anybody holds it
            await one.clear(THREAD)
        for step in range(120):
            kind = chance.choice(["put"] * 4 + ["list"] * 4 + ["retrieve", "update", "delete"])
            id = chance.choice(ids)
            if kind == "put":
                id = f"msg_{step}" if chance.random() < 0.8 else chance.choice(ids[3:])
                ids.append(id)
                run_id = chance.choice([None, "run_1", "run_ä"])
                body = MessageRequest(role="user", content=f"{step}" * chance.choice([1, 3000]))
                message = Message.of(body, id=id, thread_id=THREAD, created_at=step).model_copy(
                    update={"run_id": run_id}
                )
                answers = [await outcome(one.put(message)) for one in both]
            elif kind == "list":
                query = MessagesQuery(
                    limit=chance.choice([1, 3, 20]),
                    order=chance.choice(["asc", "desc"]),
                    after=chance.choice([None, id]),
                    before=chance.choice([None, None, chance.choice(ids)]),
                    run_id=chance.choice([None, None, "run_1", "run_ä", "run_none"]),
                )
                answers = [await outcome(one.list(THREAD, query)) for one in both]
            elif kind == "update":
                update = MessageUpdate(metadata={"step": str(step)}) if chance.random() < 0.8 else MessageUpdate()
                answers = [await outcome(one.update(THREAD, id, update)) for one in both]
            else:
                answers = [await outcome(getattr(one, kind)(THREAD, id)) for one in both]
            assert answers[0] == answers[1], (seed, step, kind)
            if store.file.exists():
                json.loads(store.file.read_bytes())

    for seed in range(6):
        asyncio.run(run(seed))


async def outcome(answer: Any) -> Any:
    try:
        return await answer
    except JanError as error:
        return error.status, error.code, error.param


def test_a_thread_that_is_not_there(store: Store) -> None:
    async def run() -> None:
        for thread_id in ("jan-1-none", "../../etc", "", "a/b", "x" * 1000, "\x00"):
            messages: Any = store.messages
            body = MessageRequest(role="user", content="x")
            for answer in (
                messages.create(thread_id, body),
                messages.list(thread_id, MessagesQuery()),
                messages.retrieve(thread_id, "msg_1"),
                messages.update(thread_id, "msg_1", MessageUpdate()),
                messages.delete(thread_id, "msg_1"),
            ):
                with pytest.raises(NotFound):
                    await answer
            if thread_id != "jan-1-none":
                store.threads.ids.add(thread_id)
                for answer in (messages.create(thread_id, body), messages.list(thread_id, MessagesQuery())):
                    with pytest.raises(InvalidRequest):
                        await answer
        assert not store.root.exists()

    asyncio.run(run())


def keyed(key: str) -> None:
    call.enter(Call("req_test", idempotency_key=key))


def test_a_repeated_request_adds_nothing(store: Store) -> None:
    async def run() -> None:
        keyed("k1")
        (first,) = await store.say("one", metadata={"a": "b"})
        assert await store.say("one", metadata={"a": "b"}) == [first]
        assert await store.again().say("one", metadata={"a": "b"}) == [first]
        with pytest.raises(Conflict) as refused:
            await store.say("other")
        assert refused.value.code == "idempotency_conflict"
        keyed("k2")
        (second,) = await store.say("one", metadata={"a": "b"})
        assert second.id != first.id
        # The reply is that of the first time, whatever became of the message.
        await store.messages.update(THREAD, first.id, MessageUpdate(metadata={"c": "d"}))
        await store.messages.update(THREAD, first.id, MessageUpdate(metadata={"e": "f"}))
        keyed("k1")
        assert await store.say("one", metadata={"a": "b"}) == [first]
        assert (await store.messages.retrieve(THREAD, first.id)).metadata == {"e": "f"}
        page = await store.messages.list(THREAD, MessagesQuery())
        assert [one.id for one in page.data] == [second.id, first.id]
        assert not hasattr(page.data[0], "idempotency")
        assert "idempotency" not in page.model_dump_json()

    asyncio.run(run())


def test_a_repeated_request_is_answered_when_it_is_on_the_disk(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        keyed("k")
        await store.say("one")
        synced: list[int] = []
        sync = DISK.sync
        monkeypatch.setattr(DISK, "sync", lambda descriptor: (synced.append(descriptor), sync(descriptor))[1])
        await store.again().say("one")
        assert synced  # whoever wrote it may have been killed before it was

    asyncio.run(run())


def test_a_key_outlives_its_message(store: Store) -> None:
    async def run() -> None:
        keyed("k")
        (first,) = await store.say("once")
        await store.messages.update(THREAD, first.id, MessageUpdate(metadata={"a": "b"}))
        (second,) = await store.say("once")
        assert second == first
        await store.messages.delete(THREAD, first.id)
        for one in (store, store.again()):
            assert await one.say("once") == [first]
            assert await one.texts() == []
            with pytest.raises(Conflict):
                await one.say("another")
        # Without its notes, it is as if the request had not come before.
        shutil.rmtree(store.root / ".idempotency")
        assert (await store.say("once"))[0].id != first.id
        elements = store.stored()
        store.write([{**elements[0], "idempotency": {"key": 5}}, {**elements[0], "id": "m2", "idempotency": "x"}])
        await store.messages.delete(THREAD, elements[0]["id"])
        await store.messages.delete(THREAD, "m2")
        assert await store.texts() == []

    asyncio.run(run())


def test_many_at_once_under_one_key_are_one(store: Store) -> None:
    async def run() -> None:
        keyed("k")
        replies = await asyncio.gather(*(one.say("one") for one in [store, store.again()] * 10))
        assert all(reply == replies[0] for reply in replies)
        assert len(store.stored()) == 1

    asyncio.run(run())


def test_many_writers_at_once(store: Store) -> None:
    async def run() -> None:
        others = [store, store.again()]

        async def write(writer: int) -> None:
            for number in range(10):
                await others[writer % 2].say(f"{writer} {number}")

        await asyncio.gather(*(write(writer) for writer in range(8)))
        texts = await store.texts(limit=100, order="asc")
        assert len(texts) == 80
        for writer in range(8):
            assert [text for text in texts if text.startswith(f"{writer} ")] == [f"{writer} {n}" for n in range(10)]
        assert not store.messages._turns

    asyncio.run(run())


def test_the_first_messages(store: Store) -> None:
    async def run() -> None:
        bodies = [MessageRequest(role="user", content=text) for text in ("one", "two")]
        await store.messages.start(THREAD, [])
        assert not store.file.exists()
        await store.messages.start(THREAD, bodies)
        made = await store.messages.start(THREAD, bodies)
        assert (await store.messages.list(THREAD, MessagesQuery(order="asc"))).data == [*made]
        assert len(store.stored()) == 2
        await store.messages.start(THREAD, [])
        assert await store.texts() == []
        assert store.stored() == []

    asyncio.run(run())


def test_clearing_leaves_nothing(store: Store) -> None:
    async def run() -> None:
        await store.messages.clear(THREAD)
        await store.say("one")
        (store.folder / "messages.json.broken-1").write_text("secret")
        await store.messages.clear(THREAD)
        assert not store.folder.exists()
        assert await store.texts() == []
        await store.say("one")
        (store.folder / "thread.json").write_text("{}")
        await store.messages.clear(THREAD)
        await store.messages.clear(THREAD)
        assert [path.name for path in store.folder.iterdir()] == ["thread.json"]

    asyncio.run(run())


def test_a_thread_that_is_deleted_meanwhile_gets_no_folder(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        sync_folder = DISK.sync_folder

        def deleted(path: str) -> None:
            store.threads.ids.clear()
            sync_folder(path)

        monkeypatch.setattr(DISK, "sync_folder", deleted)
        with pytest.raises(NotFound):
            await store.say("one")
        assert not store.folder.exists()

    asyncio.run(run())


def test_a_disk_that_fails_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        await store.say("one")

        def full(*arguments: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        for name in ("write", "sync"):
            with monkeypatch.context() as patched:
                patched.setattr(DISK, name, full)
                with pytest.raises(Unavailable, match="No space left") as told:
                    await store.say("two")
                assert told.value.code == "storage_failed"
                with pytest.raises(Unavailable):
                    await store.messages.update(THREAD, store.stored()[0]["id"], MessageUpdate(metadata={"a": "b"}))
            assert await store.texts() == ["one"]
        await store.say("three")
        assert await store.texts() == ["three", "one"]
        assert len(store.stored()) == 2

    asyncio.run(run())


def test_a_lock_that_is_held_for_ever_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Locks.hold.__wrapped__, "__kwdefaults__", {"patience": 0.01})  # type: ignore[attr-defined]

    async def run() -> None:
        with Locks(store.root).hold(THREAD):
            with pytest.raises(Unavailable, match="locked"):
                await store.say("one")
            assert await store.texts() == []

    asyncio.run(run())


def test_memory_does_not_grow_with_the_threads_looked_at(in_place: Store) -> None:
    async def run() -> None:
        store = in_place.messages
        for number in range(300):
            thread_id = f"jan-1790000000-{number}"
            in_place.threads.ids.add(thread_id)
            await store.start(thread_id, [MessageRequest(role="user", content="x")])
            page = await store.list(thread_id, MessagesQuery())
            assert page.first_id is not None
        assert len(store._lists.memory._files) == 0  # looking at the newest needs nothing
        assert not store._turns

    asyncio.run(run())


def test_it_may_be_entered_again(store: Store) -> None:
    async def run() -> None:
        async with store.messages:
            pass
        async with store.messages:
            made = await store.messages.create(THREAD, MessageRequest(role="user", content="hello"))
            assert await store.messages.retrieve(THREAD, made.id) == made

    asyncio.run(run())
