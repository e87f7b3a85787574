"""The store: what it answers, what is in the folder afterwards, and what it makes of what a person puts there."""

from __future__ import annotations

import itertools
import json
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jan_threads_json.store import ThreadsJson

from jan_core.errors import Conflict, InvalidRequest, NotFound, Unavailable
from jan_core.folder.names import is_name
from jan_core.ids import thread_time
from jan_core.schemas.messages import MessageRequest
from jan_core.schemas.threads import Thread, ThreadRequest, ThreadsQuery, ThreadUpdate
from jan_core.testing.memory_threads import ThreadsInMemory

pytestmark = pytest.mark.anyio
Write = Callable[..., Path]


def request(**fields: Any) -> ThreadRequest:
    return ThreadRequest.model_validate(fields)


async def ids(threads: ThreadsJson, **fields: Any) -> list[str]:
    return [one.id for one in (await threads.list(ThreadsQuery.model_validate(fields))).data]


async def test_every_field_is_kept_and_shown(threads: ThreadsJson, root: Path, jan: Any) -> None:
    fields = {
        "title": "Zoë",
        "metadata": {"a": "1"},
        "tool_resources": {"code_interpreter": {"file_ids": ["file-1"]}},
        "assistants": [{"assistant_id": "zoe", "model": "m2"}, {"assistant_id": "jan"}],
        "model": "m",
        "parameters": {"temperature": 0.5, "mirostat": 2},
    }
    made = await threads.create(request(**fields))
    assert made.model_dump(mode="json") == {"id": made.id, "object": "thread", "created_at": made.created_at, **fields}
    assert made.id.startswith("zoe-")
    assert thread_time(made.id) == made.created_at
    folder = root / "threads" / made.id
    thread, model = (json.loads((folder / name).read_text()) for name in ("thread.json", "model.json"))
    assert "model" not in thread
    assert thread["title"] == "Zoë"
    assert model == {"id": "m", "object": "model", "parameters": {"temperature": 0.5, "mirostat": 2}}
    for store in (threads, ThreadsJson(jan)):
        assert await store.retrieve(made.id) == made
        assert (await store.list(ThreadsQuery())).data == [made]
        await store.check(made.id)


async def test_a_bare_thread(threads: ThreadsJson, root: Path) -> None:
    made = await threads.create(ThreadRequest())
    assert made.model_dump(mode="json") == {
        "id": made.id,
        "object": "thread",
        "created_at": made.created_at,
        "tool_resources": None,
        "metadata": {},
    }
    assert os.listdir(root / "threads" / made.id) == ["thread.json"]
    assert await threads.layers(made.id) == []


async def test_updates_change_what_they_name_and_nothing_else(threads: ThreadsJson, write: Write, root: Path) -> None:
    write("threads/x/thread.json", '{"created_at": 5, "theirs": {"a": [1]}, "metadata": {"order": 1}, "title": "t"}')
    write("threads/x/model.json", '{"id": "m", "settings": {"ngl": 5}, "parameters": {"top_p": 0.5}}')
    assert (await threads.retrieve("x")).metadata == {"order": "1"}
    await threads.update("x", ThreadUpdate(title="new"))
    told = json.loads((root / "threads/x/thread.json").read_text())
    assert told == {"created_at": 5, "theirs": {"a": [1]}, "metadata": {"order": 1}, "title": "new"}
    changed = await threads.update("x", ThreadUpdate.model_validate({"model": "n", "metadata": {"b": "2"}}))
    assert (changed.model, changed.parameters, changed.metadata) == ("n", {"top_p": 0.5}, {"b": "2"})
    model = json.loads((root / "threads/x/model.json").read_text())
    assert model == {"id": "n", "object": "model", "settings": {"ngl": 5}, "parameters": {"top_p": 0.5}}
    nulls = {"title": None, "metadata": None, "model": None, "parameters": None, "assistants": None}
    bare = await threads.update("x", ThreadUpdate.model_validate(nulls))
    assert bare.model_dump(mode="json") == {
        "id": "x",
        "object": "thread",
        "created_at": 5,
        "tool_resources": None,
        "metadata": {},
    }
    assert json.loads((root / "threads/x/model.json").read_text()) == {"object": "model", "settings": {"ngl": 5}}
    assert json.loads((root / "threads/x/thread.json").read_text())["theirs"] == {"a": [1]}


async def test_first_messages_are_stored_before_the_thread_is_seen(
    threads: ThreadsJson, messages: Any, root: Path, jan: Any
) -> None:
    seen: list[Any] = []
    start = messages.start

    async def look(thread_id: str, bodies: list[MessageRequest]) -> None:
        seen.append((await ids(threads), os.listdir(root / "threads" / thread_id)))
        with pytest.raises(NotFound):
            await threads.check(thread_id)
        await start(thread_id, bodies)

    messages.start = look
    body = request(messages=[{"role": "user", "content": "Hello"}])
    made = await threads.create(body)
    assert seen == [([], [])]
    assert messages.started == [(made.id, 1)]
    messages.start, messages.fails = start, Unavailable("the disk is full")
    with pytest.raises(Unavailable):
        await threads.create(body)
    assert await ids(threads) == [made.id]
    assert [name for name in os.listdir(root / "threads") if is_name(name)] == [made.id]
    alone = ThreadsJson(SimpleNamespace(root=jan.root, endpoints={}))  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest, match="no module is chosen") as caught:
        await alone.create(body)
    assert caught.value.param == "messages"
    await alone.create(request(messages=[]))


async def test_listings_are_those_of_the_reference(threads: ThreadsJson, write: Write) -> None:
    oracle = ThreadsInMemory(SimpleNamespace(root="oracle", endpoints={}))  # type: ignore[arg-type]
    chance = random.Random(3)
    names = []
    for number in range(25):
        created = 1_700_000_000 + number // 3
        name = f"jan-{created + chance.choice((0, 0, 5))}-{number:02}" if number % 4 else f"by-hand-{number}"
        fields: dict[str, Any] = {
            "metadata": {"a": str(number % 2)},
            "assistants": [{"assistant_id": f"z{number % 3}"}],
        }
        thread = Thread.model_validate({"id": name, "created_at": created, **fields})
        await oracle.put(thread)
        if number % 2:
            await threads.put(thread)
        else:
            write(f"threads/{name}/thread.json", created_at=created * 1000, **fields)
        names.append(name)
    await ids(threads, limit=100)  # names that tell another time are put right as they are read
    cursors = [None, *names, "unknown", "../../etc"]
    for limit, order in itertools.product((1, 4, 100), ("asc", "desc")):
        for _ in range(25):
            fields = {"limit": limit, "order": order, "after": chance.choice(cursors), "before": chance.choice(cursors)}
            if chance.random() < 0.4:
                fields["metadata"] = {"a": "1"}
            if chance.random() < 0.4:
                fields["assistant_id"] = chance.choice(("z0", "z1", "none"))
            query = ThreadsQuery.model_validate(fields)
            try:
                expected: Any = await oracle.list(query)
            except InvalidRequest as error:
                expected = (error.message, error.param)
            try:
                found: Any = await threads.list(query)
            except InvalidRequest as error:
                found = (error.message, error.param)
            assert found == expected, fields


async def test_a_deleted_thread_is_gone_at_once_and_for_good(threads: ThreadsJson, root: Path, jan: Any) -> None:
    kept, made = await threads.create(ThreadRequest()), await threads.create(ThreadRequest())
    await threads.check(made.id)
    other = ThreadsJson(jan)  # as another process has it
    await other.check(made.id)
    assert (await threads.delete(made.id)).model_dump() == {
        "id": made.id,
        "object": "thread.deleted",
        "deleted": True,
    }
    for store in (threads, other, ThreadsJson(jan)):
        for asked in (
            store.check(made.id),
            store.retrieve(made.id),
            store.layers(made.id),
            store.delete(made.id),
            store.update(made.id, ThreadUpdate(title="x")),
        ):
            with pytest.raises(NotFound) as caught:
                await asked
            assert (caught.value.code, caught.value.param) == ("thread_not_found", "thread_id")
        with pytest.raises(Conflict):
            await store.put(made)
        assert await ids(store) == [kept.id]
        with pytest.raises(InvalidRequest):
            await ids(store, after=made.id)
        assert await store.deleted() == [made.id]
    await threads.forget(kept.id)  # nothing was deleted under this id
    await other.forget(made.id)
    await threads.forget(made.id)
    assert await threads.deleted() == []
    assert sorted(os.listdir(root / "threads")) == sorted([".deleted", kept.id])
    assert os.listdir(root / "threads" / ".deleted") == []
    assert await ids(threads) == await ids(other) == [kept.id]
    await threads.put(made)
    assert await ids(other) == [made.id, kept.id]


async def test_layers_tell_where_each_value_stands(threads: ThreadsJson, write: Write) -> None:
    made = await threads.create(request(model="m", parameters={"temperature": 0.5}))
    (layer,) = await threads.layers(made.id)
    assert layer.origin == f"threads/{made.id}/model.json"
    assert layer.values == {"model": "m", "temperature": 0.5}
    write(f"threads/{made.id}/model.json", model="n", instructions="Be brief.", settings={"ngl": 5})
    (layer,) = await threads.layers(made.id)
    assert layer.values == {"model": "n", "instructions": "Be brief."}


async def test_an_assistant_keeps_its_threads_where_it_says(threads: ThreadsJson, write: Write, root: Path) -> None:
    write("assistants/own/assistant.json", created_at=1, thread_location="threads")
    write("assistants/out/assistant.json", created_at=1, thread_location="../../out")
    made = await threads.create(request(assistants=[{"assistant_id": "own"}]))
    assert os.listdir(root / "assistants/own/threads") == [made.id]
    assert await ids(threads) == [made.id]
    await threads.update(made.id, ThreadUpdate(title="t", model="m"))
    assert (await threads.layers(made.id))[0].origin == f"assistants/own/threads/{made.id}/model.json"
    with pytest.raises(InvalidRequest) as caught:
        await threads.create(request(assistants=[{"assistant_id": "out"}]))
    assert caught.value.code == "invalid_location"
    await threads.delete(made.id)
    await threads.forget(made.id)
    assert os.listdir(root / "assistants/own/threads") == [".deleted"]
    assert os.listdir(root / "assistants/own/threads/.deleted") == []
    await threads.put(made)
    assert made.id in os.listdir(root / "assistants/own/threads")


@pytest.mark.parametrize("name", ["..", "../x", "a/b", "CON", "x" * 129, "", "\0", "\ud800", "ä", ".deleted", "C:x"])
async def test_hostile_ids(threads: ThreadsJson, root: Path, name: str) -> None:
    thread = Thread.model_construct(id=name, created_at=1, metadata={})
    for asked in (
        threads.retrieve(name),
        threads.check(name),
        threads.update(name, ThreadUpdate()),
        threads.delete(name),
        threads.layers(name),
        threads.put(thread),
    ):
        with pytest.raises(InvalidRequest) as caught:
            await asked
        assert caught.value.code == "invalid_id"
    await threads.forget(name)
    if 0 < len(name) <= 128 and name != "\ud800":
        with pytest.raises(InvalidRequest) as caught:
            await threads.create(request(assistants=[{"assistant_id": name}]))
        assert caught.value.param == "assistants[0].assistant_id"
    assert "root" not in os.listdir(root.parent)


async def test_checking_is_cheap(threads: ThreadsJson, record_property: Callable[[str, object], None]) -> None:
    made = await threads.create(ThreadRequest())
    await threads.check(made.id)
    begun = time.perf_counter()
    for _ in range(2000):
        await threads.check(made.id)
    cost = (time.perf_counter() - begun) / 2000 * 1e6
    record_property("shown", f"threads.check: {cost:.1f} µs")
    assert cost < 500
