from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from jan_core.app import Jan
from jan_core.errors import Conflict, InvalidRequest, NotFound
from jan_core.schemas.threads import Thread
from jan_core.testing.wired import wired
from tests.conversations import (
    KINDS,
    app,
    changed_thread,
    messages_query,
    new_assistant,
    new_thread,
    said,
    threads_query,
    under,
    written,
)

pytestmark = pytest.mark.anyio

IDS = ["nope", "..", "../x", "a/b", "", "\0", "CON", "é", "x" * 500]
"""Ids of nothing, or of nothing that there can be."""


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def jan(kind: str, tmp_path: Path) -> AsyncIterator[Jan]:
    async with app(kind, tmp_path) as made:
        yield made


async def put(jan: Jan, *times: int, **fields: object) -> list[str]:
    """Threads of these times."""
    ids = []
    for index, at in enumerate(times):
        thread = Thread.model_validate({"id": f"jan-{at}-{index:04}aaaaaaaaaa", "created_at": at, **fields})
        await jan.threads.put(thread)
        ids.append(thread.id)
    return ids


async def listed(jan: Jan, **query: object) -> list[str]:
    return [one.id for one in (await jan.threads.list(threads_query(**query))).data]


async def test_what_was_asked_for_is_kept(jan: Jan) -> None:
    who = (await jan.assistants.create(new_assistant())).id
    body = new_thread(
        tool_resources={"file_search": {"vector_store_ids": ["vs_1"]}},
        metadata={"a": "b"},
        title="A talk",
        assistants=[{"assistant_id": who, "model": "other"}],
        model="scripted",
        parameters={"temperature": 0.5, "top_k": 4},
    )
    made = await jan.threads.create(body)
    assert made.id.startswith(f"{who}-{made.created_at // 10}")
    assert written(made) == {
        **body.model_dump(mode="json", exclude_unset=True),
        "id": made.id,
        "object": "thread",
        "created_at": made.created_at,
    }
    assert await jan.threads.retrieve(made.id) == made
    assert (await jan.threads.list(threads_query())).data == [made]
    await jan.threads.check(made.id)


async def test_a_thread_without_assistants_is_jans(jan: Jan) -> None:
    made = await jan.threads.create(new_thread())
    assert made.id.startswith("jan-")
    assert written(made) == {
        "id": made.id,
        "object": "thread",
        "created_at": made.created_at,
        "tool_resources": None,
        "metadata": {},
    }


async def test_ids_of_one_assistant_sort_by_when_they_were_made(jan: Jan) -> None:
    made = [(await jan.threads.create(new_thread())).id for _ in range(30)]
    assert made == sorted(made)
    assert len({*made}) == 30


async def test_it_begins_with_its_first_messages(jan: Jan) -> None:
    first = {"role": "user", "content": "a", "metadata": {"x": "y"}}
    made = await jan.threads.create(new_thread(messages=[first, {"role": "assistant", "content": "b"}]))
    page = await jan.messages.list(made.id, messages_query(order="asc"))
    assert [written(one)["content"][0]["text"]["value"] for one in page.data] == ["a", "b"]
    assert [one.role for one in page.data] == ["user", "assistant"]
    assert page.data[0].metadata == {"x": "y"}
    assert {one.thread_id for one in page.data} == {made.id}


async def test_first_messages_need_a_module_that_keeps_them(kind: str, tmp_path: Path) -> None:
    modules = {name: value for name, value in KINDS[kind].items() if not name.startswith("messages")}
    async with wired(tmp_path, modules=modules) as jan:
        with pytest.raises(InvalidRequest) as caught:
            await jan.threads.create(new_thread(messages=[{"role": "user", "content": "a"}]))
        assert caught.value.param == "messages"
        assert await listed(jan) == []
        assert (await jan.threads.create(new_thread(messages=[]))).id


async def test_the_newest_come_first_and_those_of_one_time_by_id(jan: Jan) -> None:
    ids = await put(jan, 1_700_000_002, 1_700_000_001, 1_700_000_003, 1_700_000_003)
    newest = [ids[3], ids[2], ids[0], ids[1]]
    assert await listed(jan) == newest
    assert await listed(jan, order="asc") == newest[::-1]
    assert await listed(jan, limit=2) == newest[:2]
    assert await listed(jan, after=newest[1], limit=1) == [newest[2]]
    assert await listed(jan, before=newest[2], limit=1) == [newest[1]]
    for name in ("after", "before"):
        with pytest.raises(InvalidRequest) as caught:
            await listed(jan, **{name: "jan-1-nope"})
        assert caught.value.param == name


async def test_a_page_says_whether_there_is_more(jan: Jan) -> None:
    ids = await put(jan, *range(1_700_000_000, 1_700_000_005))
    page = await jan.threads.list(threads_query(limit=4))
    assert (page.first_id, page.last_id, page.has_more) == (ids[4], ids[1], True)
    page = await jan.threads.list(threads_query(limit=4, after=page.last_id))
    assert (page.first_id, page.last_id, page.has_more) == (ids[0], ids[0], False)


async def collected(jan: Jan, **query: object) -> list[str]:
    """All that a filter finds, page after page."""
    found: list[str] = []
    after: dict[str, object] = {}
    for _ in range(100):
        page = await jan.threads.list(threads_query(**query, **after))
        found += [one.id for one in page.data]
        if not page.has_more:
            return found
        assert page.last_id is not None
        after = {"after": page.last_id}
    raise AssertionError("there is no end")


async def test_filters_find_all_that_fits_and_nothing_else(jan: Jan) -> None:
    ids = []
    for index in range(9):
        fields = {"metadata": {"third": str(index % 3), "all": "x"}, "assistants": [{"assistant_id": f"a{index % 2}"}]}
        ids += await put(jan, 1_700_000_000 + index, **fields)
    newest = ids[::-1]
    assert await collected(jan, metadata={"third": "1"}, limit=2) == [newest[1], newest[4], newest[7]]
    assert await collected(jan, metadata={"third": "1", "all": "x"}) == [newest[1], newest[4], newest[7]]
    assert await collected(jan, assistant_id="a0", limit=2) == newest[0::2]
    assert await collected(jan, assistant_id="a1", metadata={"third": "0"}) == [newest[5]]
    assert await collected(jan, metadata={"third": "9"}) == []
    assert await collected(jan, assistant_id="nobody") == []
    assert await collected(jan, metadata={"all": "x"}, order="asc", limit=4) == ids


async def test_an_update_changes_what_it_has(jan: Jan) -> None:
    made = await jan.threads.create(new_thread(title="A", metadata={"a": "b"}, model="m", parameters={"seed": 1}))
    changed = await jan.threads.update(made.id, changed_thread(title="B", parameters={"top_p": 0.5}))
    assert written(changed) == {**written(made), "title": "B", "parameters": {"top_p": 0.5}}
    assert await jan.threads.retrieve(made.id) == changed
    nothing = changed_thread(title=None, metadata=None, model=None, parameters=None)
    assert written(await jan.threads.update(made.id, nothing)) == {
        "id": made.id,
        "object": "thread",
        "created_at": made.created_at,
        "tool_resources": None,
        "metadata": {},
    }


async def test_a_deleted_thread_is_gone_at_once_and_stays_gone(jan: Jan) -> None:
    keep = (await jan.threads.create(new_thread())).id
    gone = (await jan.threads.create(new_thread(messages=[{"role": "user", "content": "a"}]))).id
    told = await jan.threads.delete(gone)
    assert written(told) == {"id": gone, "object": "thread.deleted", "deleted": True}
    for _ in range(2):
        for ask in (
            jan.threads.retrieve(gone),
            jan.threads.check(gone),
            jan.threads.layers(gone),
            jan.threads.delete(gone),
            jan.threads.update(gone, changed_thread(title="x")),
        ):
            with pytest.raises(NotFound) as caught:
                await ask
            assert (caught.value.code, caught.value.param) == ("thread_not_found", "thread_id")
        assert await listed(jan) == [keep]
        await jan.reconciler.settled()
    assert await jan.threads.deleted() == []
    await jan.threads.forget(gone)  # nothing is left, and that is no error


@pytest.mark.parametrize("kind", [one for one in KINDS if one != "memory"])
async def test_a_deleted_thread_stays_deleted_in_the_next_process(kind: str, tmp_path: Path) -> None:
    async with app(kind, tmp_path) as jan:
        gone = (await jan.threads.create(new_thread())).id
        keep = (await jan.threads.create(new_thread())).id
        await jan.threads.delete(gone)
    async with app(kind, tmp_path) as jan:
        assert await listed(jan) == [keep]


@pytest.mark.parametrize("name", IDS)
async def test_ids_of_nothing_are_not_found_or_refused(jan: Jan, name: str) -> None:
    for ask in (
        jan.threads.retrieve(name),
        jan.threads.check(name),
        jan.threads.update(name, changed_thread(title="x")),
        jan.threads.delete(name),
        jan.threads.layers(name),
    ):
        with pytest.raises((NotFound, InvalidRequest)) as caught:
            await ask
        assert caught.value.param == "thread_id"
        assert caught.value.code in ("invalid_id", "thread_not_found")


@pytest.mark.parametrize("name", [name for name in IDS if name not in ("nope", "")])
async def test_an_assistants_id_that_cannot_be_one_makes_no_thread(jan: Jan, name: str) -> None:
    if len(name) < 129:
        with pytest.raises(InvalidRequest) as caught:
            await jan.threads.create(new_thread(assistants=[{"assistant_id": name}]))
        assert str(caught.value.param).startswith("assistants[0]")
    assert await listed(jan) == []


async def test_a_repeated_request_makes_nothing_and_gets_the_first_reply(jan: Jan) -> None:
    body = new_thread(title="A", messages=[{"role": "user", "content": "a"}])
    first = await under("k", lambda: jan.threads.create(body))
    await jan.threads.update(first.id, changed_thread(title="B"))
    assert written(await under("k", lambda: jan.threads.create(body))) == written(first)
    assert (await under("l", lambda: jan.threads.create(body))).id != first.id
    assert len(await listed(jan)) == 2
    assert len((await jan.messages.list(first.id, messages_query())).data) == 1
    with pytest.raises(Conflict) as caught:
        await under("k", lambda: jan.threads.create(new_thread(title="C")))
    assert (caught.value.code, caught.value.param) == ("idempotency_conflict", None)


async def test_requests_with_one_key_at_one_time_make_one_thread(jan: Jan) -> None:
    made = await asyncio.gather(*(under("k", lambda: jan.threads.create(new_thread(title="A"))) for _ in range(6)))
    assert len({one.id for one in made}) == 1
    assert len(await listed(jan)) == 1


async def test_layers_tell_what_the_thread_sets(jan: Jan) -> None:
    bare = (await jan.threads.create(new_thread(title="x"))).id
    merged: dict[str, object] = {}
    for layer in await jan.threads.layers(bare):
        merged |= layer.values
    assert {name for name, value in merged.items() if value is not None} == set()
    made = (await jan.threads.create(new_thread(model="m", parameters={"temperature": 0, "stop": ["a"]}))).id
    for layer in reversed(await jan.threads.layers(made)):
        assert made in layer.origin
        merged |= layer.values
    assert merged == {"model": "m", "temperature": 0, "stop": ["a"]}


async def test_put_keeps_ids_and_times_and_replaces(jan: Jan) -> None:
    (name,) = await put(jan, 1_700_000_000, title="A", metadata={"a": "b"})
    assert (await jan.threads.retrieve(name)).created_at == 1_700_000_000
    await jan.threads.put(Thread(id=name, created_at=1_600_000_000, title="B"))
    again = await jan.threads.retrieve(name)
    assert (again.title, again.created_at, again.metadata) == ("B", 1_600_000_000, {})
    assert await listed(jan) == [name]
    await jan.messages.create(name, said())


async def test_a_caller_may_change_what_it_was_given(jan: Jan) -> None:
    made = await under("k", lambda: jan.threads.create(new_thread(metadata={"a": "b"}, parameters={"stop": ["x"]})))
    kept = written(made)
    for one in (made, await jan.threads.retrieve(made.id), (await jan.threads.list(threads_query())).data[0]):
        one.metadata["a"] = "c"
        assert one.parameters is not None
        one.parameters["stop"].clear()
    assert written(await jan.threads.retrieve(made.id)) == kept
